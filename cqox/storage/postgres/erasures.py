"""Erasures in the PostgreSQL store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.erasures import ErasureRecord
from cqox.storage.rows import ERASURE, erasure_of, is_text, row_of
from cqox.storage.tenant_ids import OfTenant

__all__ = ["PostgresErasures"]

type _Connection = psycopg.Connection[TupleRow]

# Reports before what belongs to them: an annotation that is being inserted locks its report.
_ERASED: tuple[LiteralString, ...] = ("reports", "annotations", "shares", "datasets", "jobs", "turns")
_PUT: LiteralString = (
    f"INSERT INTO erasures ({ERASURE}, tenant_id) VALUES ({', '.join(['%s'] * 8)}) "
    "ON CONFLICT (erasure_id) DO UPDATE SET finished_at = excluded.finished_at, receipt = excluded.receipt "
    "WHERE erasures.tenant_id = excluded.tenant_id "
    # Equal values are those of an attempt whose answer was lost.
    "AND (erasures.finished_at IS NULL OR (erasures.finished_at, erasures.receipt) "
    "IS NOT DISTINCT FROM (excluded.finished_at, excluded.receipt))"
)


class PostgresErasures(OfTenant, ABC):
    """Erasures in the PostgreSQL store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[_Connection], T]) -> T:
        """Run the work on a connection in autocommit mode and return its result."""

    async def put_erasure(self, record: ErasureRecord) -> bool:
        """Insert the erasure, or update how far it has come; return False if it is finished already."""
        values = (*row_of(self._keys.stored_record(record)), self._tenant)
        return await self._call(lambda c: c.execute(_PUT, values).rowcount == 1)

    async def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """Return the erasure with this id, or None."""
        if not is_text(erasure_id):
            return None
        query: LiteralString = f"SELECT {ERASURE} FROM erasures WHERE tenant_id = %s AND erasure_id = %s"
        identity = (self._tenant, self._keys.stored(erasure_id))
        row = await self._call(lambda c: c.execute(query, identity, binary=True).fetchone())
        return None if row is None else erasure_of(row, self._keys)

    async def open_erasures(self, *, since: str) -> Sequence[ErasureRecord]:
        """Return the erasures that are not finished, and those that were finished since a time; oldest first."""
        query: LiteralString = (
            f"SELECT {ERASURE} FROM erasures WHERE tenant_id = %s AND (finished_at IS NULL OR finished_at >= %s) "
            "ORDER BY requested_at, erasure_id"
        )
        values = (self._tenant, since)
        rows = await self._call(lambda c: c.execute(query, values, binary=True).fetchall())
        return [erasure_of(row, self._keys) for row in rows]

    async def erase_everything(self) -> int:
        """Delete every report, annotation, share link, data set, job and lease of the tenant; return the rows."""
        tenant_id, gone = self._tenant, list[int]()

        def erase(connection: _Connection) -> int:
            count = 0
            with connection.transaction():
                for table in _ERASED:
                    statement: LiteralString = f"DELETE FROM {table} WHERE tenant_id = %s"
                    count += connection.execute(statement, (tenant_id,)).rowcount
            # After an attempt whose answer was lost, the next one finds nothing.
            gone.append(count)
            return max(gone)

        return await self._call(erase)

    async def scrub(self) -> None:
        """Do nothing: the server reuses the room of deleted rows after its next VACUUM."""
