"""The result store that needs no server: one SQLite file in write-ahead mode."""

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Self

from cqox.errors import AttemptTimeout, Rejected, StoreUnavailable
from cqox.storage.blocking import Threads
from cqox.storage.contracts import DatasetRecord, JobRecord, Page, StoredReport
from cqox.storage.policy import store_circuit, store_policy
from cqox.storage.rows import (
    ABANDONED_SECONDS,
    DATASET,
    JOB,
    REPORT,
    Loaded,
    dataset_of,
    is_text,
    job_of,
    loaded,
    page_of,
    position,
    row_of,
    whole,
)
from cqox.storage.schema import MigrationStatus
from cqox.storage.sqlite_file import (
    BUSY_SECONDS,
    LOST,
    MIGRATIONS,
    Connection,
    File,
    Use,
    applied,
    check_sqlite,
    damage_of,
    file_at,
    is_damage,
    migrate,
)
from cqox.storage.sqlite_repair import replace_damaged

__all__ = ["SqliteStore"]

_HEAD = REPORT.replace(" report, provenance, figures,", " x'', x'', x'',")
_READ_DAMAGED_SECONDS = 60.0
# A disk that goes on failing must not be filled with copies of what it has spoilt.
_NEXT_REPAIR_SECONDS = 10.0
_NEXT_TRY_SECONDS = 60.0
_logger = logging.getLogger("cqox.storage")


class SqliteStore:
    """Reports, the registry of data sets and jobs in one file.

    Open it with `SqliteStore.open`. Writes are durable when the call returns (`synchronous=FULL`). Every call sees
    whether its file is still the one of that name: what is written to a file that has lost its name is kept nowhere.
    A call that meets damage has the file replaced, where that was asked for, and is made once more.
    """

    def __init__(self, path: Path, *, connections: int = 4, seconds: float = 10.0, anew: bool = False) -> None:
        """See `open`."""
        self._path = path
        self._seconds = seconds
        self._anew = anew
        self._repair_at = 0.0
        self._threads = Threads("sqlite", connections)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._lock = Lock()
        self._file: File | None = None
        self._damage = ""
        self._losses = 0
        self._policy = store_policy(store_circuit("sqlite"), seconds=seconds)
        # Guarded once: the frame of a policy is made anew for every `Policy.call`.
        self._guarded = self._policy(self._run)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, connections: int = 4, seconds: float = 10.0, anew: bool = False
    ) -> AsyncIterator[Self]:
        """The store in this file, which is created where there is none; closed on leaving.

        Args:
            path: the file.
            connections: how many calls run at once.
            seconds: the limit of one call.
            anew: whether a file that is no database, or one that is found damaged now or later, is set aside as
                `<name>.damaged-<time>`, and another one begun with what can still be read of it.

        Raises:
            StoreUnavailable: the file cannot be opened, is no SQLite database, or was written by a newer version.
        """
        store = cls(path, connections=connections, seconds=seconds, anew=anew)
        try:
            await store.migrate()
            yield store
        finally:
            store._threads.close()
            while not store._idle.empty():
                store._idle.get().close()

    @property
    def epoch(self) -> int:
        """How often what was kept has been lost with its file, which is looked at now."""
        # Where a call holds the lock it looks for itself.
        if self._lock.acquire(blocking=False):
            try:
                if self._file not in (None, LOST, file_at(self._path)):
                    self._file = LOST
                    self._tell_of_loss()
            finally:
                self._lock.release()
        return self._losses

    async def save(self, report: StoredReport) -> bool:
        """Keep the report unless one of its id is there already, and whole; whether this call inserted it."""
        statement = f"INSERT INTO reports ({REPORT}) VALUES ({_marks(11)}) ON CONFLICT DO NOTHING"
        values, identity = row_of(report), (report.analysis_id,)

        def insert(connection: sqlite3.Connection) -> bool:
            if connection.execute(statement, values).rowcount == 1:
                return True
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = ?"
            found = loaded(connection.execute(query, identity).fetchone())
            if found is None or found.whole:
                return False
            connection.execute("DELETE FROM reports WHERE analysis_id = ?", identity)
            return connection.execute(statement, values).rowcount == 1

        return await self._call(insert)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """The report of this id, if it is kept."""
        if not is_text(analysis_id):
            return None

        def load(connection: sqlite3.Connection) -> Loaded | None:
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = ?"
            return loaded(connection.execute(query, (analysis_id,)).fetchone())

        # Raised here, so that it is no failure of the server.
        return whole(await self._call(load))

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Reports, newest first, without their bodies."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        conditions, values = "1 = 1", list[str | int]()
        if dataset_id is not None:
            conditions += " AND dataset_id = ?"
            values.append(dataset_id)
        if before is not None:
            conditions += " AND (created_at, analysis_id) < (?, ?)"
            values += position(before)
        query = f"SELECT {_HEAD} FROM reports WHERE {conditions} ORDER BY created_at DESC, analysis_id DESC LIMIT ?"
        return page_of(await self._rows(query, *values, limit + 1), limit)

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Enter the data set unless its id is there already; the row as it now stands."""
        # A sample's content follows the code; what a user uploaded is the same bytes under the same id for ever.
        conflict = (
            "DO UPDATE SET digest = excluded.digest, name = excluded.name, rows = excluded.rows, "
            "columns = excluded.columns, size_bytes = excluded.size_bytes, description = excluded.description"
            if record.sample
            else "DO NOTHING"
        )

        def enter(connection: sqlite3.Connection) -> DatasetRecord:
            connection.execute(
                f"INSERT INTO datasets ({DATASET}) VALUES ({_marks(9)}) ON CONFLICT (dataset_id) {conflict}",
                row_of(record),
            )
            query = f"SELECT {DATASET} FROM datasets WHERE dataset_id = ?"
            return dataset_of(connection.execute(query, (record.dataset_id,)).fetchone())

        return await self._call(enter)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """The data set of this id, if it is registered."""
        if not is_text(dataset_id):
            return None
        row = await self._row(f"SELECT {DATASET} FROM datasets WHERE dataset_id = ?", dataset_id)
        return None if row is None else dataset_of(row)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Every data set: samples first, then newest first."""
        query = f"SELECT {DATASET} FROM datasets ORDER BY sample DESC, created_at DESC, dataset_id"
        return [dataset_of(row) for row in await self._rows(query)]

    async def forget(self, dataset_id: str) -> bool:
        """Strike the data set from the registry; whether it was there."""
        return is_text(dataset_id) and await self._count("DELETE FROM datasets WHERE dataset_id = ?", dataset_id) == 1

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Enter the job, or how it has ended; how a job ended stands, unless that was `interrupted`."""
        await self._count(
            f"INSERT INTO jobs ({JOB}, owner, renewed_until) VALUES ({_marks(9)}) ON CONFLICT (job_id) DO UPDATE SET "
            "status = excluded.status, finished_at = excluded.finished_at, analysis_id = excluded.analysis_id, "
            "problem = excluded.problem, owner = excluded.owner, renewed_until = excluded.renewed_until "
            "WHERE jobs.status IN ('running', 'interrupted')",
            job,
            owner,
            time.time() + seconds,
        )

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Say that the owner still runs its jobs; how many those are."""
        statement = "UPDATE jobs SET renewed_until = ? WHERE owner = ? AND status = 'running'"
        return await self._count(statement, time.time() + seconds, owner)

    async def interrupt_jobs(self, owner: str, *, finished_at: str, job_id: str | None = None) -> int:
        """Mark what the owner ran as interrupted; how many jobs those were."""
        statement = (
            "UPDATE jobs SET status = 'interrupted', finished_at = ? "
            "WHERE owner = ? AND status = 'running' AND job_id = coalesce(?, job_id)"
        )
        return await self._count(statement, finished_at, owner, job_id)

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Strike jobs that ended long ago; how many those were. One that has not ended is never struck."""

        def retire(connection: sqlite3.Connection) -> int:
            statement = (
                "UPDATE jobs SET status = 'interrupted', finished_at = ? WHERE status = 'running' AND renewed_until < ?"
            )
            connection.execute(statement, (now, time.time() - ABANDONED_SECONDS))
            # SQLite has no OFFSET without a LIMIT.
            statement = (
                "DELETE FROM jobs WHERE status <> 'running' AND (coalesce(finished_at, created_at) < ? OR job_id IN "
                "(SELECT job_id FROM jobs WHERE status <> 'running' "
                "ORDER BY coalesce(finished_at, created_at) DESC, job_id DESC LIMIT -1 OFFSET ?))"
            )
            return connection.execute(statement, (ended_before, most)).rowcount

        return await self._call(retire)

    async def job(self, job_id: str) -> JobRecord | None:
        """The job of this id, if there was one; `interrupted` where its owner has not renewed it in time."""
        if not is_text(job_id):
            return None
        status = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END"
        row = await self._row(f"SELECT {JOB.replace('status', status)} FROM jobs WHERE job_id = ?", time.time(), job_id)
        return None if row is None else job_of(row)

    async def ping(self) -> None:
        """Nothing, if the store answers and no call has found its file damaged that could not be replaced.

        Raises:
            StoreUnavailable: it does not, or its file is.
        """
        await self._row("SELECT count(*) FROM sqlite_schema")
        if self._damage:
            raise StoreUnavailable(f"The result store {self._path.name} is damaged: {self._damage}.")

    async def migrate(self) -> int:
        """Bring the schema to the newest step; how many steps that took."""
        return await self._call(migrate)

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Every step of the schema; SQLite does not record when it was applied."""
        done = await self._call(applied)
        return [
            MigrationStatus(number=number, name=name, applied_at="" if number <= done else None)
            for number, (name, _) in enumerate(MIGRATIONS, start=1)
        ]

    async def _row(self, query: str, *values: object) -> Sequence[object] | None:
        return await self._call(lambda connection: connection.execute(query, values).fetchone())

    async def _rows(self, query: str, *values: object) -> Sequence[Sequence[object]]:
        return await self._call(lambda connection: connection.execute(query, values).fetchall())

    async def _count(self, statement: str, *values: object) -> int:
        flat = [part for value in values for part in (row_of(value) if isinstance(value, _RECORDS) else (value,))]
        return await self._call(lambda connection: connection.execute(statement, flat).rowcount)

    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._guarded(work)
        except (sqlite3.Error, AttemptTimeout, Rejected) as error:
            if is_damage(error):
                self._damage = damage_of(error)
            raise StoreUnavailable(f"The result store {self._path.name} did not do it: {damage_of(error)}.") from error

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        use = self._use()
        try:
            return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)
        except sqlite3.DatabaseError as error:
            if not self._anew or not is_damage(error):
                raise
            if not await self._threads.run(partial(self._repair, use.file, error), interrupt=_nothing):
                raise
        use = self._use()
        return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)

    def _use(self) -> Use:
        return Use(self._idle, self._connect, self._is_current, seconds=self._seconds)

    def _connect(self) -> Connection:
        while True:
            connection = self._connected()
            if connection is not None:
                return connection

    def _connected(self) -> Connection | None:
        """A new connection; None where the file was replaced while it was made."""
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False, factory=Connection)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.file = file_at(self._path)
            if connection.file is None:
                raise sqlite3.OperationalError("the file was removed while it was opened")
            with self._lock:
                if connection.file != file_at(self._path):
                    connection.close()
                    return None
                if self._file is not None and self._file != connection.file:
                    if self._file != LOST:
                        self._tell_of_loss()
                    # There is nothing in a new file. Under the lock, so that nobody meets it half made.
                    migrate(connection)
                self._file = connection.file
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_current(self, connection: Connection) -> bool:
        """Whether the file that it is connected to still has its name."""
        if connection.file == file_at(self._path):
            return True
        with self._lock:
            # Not what tells the file from others: once it is closed, that may be given to the next one.
            if self._file == connection.file:
                self._file = LOST
                self._tell_of_loss()
        return False

    def _tell_of_loss(self) -> None:
        self._losses += 1
        self._damage = ""
        _logger.error(
            "The file %s was removed, moved or replaced: the reports, data sets and jobs that were in it are kept no "
            "longer, where they are not in the one that has the name now.",
            self._path,
        )

    def _repair(self, seen: File | None, damage: sqlite3.DatabaseError) -> bool:
        """Replace the file that a call has found damaged; whether the call may be made again."""
        # Nobody connects meanwhile, nor asks whether a connection is still good.
        with self._lock:
            if self._file == seen and time.monotonic() < self._repair_at:
                return False
            try:
                done = replace_damaged(
                    self._path,
                    damage_of(damage),
                    is_damaged=partial(self._is_damaged, seen),
                    seconds=_READ_DAMAGED_SECONDS,
                )
            except (OSError, sqlite3.Error) as error:
                self._repair_at = time.monotonic() + _NEXT_TRY_SECONDS
                _logger.error("The result store %s is damaged, and cannot be replaced: %s", self._path, error)
                return False
            if done:
                self._file, self._damage = file_at(self._path), ""
                self._losses += 1
                self._repair_at = time.monotonic() + _NEXT_REPAIR_SECONDS
        return True

    def _is_damaged(self, seen: File | None, there: File) -> bool:
        if seen is not None:
            return seen == there
        # It could not even be opened, and another engine may have been first since then.
        try:
            check_sqlite(self._path, damaged=False)
        except StoreUnavailable as error:
            return is_damage(error.__cause__)
        return False


async def _nothing() -> None:
    """What has begun to replace a file goes on to its end."""


_RECORDS = (StoredReport, DatasetRecord, JobRecord)


def _marks(count: int) -> str:
    return ", ".join("?" * count)
