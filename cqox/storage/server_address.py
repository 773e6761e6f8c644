"""The server of a store or cache, as traces name it. Never with a user or a password."""

from dataclasses import dataclass

__all__ = ["ServerAddress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """A database on a server.

    Attributes:
        host: name or address of the server, or the path of its socket; empty where only the driver knows it.
        port: its port; None for a socket.
        namespace: the database: a name, or a number of Redis.
    """

    host: str
    port: int | None
    namespace: str
