"""Share links in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.rows import SHARE, is_text, share_of
from cqox.storage.shares import Share

__all__ = ["PostgresShares"]

type _Connection = psycopg.Connection[TupleRow]

_PUT: LiteralString = (
    "INSERT INTO shares (share_id, analysis_id, digest, created_at, expires_at, dataset_id) "
    "SELECT %(share_id)s, analysis_id, %(digest)s, %(created_at)s, %(expires_at)s, dataset_id FROM reports "
    "WHERE analysis_id = %(analysis_id)s FOR KEY SHARE ON CONFLICT (share_id) DO UPDATE SET digest = excluded.digest, "
    "created_at = excluded.created_at, expires_at = excluded.expires_at WHERE shares.analysis_id = excluded.analysis_id"
)


class PostgresShares(ABC):
    """Share links in the PostgreSQL store. A retried call returns the same as a single one."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def put_share(self, share: Share) -> bool:
        """Insert the link, or replace the one with its id; return False if its report is not stored."""
        values = {name: getattr(share, name) for name in Share.__dataclass_fields__}
        return is_text(share.analysis_id) and await self._call(lambda c: c.execute(_PUT, values).rowcount == 1)

    async def shares(self, analysis_id: str) -> Sequence[Share]:
        """Return the links to a report, newest first."""
        if not is_text(analysis_id):
            return []
        query: LiteralString = f"SELECT {SHARE} FROM shares WHERE analysis_id = %s ORDER BY created_at DESC, share_id"
        rows = await self._call(lambda c: c.execute(query, (analysis_id,)).fetchall())
        return [share_of(row) for row in rows]

    async def share_of(self, digest: str) -> Share | None:
        """Return the link whose token has this digest, or None."""
        query: LiteralString = f"SELECT {SHARE} FROM shares WHERE digest = %s"
        row = await self._call(lambda c: c.execute(query, (digest,)).fetchone())
        return None if row is None else share_of(row)

    async def delete_share(self, analysis_id: str, share_id: str) -> bool:
        """Delete a link to a report; return whether it was there."""
        if not is_text(analysis_id, share_id):
            return False
        return bool(await self._removed("WHERE analysis_id = %s AND share_id = %s", analysis_id, share_id))

    async def expire_shares(self, *, before: str) -> int:
        """Delete the links that expired before a time, ISO 8601 in UTC; return their number."""
        return await self._removed("WHERE expires_at < %s", before)

    async def _removed(self, those: LiteralString, *values: str) -> int:
        gone = set[str]()

        def delete(connection: _Connection) -> int:
            # Selected first: after an attempt whose answer was lost, none would be left to count.
            there: LiteralString = f"SELECT share_id FROM shares {those}"
            gone.update(str(row[0]) for row in connection.execute(there, values).fetchall())
            statement: LiteralString = f"DELETE FROM shares {those}"
            connection.execute(statement, values)
            return len(gone)

        return await self._call(delete)
