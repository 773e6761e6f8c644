"""Contract of share links: tokens that give read access to one report each. The store holds their digests only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Share", "ShareStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share link.

    Attributes:
        share_id: identifies the link to those who may withdraw it; no secret.
        analysis_id: the report that it gives access to.
        digest: SHA-256 of its token, hexadecimal.
        created_at: when it was created, ISO 8601 in UTC.
        expires_at: when it expires, ISO 8601 in UTC.
    """

    share_id: str
    analysis_id: str
    digest: str
    created_at: str
    expires_at: str


class ShareStore(Protocol):
    """The part of a `ResultStore` that holds share links. Those of a deleted report are deleted with it."""

    async def put_share(self, share: Share) -> bool:
        """Insert the link, or replace the one with its id; return False if its report is not stored."""
        ...

    async def shares(self, analysis_id: str) -> Sequence[Share]:
        """Return the links to a report, newest first."""
        ...

    async def share_of(self, digest: str) -> Share | None:
        """Return the link whose token has this digest, or None."""
        ...

    async def delete_share(self, analysis_id: str, share_id: str) -> bool:
        """Delete a link to a report; return whether it was there."""
        ...

    async def expire_shares(self, *, before: str) -> int:
        """Delete the links that expired before a time, ISO 8601 in UTC; return their number."""
        ...
