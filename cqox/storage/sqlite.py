"""The result store that needs no server: one SQLite file in write-ahead mode."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
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

__all__ = ["SqliteStore"]

_MIGRATIONS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "reports, data sets and jobs",
        (
            """CREATE TABLE IF NOT EXISTS reports (
                analysis_id TEXT PRIMARY KEY,
                dataset_id TEXT NOT NULL,
                created_at TEXT NOT NULL,
                status TEXT NOT NULL,
                verdict TEXT,
                "primary" TEXT,
                estimate REAL,
                report BLOB NOT NULL,
                provenance BLOB NOT NULL,
                figures BLOB NOT NULL,
                digest TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX IF NOT EXISTS reports_by_time ON reports (created_at, analysis_id)",
            "CREATE INDEX IF NOT EXISTS reports_by_dataset ON reports (dataset_id, created_at, analysis_id)",
            """CREATE TABLE IF NOT EXISTS datasets (
                dataset_id TEXT PRIMARY KEY,
                digest TEXT NOT NULL,
                name TEXT NOT NULL,
                rows INTEGER NOT NULL,
                columns INTEGER NOT NULL,
                size_bytes INTEGER NOT NULL,
                created_at TEXT NOT NULL,
                sample INTEGER NOT NULL,
                description BLOB NOT NULL
            ) WITHOUT ROWID""",
            """CREATE TABLE jobs (
                job_id TEXT PRIMARY KEY,
                dataset_id TEXT NOT NULL,
                status TEXT NOT NULL,
                created_at TEXT NOT NULL,
                finished_at TEXT,
                analysis_id TEXT,
                problem BLOB,
                owner TEXT NOT NULL,
                renewed_until REAL NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX jobs_running ON jobs (owner) WHERE status = 'running'",
        ),
    ),
    (
        "jobs by when they ended",
        ("CREATE INDEX jobs_ended ON jobs (coalesce(finished_at, created_at), job_id) WHERE status <> 'running'",),
    ),
)
_HEAD = REPORT.replace(" report, provenance, figures,", " x'', x'', x'',")
# A wait for the write lock cannot be interrupted, so it is made of short ones.
_BUSY_SECONDS = 0.1


class SqliteStore:
    """Reports, the registry of data sets and jobs in one file.

    Open it with `SqliteStore.open`. Writes are durable when the call returns (`synchronous=FULL`).
    """

    def __init__(self, path: Path, *, connections: int = 4, seconds: float = 10.0) -> None:
        """See `open`."""
        self._path = path
        self._seconds = seconds
        self._threads = Threads("sqlite", connections)
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._policy = store_policy(store_circuit("sqlite"), seconds=seconds)
        # Guarded once: the frame of a policy is made anew for every `Policy.call`.
        self._guarded = self._policy(self._run)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, connections: int = 4, seconds: float = 10.0) -> AsyncIterator[Self]:
        """The store in this file, which is created where there is none; closed on leaving.

        Args:
            path: the file.
            connections: how many calls run at once.
            seconds: the limit of one call.

        Raises:
            StoreUnavailable: the file cannot be opened, is no SQLite database, or was written by a newer version.
        """
        store = cls(path, connections=connections, seconds=seconds)
        try:
            await store.migrate()
            yield store
        finally:
            store._threads.close()
            while not store._idle.empty():
                store._idle.get().close()

    async def save(self, report: StoredReport) -> bool:
        """Keep the report unless one of its id is there already; whether this call inserted it."""
        return (
            await self._count(f"INSERT INTO reports ({REPORT}) VALUES ({_marks(11)}) ON CONFLICT DO NOTHING", report)
            == 1
        )

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

    async def interrupt_jobs(self, owner: str, *, finished_at: str) -> int:
        """Say that the owner is gone, and what it ran with it; how many jobs those were."""
        statement = "UPDATE jobs SET status = 'interrupted', finished_at = ? WHERE owner = ? AND status = 'running'"
        return await self._count(statement, finished_at, owner)

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
        """Nothing, if the store answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self._row("SELECT 1")

    async def migrate(self) -> int:
        """Bring the schema to the newest step; how many steps that took."""
        return await self._call(_migrate)

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Every step of the schema; SQLite does not record when it was applied."""
        applied = await self._call(_applied)
        return [
            MigrationStatus(number=number, name=name, applied_at="" if number <= applied else None)
            for number, (name, _) in enumerate(_MIGRATIONS, start=1)
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
            raise StoreUnavailable(f"The result store {self._path.name} did not do it: {error}.") from error

    async def _run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        use = _Use(self._idle, self._connect, seconds=self._seconds)
        return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


_RECORDS = (StoredReport, DatasetRecord, JobRecord)


class _Use:
    """One call on one connection, which another thread may end. A connection told to interrupt cannot change hands."""

    def __init__(
        self, idle: SimpleQueue[sqlite3.Connection], connect: Callable[[], sqlite3.Connection], *, seconds: float
    ) -> None:
        self._idle = idle
        self._connect = connect
        self._ends_at = time.monotonic() + seconds
        self._lock = Lock()
        self._cancelled = False
        self._connection: sqlite3.Connection | None = None

    def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        while True:
            try:
                return self._attempt(work)
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or self._cancelled or time.monotonic() > self._ends_at:
                    raise

    def _attempt[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        with self._lock:
            self._connection = connection
        try:
            with connection:
                return work(connection)
        finally:
            with self._lock:
                self._connection = None
            self._idle.put(connection)

    async def interrupt(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._connection is not None:
                self._connection.interrupt()


def _migrate(connection: sqlite3.Connection) -> int:
    done = 0
    while (number := _applied(connection)) < len(_MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been first while this one waited for the lock.
        if _applied(connection) == number:
            for statement in _MIGRATIONS[number][1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            done += 1
        connection.commit()
    return done


def _applied(connection: sqlite3.Connection) -> int:
    number = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if number > len(_MIGRATIONS):
        raise StoreUnavailable(
            f"The file has schema step {number}, and this version of CQOx knows {len(_MIGRATIONS)}: "
            "run the newer version."
        )
    return number


def _marks(count: int) -> str:
    return ", ".join("?" * count)
