"""Utilisation of a store's connection pool, for metrics."""

from dataclasses import dataclass

__all__ = ["PoolUse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """Utilisation of one connection pool at one moment.

    Attributes:
        name: name of the pool.
        used: connections in use by a call.
        idle: open connections that wait for a call.
        limit: maximum number of connections.
        waiting: calls that wait for a connection.
    """

    name: str
    used: int
    idle: int
    limit: int
    waiting: int
