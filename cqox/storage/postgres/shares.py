"""Share links in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.rows import SHARE, is_text, share_of
from cqox.storage.shares import Share
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresShares"]

type _Connection = psycopg.Connection[TupleRow]

_PUT: LiteralString = (
    "INSERT INTO shares (tenant_id, share_id, analysis_id, digest, created_at, expires_at, dataset_id) "
    "SELECT tenant_id, %(share_id)s, analysis_id, %(digest)s, %(created_at)s, %(expires_at)s, dataset_id FROM reports "
    "WHERE tenant_id = %(tenant_id)s AND analysis_id = %(analysis_id)s FOR KEY SHARE "
    "ON CONFLICT (share_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at, "
    "expires_at = excluded.expires_at "
    "WHERE shares.tenant_id = excluded.tenant_id AND shares.analysis_id = excluded.analysis_id"
)


class PostgresShares(OfTenant, ABC):
    """Share links in the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    @abstractmethod
    async def _call_for_all[T](self, work: Callable[[_Connection], T]) -> T:
        """Look up the link of any tenant."""

    async def put_share(self, share: Share) -> bool:
        """Insert the link, or replace the one with its id; return False if its report is not stored."""
        stored = self._keys.stored_record(share)
        values = {name: getattr(stored, name) for name in Share.__dataclass_fields__} | {"tenant_id": self._tenant}
        return is_text(share.analysis_id) and await self._call(lambda c: c.execute(_PUT, values).rowcount == 1)

    async def shares(self, analysis_id: str) -> Sequence[Share]:
        """Return the links to a report, newest first."""
        if not is_text(analysis_id):
            return []
        query: LiteralString = (
            f"SELECT {SHARE} FROM shares WHERE tenant_id = %s AND analysis_id = %s ORDER BY created_at DESC, share_id"
        )
        those = (self._tenant, self._keys.stored(analysis_id))
        rows = await self._call(lambda c: c.execute(query, those).fetchall())
        return [share_of(row, self._keys) for row in rows]

    async def share_of(self, digest: str) -> Share | None:
        """Return the link whose token has this digest, or None."""
        query: LiteralString = f"SELECT {SHARE} FROM shares WHERE tenant_id = %s AND digest = %s"
        row = await self._call(lambda c: c.execute(query, (self._tenant, digest)).fetchone())
        return None if row is None else share_of(row, self._keys)

    async def tenant_of_share(self, digest: str) -> str | None:
        """Return the tenant of the link whose token has this digest, of any tenant, or None."""
        query: LiteralString = "SELECT tenant_id FROM shares WHERE digest = %s"
        row = await self._call_for_all(lambda c: c.execute(query, (digest,)).fetchone())
        return None if row is None else str(row[0])

    async def delete_share(self, analysis_id: str, share_id: str) -> bool:
        """Delete a link to a report; return whether it was there."""
        if not is_text(analysis_id, share_id):
            return False
        keys = self._keys
        identity = (keys.stored(analysis_id), keys.stored(share_id))
        return bool(await self._removed("WHERE tenant_id = %s AND analysis_id = %s AND share_id = %s", *identity))

    async def expire_shares(self, *, before: str) -> int:
        """Delete the links that expired before a time, ISO 8601 in UTC; return their number."""
        return await self._removed("WHERE tenant_id = %s AND expires_at < %s", before)

    async def _removed(self, those: LiteralString, *values: str) -> int:
        gone, given = set[str](), (self._tenant, *values)

        def delete(connection: _Connection) -> int:
            # Selected first: after an attempt whose answer was lost, none would be left to count.
            there: LiteralString = f"SELECT share_id FROM shares {those}"
            gone.update(str(row[0]) for row in connection.execute(there, given).fetchall())
            statement: LiteralString = f"DELETE FROM shares {those}"
            connection.execute(statement, given)
            return len(gone)

        return await self._call(delete)
