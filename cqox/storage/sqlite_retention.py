"""What the SQLite store deletes and lists to be deleted, and how other engines on the file learn of it.

Deleted bytes are overwritten (`secure_delete`), and their pages go back to the disk. Each deletion of reports changes
the time of a small file next to the database, at which an engine looks before it answers from its memory.
"""

import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage.contracts import JobRecord, JobStatus, Page
from cqox.storage.disk import is_full
from cqox.storage.rows import JOB, is_text, page_of_jobs, position
from cqox.storage.sqlite_file import marks

__all__ = ["SqliteRetention"]

_ENDED = "(status <> 'running' OR renewed_until < ?)"
_STATUS = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END AS status"
_MARKER = "-deletions"


class SqliteRetention(ABC):
    """The part of the SQLite store that deletes.

    Args:
        path: the file of the database.
    """

    def __init__(self, path: Path) -> None:
        self._deletions = path.with_name(path.name + _MARKER)

    @abstractmethod
    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work returns, done in a transaction."""

    @abstractmethod
    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """The same for what writes; what is essential is done on a full disk too."""

    @property
    def deletions(self) -> int:
        """A number that is another one once reports have been deleted by any engine on the file; looks at the disk."""
        try:
            return self._deletions.stat().st_mtime_ns
        except OSError:
            return 0

    async def stored(self, analysis_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are kept."""
        ids = [each for each in analysis_ids if is_text(each)]
        query = f"SELECT analysis_id FROM reports WHERE analysis_id IN ({marks(len(ids))})"
        return frozenset(str(row[0]) for row in await self._call(lambda c: c.execute(query, ids).fetchall()))

    async def delete_reports(self, analysis_ids: Sequence[str]) -> Sequence[str]:
        """Remove reports; the ids of those that were there."""
        ids = [each for each in analysis_ids if is_text(each)]
        statement = f"DELETE FROM reports WHERE analysis_id IN ({marks(len(ids))}) RETURNING analysis_id"

        def delete(connection: sqlite3.Connection) -> list[str]:
            gone = [str(row[0]) for row in connection.execute(statement, ids).fetchall()]
            connection.commit()
            # Also where nothing was there: the engine that deleted it may have ended before it could say so.
            self._tell_other_engines()
            if gone:
                _give_pages_back(connection)
            return gone

        return await self._write(delete, essential=True)

    async def expired_reports(self, *, before: str, limit: int) -> Sequence[str]:
        """Ids of reports computed before a time, oldest first, unless a job that ended since then refers to them."""
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
        """Jobs, newest first, with the status that `job` gives them."""
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
        """Remove the record of a job that does not run; whether this call did."""
        return is_text(job_id) and await self._deleted(f"job_id = ? AND {_ENDED}", job_id) == 1

    async def delete_jobs_of(self, dataset_id: str) -> int:
        """Remove the records of all jobs on a data set that do not run; how many those were."""
        return await self._deleted(f"dataset_id = ? AND {_ENDED}", dataset_id) if is_text(dataset_id) else 0

    async def _deleted(self, conditions: str, value: str) -> int:
        statement = f"DELETE FROM jobs WHERE {conditions}"
        return await self._write(lambda c: c.execute(statement, (value, time.time())).rowcount, essential=True)

    def _tell_other_engines(self) -> None:
        # A new time needs no room on a full disk.
        try:
            os.close(os.open(self._deletions, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            now = max(time.time_ns(), self.deletions + 1)
            os.utime(self._deletions, ns=(now, now))
        except OSError as error:
            kind = StorageFull if is_full(error) else StoreUnavailable
            raise kind(
                "A deletion could not be made known to other engines on the data directory "
                f"({os.strerror(error.errno or 0).lower()}): their memories may still hold the report. Delete it again."
            ) from error


def _give_pages_back(connection: sqlite3.Connection) -> None:
    # Of no effect on a file that an earlier version made: there the pages are used again by what comes next. The log
    # of writes still holds what was deleted until it is emptied; a reader may keep it from that for a moment.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA incremental_vacuum").fetchall()
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
