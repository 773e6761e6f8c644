"""Deletions and expiry queries of the SQLite store, and their notification to other engines on the file.

Deleted bytes are overwritten (`secure_delete`), and their pages return to the disk. Each deletion of reports changes
the modification time of a marker file next to the database, which an engine checks before it answers from its cache.
"""

import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cqox import clock
from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage.contracts import JobRecord, JobStatus
from cqox.storage.disk import is_full
from cqox.storage.pages import Page
from cqox.storage.rows import JOB, is_text, page_of_jobs, position
from cqox.storage.sqlite_file import marks
from cqox.storage.tenant_ids import OfTenant

__all__ = ["SqliteRetention"]

_ENDED = "(status <> 'running' OR renewed_until < ?)"
_STATUS = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END AS status"
_MARKER = "-deletions"


class SqliteRetention(OfTenant, ABC):
    """Deletions and expiry queries of the SQLite store.

    Args:
        path: the file of the database.
    """

    def __init__(self, path: Path) -> None:
        self._deletions = path.with_name(path.name + _MARKER)

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in a transaction and return its result."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run work that writes; essential work is also done on a full disk."""

    @property
    def deletions(self) -> int:
        """A number that changes once any engine on the file has deleted reports; reads the marker file."""
        try:
            return self._deletions.stat().st_mtime_ns
        except OSError:
            return 0

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """Return the subset of the ids that are stored."""
        keys, ids = self._keys, [self._keys.stored(each) for each in analysis_ids if is_text(each)]
        # The column of the tenant lies behind the report's body, so that only an index is read.
        query = (
            "SELECT analysis_id FROM reports INDEXED BY reports_of_tenant "
            f"WHERE tenant_id = ? AND analysis_id IN ({marks(len(ids))})"
        )
        rows = await self._call(lambda c: c.execute(query, (keys.tenant_id, *ids)).fetchall())
        return frozenset(keys.plain(str(row[0])) for row in rows)

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Delete reports with their annotations and share links; return the ids of those that existed."""
        keys, ids = self._keys, [self._keys.stored(each) for each in analysis_ids if is_text(each)]
        those, values = f"WHERE tenant_id = ? AND analysis_id IN ({marks(len(ids))})", (keys.tenant_id, *ids)

        def delete(connection: sqlite3.Connection) -> list[str]:
            statement = f"DELETE FROM reports INDEXED BY reports_of_tenant {those} RETURNING analysis_id"
            gone = [keys.plain(str(row[0])) for row in connection.execute(statement, values).fetchall()]
            connection.execute(f"DELETE FROM annotations {those}", values)
            connection.execute(f"DELETE FROM shares {those}", values)
            connection.commit()
            # Also if no row existed: the engine that deleted it may have exited before the notification.
            self._notify_other_engines()
            if gone:
                _release_pages(connection)
            return gone

        return await self._write(delete, essential=True)

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """Return ids of reports computed before a time, oldest first, unless a job that ended since refers to them."""
        query = (
            "SELECT analysis_id FROM reports WHERE tenant_id = ? AND created_at < ? AND analysis_id NOT IN "
            "(SELECT analysis_id FROM jobs WHERE tenant_id = ? AND analysis_id IS NOT NULL "
            "AND coalesce(finished_at, created_at) >= ?) ORDER BY created_at, analysis_id LIMIT ?"
        )
        keys, values = self._keys, (self._tenant, before, self._tenant, before, limit)
        return [keys.plain(str(row[0])) for row in await self._call(lambda c: c.execute(query, values).fetchall())]

    async def jobs(
        self,
        *,
        dataset_id: str | None = None,
        status: JobStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page[JobRecord]:
        """Return jobs, newest first, with the same status as `job`."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        keys, conditions, values = self._keys, "1 = 1", list[object]([clock.wall_time(), self._tenant])
        for column, value in (("dataset_id", dataset_id and keys.stored(dataset_id)), ("status", status)):
            if value is not None:
                conditions += f" AND {column} = ?"
                values.append(value)
        if before is not None:
            conditions += " AND (created_at, job_id) < (?, ?)"
            values += position(before, keys)
        query = (
            f"SELECT {JOB} FROM (SELECT {JOB.replace('status', _STATUS)} FROM jobs WHERE tenant_id = ?) "
            f"WHERE {conditions} ORDER BY created_at DESC, job_id DESC LIMIT ?"
        )
        return page_of_jobs(await self._call(lambda c: c.execute(query, (*values, limit + 1)).fetchall()), limit, keys)

    async def delete_job(self, job_id: str) -> bool:
        """Delete the record of a job that is not running; return whether this call did."""
        return is_text(job_id) and await self._deleted("job_id", job_id) == 1

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Delete the records of all jobs on a data set that are not running; return their number."""
        return await self._deleted("dataset_id", dataset_id) if is_text(dataset_id) else 0

    async def _deleted(self, column: str, identity: str) -> int:
        statement = f"DELETE FROM jobs WHERE tenant_id = ? AND {column} = ? AND {_ENDED}"
        values = (self._tenant, self._keys.stored(identity), clock.wall_time())
        return await self._write(lambda c: c.execute(statement, values).rowcount, essential=True)

    def _notify_other_engines(self) -> None:
        # A new modification time needs no space on a full disk.
        try:
            os.close(os.open(self._deletions, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            now = max(time.time_ns(), self.deletions + 1)
            os.utime(self._deletions, ns=(now, now))
        except OSError as error:
            kind = StorageFull if is_full(error) else StoreUnavailable
            raise kind(
                "A deletion could not be announced to other engines on the data directory "
                f"({os.strerror(error.errno or 0).lower()}): their caches may still hold the report. Delete it again."
            ) from error


def _release_pages(connection: sqlite3.Connection) -> None:
    # No effect on a file of an earlier version, whose free pages are reused. The WAL still contains the deleted rows
    # until it is truncated, which a reader may delay.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA incremental_vacuum").fetchall()
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
