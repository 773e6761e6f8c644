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

from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage.contracts import JobRecord, JobStatus
from cqox.storage.disk import is_full
from cqox.storage.pages import Page
from cqox.storage.rows import JOB, is_text, page_of_jobs, position
from cqox.storage.sqlite_file import marks

__all__ = ["SqliteRetention"]

_ENDED = "(status <> 'running' OR renewed_until < ?)"
_STATUS = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END AS status"
_MARKER = "-deletions"


class SqliteRetention(ABC):
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
        ids = [each for each in analysis_ids if is_text(each)]
        query = f"SELECT analysis_id FROM reports WHERE analysis_id IN ({marks(len(ids))})"
        return frozenset(str(row[0]) for row in await self._call(lambda c: c.execute(query, ids).fetchall()))

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Delete reports with their annotations and share links; return the ids of those that existed."""
        ids = [each for each in analysis_ids if is_text(each)]
        those = f"WHERE analysis_id IN ({marks(len(ids))})"

        def delete(connection: sqlite3.Connection) -> list[str]:
            statement = f"DELETE FROM reports {those} RETURNING analysis_id"
            gone = [str(row[0]) for row in connection.execute(statement, ids).fetchall()]
            connection.execute(f"DELETE FROM annotations {those}", ids)
            connection.execute(f"DELETE FROM shares {those}", ids)
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
            "SELECT analysis_id FROM reports WHERE created_at < ? AND analysis_id NOT IN (SELECT analysis_id FROM jobs "
            "WHERE analysis_id IS NOT NULL AND coalesce(finished_at, created_at) >= ?) "
            "ORDER BY created_at, analysis_id LIMIT ?"
        )
        return [str(row[0]) for row in await self._call(lambda c: c.execute(query, (before, before, limit)).fetchall())]

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
        conditions, values = "1 = 1", list[object]([time.time()])
        for column, value in (("dataset_id", dataset_id), ("status", status)):
            if value is not None:
                conditions += f" AND {column} = ?"
                values.append(value)
        if before is not None:
            conditions += " AND (created_at, job_id) < (?, ?)"
            values += position(before)
        query = (
            f"SELECT {JOB} FROM (SELECT {JOB.replace('status', _STATUS)} FROM jobs) WHERE {conditions} "
            "ORDER BY created_at DESC, job_id DESC LIMIT ?"
        )
        return page_of_jobs(await self._call(lambda c: c.execute(query, (*values, limit + 1)).fetchall()), limit)

    async def delete_job(self, job_id: str) -> bool:
        """Delete the record of a job that is not running; return whether this call did."""
        return is_text(job_id) and await self._deleted(f"job_id = ? AND {_ENDED}", job_id) == 1

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Delete the records of all jobs on a data set that are not running; return their number."""
        return await self._deleted(f"dataset_id = ? AND {_ENDED}", dataset_id) if is_text(dataset_id) else 0

    async def _deleted(self, conditions: str, value: str) -> int:
        statement = f"DELETE FROM jobs WHERE {conditions}"
        return await self._write(lambda c: c.execute(statement, (value, time.time())).rowcount, essential=True)

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
