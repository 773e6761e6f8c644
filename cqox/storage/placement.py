"""The part of the result database's contract that says where it is, and who else can change it."""

from typing import Protocol

__all__ = ["PlacedStore"]


class PlacedStore(Protocol):
    """A store in a file that engines on one disk share, or on a server that any engine can share."""

    @property
    def on_server(self) -> bool:
        """True where engines without a common disk may share the store, so that no marker file announces deletions."""
        ...

    @property
    def epoch(self) -> int:
        """A number that changes once the store has lost its content; constant for a server."""
        ...

    @property
    def deletions(self) -> int:
        """A number that changes once any engine has deleted reports; constant for a server, which announces none."""
        ...

    async def passing_role(self) -> str | None:
        """Return why the database cannot keep tenants apart by itself; None where it can, or where it has no roles."""
        ...
