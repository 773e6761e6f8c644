"""Share links in the SQLite store."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from cqox.storage.rows import SHARE, is_text, share_of
from cqox.storage.shares import Share
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteShares"]

_PUT = (
    "INSERT INTO shares (tenant_id, share_id, analysis_id, digest, created_at, expires_at, dataset_id) "
    "SELECT tenant_id, :share_id, analysis_id, :digest, :created_at, :expires_at, dataset_id FROM reports "
    "WHERE tenant_id = :tenant_id AND analysis_id = :analysis_id "
    "ON CONFLICT (share_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at, "
    "expires_at = excluded.expires_at "
    "WHERE shares.tenant_id = excluded.tenant_id AND shares.analysis_id = excluded.analysis_id"
)


class SqliteShares(OfTenant, ABC):
    """Share links in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    async def put_share(self, share: Share) -> bool:
        """Insert the link, or replace the one with its id; return False if its report is not stored."""
        stored = self._keys.stored_record(share)
        values = {name: getattr(stored, name) for name in Share.__dataclass_fields__} | {"tenant_id": self._tenant}
        return is_text(share.analysis_id) and await self._write(lambda c: c.execute(_PUT, values).rowcount == 1)

    async def shares(self, analysis_id: str) -> Sequence[Share]:
        """Return the links to a report, newest first."""
        if not is_text(analysis_id):
            return []
        query = f"SELECT {SHARE} FROM shares WHERE tenant_id = ? AND analysis_id = ? ORDER BY created_at DESC, share_id"
        values = (self._tenant, self._keys.stored(analysis_id))
        rows = await self._call(lambda c: c.execute(query, values).fetchall())
        return [share_of(row, self._keys) for row in rows]

    async def share_of(self, digest: str) -> Share | None:
        """Return the link whose token has this digest, or None."""
        query = f"SELECT {SHARE} FROM shares WHERE tenant_id = ? AND digest = ?"
        row = await self._call(lambda c: c.execute(query, (self._tenant, digest)).fetchone())
        return None if row is None else share_of(row, self._keys)

    async def tenant_of_share(self, digest: str) -> str | None:
        """Return the tenant of the link whose token has this digest, of any tenant, or None."""
        query = "SELECT tenant_id FROM shares WHERE digest = ?"
        row = await self._call(lambda c: c.execute(query, (digest,)).fetchone())
        return None if row is None else str(row[0])

    async def delete_share(self, analysis_id: str, share_id: str) -> bool:
        """Delete a link to a report; return whether it was there."""
        if not is_text(analysis_id, share_id):
            return False
        statement = "DELETE FROM shares WHERE tenant_id = ? AND analysis_id = ? AND share_id = ?"
        return await self._removed(statement, self._keys.stored(analysis_id), self._keys.stored(share_id)) == 1

    async def expire_shares(self, *, before: str) -> int:
        """Delete the links that expired before a time, ISO 8601 in UTC; return their number."""
        return await self._removed("DELETE FROM shares WHERE tenant_id = ? AND expires_at < ?", before)

    async def _removed(self, statement: str, *values: str) -> int:
        return await self._write(lambda c: c.execute(statement, (self._tenant, *values)).rowcount, essential=True)
