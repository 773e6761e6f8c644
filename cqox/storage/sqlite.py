"""The result store that needs no server: one SQLite file in write-ahead mode."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from anyio import CapacityLimiter

from cqox.errors import StoreUnavailable
from cqox.storage.blocking import interruptible
from cqox.storage.contracts import DatasetRecord, Page, StoredReport

__all__ = ["SqliteStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reports (
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
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reports_by_time ON reports (created_at, analysis_id);
CREATE INDEX IF NOT EXISTS reports_by_dataset ON reports (dataset_id, created_at, analysis_id);
CREATE TABLE IF NOT EXISTS datasets (
    dataset_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    sample INTEGER NOT NULL,
    description BLOB NOT NULL
) WITHOUT ROWID;
"""
_REPORT = (
    'analysis_id, dataset_id, created_at, status, verdict, "primary", estimate, report, provenance, figures, digest'
)
_HEAD = "analysis_id, dataset_id, created_at, status, verdict, \"primary\", estimate, x'', x'', x'', digest"
_DATASET = "dataset_id, digest, name, rows, columns, size_bytes, created_at, sample, description"


class SqliteStore:
    """Reports and the registry of data sets in one file.

    Open it with `SqliteStore.open`. Writes are durable when the call returns (`synchronous=FULL`).
    """

    def __init__(self, path: Path, *, connections: int = 4, busy_seconds: float = 10.0) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._limiter = CapacityLimiter(connections)
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, connections: int = 4) -> AsyncIterator[Self]:
        """The store in this file, which is created where there is none; closed on leaving.

        Raises:
            StoreUnavailable: the file cannot be opened or is no SQLite database.
        """
        store = cls(path, connections=connections)
        await store._call(lambda connection: connection.executescript(_SCHEMA))
        try:
            yield store
        finally:
            while not store._idle.empty():
                store._idle.get().close()

    async def save(self, report: StoredReport) -> bool:
        """Keep the report unless one of its id is there already; whether this call inserted it."""
        row = (
            report.analysis_id,
            report.dataset_id,
            report.created_at,
            report.status,
            report.verdict,
            report.primary,
            report.estimate,
            report.report,
            report.provenance,
            report.figures,
            report.digest,
        )
        marks = ", ".join("?" * len(row))
        statement = f"INSERT INTO reports ({_REPORT}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        return await self._call(lambda connection: connection.execute(statement, row).rowcount == 1)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """The report of this id, if it is kept."""
        query = f"SELECT {_REPORT} FROM reports WHERE analysis_id = ?"
        row = await self._call(lambda connection: connection.execute(query, (analysis_id,)).fetchone())
        return None if row is None else _report(row)

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Reports, newest first, without their bodies."""
        clauses, values = ["1 = 1"], list[str | int]()
        if dataset_id is not None:
            clauses.append("dataset_id = ?")
            values.append(dataset_id)
        if before is not None:
            created_at, _, analysis_id = before.rpartition("|")
            clauses.append("(created_at, analysis_id) < (?, ?)")
            values += [created_at, analysis_id]
        query = (
            f"SELECT {_HEAD} FROM reports WHERE {' AND '.join(clauses)} "
            "ORDER BY created_at DESC, analysis_id DESC LIMIT ?"
        )
        values.append(limit + 1)
        rows = await self._call(lambda connection: connection.execute(query, values).fetchall())
        items = [_report(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items=items, next=f"{items[-1].created_at}|{items[-1].analysis_id}" if more else None)

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Enter the data set unless its id is there already; the row as it now stands."""
        row = (
            record.dataset_id,
            record.digest,
            record.name,
            record.rows,
            record.columns,
            record.size_bytes,
            record.created_at,
            int(record.sample),
            record.description,
        )
        marks = ", ".join("?" * len(row))

        def enter(connection: sqlite3.Connection) -> DatasetRecord:
            # A sample's content follows the code; what a user uploaded is the same bytes under the same id for ever.
            conflict = (
                "DO UPDATE SET digest = excluded.digest, name = excluded.name, rows = excluded.rows, "
                "columns = excluded.columns, size_bytes = excluded.size_bytes, description = excluded.description"
                if record.sample
                else "DO NOTHING"
            )
            connection.execute(
                f"INSERT INTO datasets ({_DATASET}) VALUES ({marks}) ON CONFLICT (dataset_id) {conflict}", row
            )
            query = f"SELECT {_DATASET} FROM datasets WHERE dataset_id = ?"
            return _dataset(connection.execute(query, (record.dataset_id,)).fetchone())

        return await self._call(enter)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """The data set of this id, if it is registered."""
        query = f"SELECT {_DATASET} FROM datasets WHERE dataset_id = ?"
        row = await self._call(lambda connection: connection.execute(query, (dataset_id,)).fetchone())
        return None if row is None else _dataset(row)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Every data set: samples first, then newest first."""
        query = f"SELECT {_DATASET} FROM datasets ORDER BY sample DESC, created_at DESC, dataset_id"
        rows = await self._call(lambda connection: connection.execute(query).fetchall())
        return [_dataset(row) for row in rows]

    async def forget(self, dataset_id: str) -> bool:
        """Strike the data set from the registry; whether it was there."""
        statement = "DELETE FROM datasets WHERE dataset_id = ?"
        return await self._call(lambda connection: connection.execute(statement, (dataset_id,)).rowcount == 1)

    async def ping(self) -> None:
        """Nothing, if the store answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self._call(lambda connection: connection.execute("SELECT 1").fetchone())

    async def _call[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        borrowed: list[sqlite3.Connection] = []

        def call() -> T:
            connection = self._borrow()
            borrowed.append(connection)
            try:
                with connection:
                    return work(connection)
            finally:
                borrowed.clear()
                self._idle.put(connection)

        async def interrupt() -> None:
            for connection in list(borrowed):
                connection.interrupt()

        try:
            return await interruptible(call, limiter=self._limiter, interrupt=interrupt)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The result store {self._path.name} did not answer: {error}.") from error

    def _borrow(self) -> sqlite3.Connection:
        if not self._idle.empty():
            return self._idle.get()
        connection = sqlite3.connect(self._path, timeout=self._busy_seconds, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _report(row: Sequence[object]) -> StoredReport:
    names = StoredReport.__dataclass_fields__
    return StoredReport(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]


def _dataset(row: Sequence[object]) -> DatasetRecord:
    values = dict(zip(DatasetRecord.__dataclass_fields__, row, strict=True))
    values["sample"] = bool(values["sample"])
    return DatasetRecord(**values)  # type: ignore[arg-type]
