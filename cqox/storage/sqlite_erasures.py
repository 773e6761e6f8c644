"""Erasures in the SQLite store."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import anyio

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.erasures import ErasureRecord
from cqox.storage.rows import ERASURE, erasure_of, is_text, row_of
from cqox.storage.sqlite_file import marks
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteErasures"]

_ATTEMPTS = 100
_PAUSE_SECONDS = 0.05
_ERASED = ("annotations", "shares", "reports", "datasets", "jobs", "turns")
_PUT = (
    f"INSERT INTO erasures ({ERASURE}, tenant_id) VALUES ({marks(8)}) ON CONFLICT (erasure_id) DO UPDATE SET "
    "finished_at = excluded.finished_at, receipt = excluded.receipt "
    "WHERE erasures.tenant_id = excluded.tenant_id AND erasures.finished_at IS NULL"
)


class SqliteErasures(OfTenant, ABC):
    """Erasures in the SQLite store."""

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    @abstractmethod
    def _notify_other_engines(self) -> None:
        """Notify other engines that reports were deleted."""

    async def put_erasure(self, record: ErasureRecord) -> bool:
        """Insert the erasure, or update how far it has come; return False if it is finished already."""
        values = (*row_of(self._keys.stored_record(record)), self._tenant)
        return await self._write(lambda c: c.execute(_PUT, values).rowcount == 1, essential=True)

    async def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """Return the erasure with this id, or None."""
        if not is_text(erasure_id):
            return None
        query = f"SELECT {ERASURE} FROM erasures WHERE tenant_id = ? AND erasure_id = ?"
        identity = (self._tenant, self._keys.stored(erasure_id))
        row = await self._call(lambda c: c.execute(query, identity).fetchone())
        return None if row is None else erasure_of(row, self._keys)

    async def open_erasures(self, *, since: str) -> Sequence[ErasureRecord]:
        """Return the erasures that are not finished, and those that were finished since a time; oldest first."""
        query = (
            f"SELECT {ERASURE} FROM erasures WHERE tenant_id = ? AND (finished_at IS NULL OR finished_at >= ?) "
            "ORDER BY requested_at, erasure_id"
        )
        values = (self._tenant, since)
        return [erasure_of(row, self._keys) for row in await self._call(lambda c: c.execute(query, values).fetchall())]

    async def erase_everything(self) -> int:
        """Delete every report, annotation, share link, data set, job and lease of the tenant; return the rows."""
        tenant_id = self._tenant

        def erase(connection: sqlite3.Connection) -> int:
            count = 0
            for table in _ERASED:
                count += connection.execute(f"DELETE FROM {table} WHERE tenant_id = ?", (tenant_id,)).rowcount
            connection.commit()
            self._notify_other_engines()
            return count

        return await self._write(erase, essential=True)

    async def scrub(self) -> None:
        """Overwrite what deletions have left in the file and in its write-ahead log.

        Raises:
            StoreUnavailable: another reader keeps the log in use.
        """
        for _ in range(_ATTEMPTS):
            if await self._write(_scrubbed, essential=True):
                return
            await anyio.sleep(_PAUSE_SECONDS)
        raise StoreUnavailable(Message("storage.log-in-use"))


def _scrubbed(connection: sqlite3.Connection) -> bool:
    """Return freed pages to the disk and empty the write-ahead log; return False while a reader needs it."""
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    connection.commit()
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
