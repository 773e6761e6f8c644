"""Result store in one SQLite file in write-ahead mode; needs no server."""

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected, StorageFull, StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.contracts import DatasetRecord, JobRecord, StoredReport
from cqox.storage.pages import Page
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
    verified,
)
from cqox.storage.schema import MigrationStatus
from cqox.storage.sqlite_connections import Connections
from cqox.storage.sqlite_file import MIGRATIONS, applied, damage_of, is_damage, is_disk_fault, marks, migrate
from cqox.storage.sqlite_history import SqliteHistory
from cqox.storage.sqlite_identities import SqliteIdentities
from cqox.storage.sqlite_retention import SqliteRetention
from cqox.storage.sqlite_shares import SqliteShares
from cqox.storage.sqlite_turns import claim_turn, drop_ended_turns, release_turn

__all__ = ["SqliteStore"]

_logger = logging.getLogger("cqox.storage")
_HEAD = REPORT.replace(" report, provenance, figures,", " x'', x'', x'',")


class SqliteStore(SqliteRetention, SqliteHistory, SqliteShares, SqliteIdentities):
    """Reports and their annotations, the registry of data sets, and jobs in one file.

    Open it with `SqliteStore.open`. Writes are durable when the call returns (`synchronous=FULL`). Every call checks
    that its connection is to the file at the path: writes to a file that was removed or replaced would be lost. A call
    that detects damage has the file repaired, if `repair` is set, and is retried once.
    """

    def __init__(
        self,
        path: Path,
        *,
        connections: int = 4,
        seconds: float = 10.0,
        repair: bool = False,
        ballast: Ballast | None = None,
    ) -> None:
        """See `open`."""
        super().__init__(path)
        self._path = path
        self._connections = Connections(path, size=connections, seconds=seconds, repair=repair, ballast=ballast)
        # Error of the last failed write; empty after a successful one.
        self._unwritten = ""
        policy = store_policy(store_circuit("sqlite"), seconds=seconds)
        # Wrapped once: `Policy.call` builds its pipeline again for every call.
        self._guarded = policy(self._run)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        connections: int = 4,
        seconds: float = 10.0,
        repair: bool = False,
        ballast: Ballast | None = None,
    ) -> AsyncIterator[Self]:
        """Open the store in this file, created if missing; close it on exit.

        Args:
            path: the file.
            connections: maximum number of concurrent calls.
            seconds: timeout of one call.
            repair: whether a file that is no database, or is found damaged now or later, is set aside as
                `<name>.damaged-<time>` and replaced by one with all rows that can still be read. The store then also
                opens on a full or read-only disk: it reads what it can, and applies migrations later.
            ballast: reserve space to use for deletions on a full disk.

        Raises:
            StoreUnavailable: the file cannot be opened, is no SQLite database, or was written by a newer version.
        """
        store = cls(path, connections=connections, seconds=seconds, repair=repair, ballast=ballast)
        try:
            try:
                await store.migrate()
            except StoreUnavailable as error:
                if not repair or not is_disk_fault(error.__cause__):
                    raise
                store._connections.behind = True
                _logger.error("Results are read-only at best until the disk accepts writes: %s", error)
            yield store
        finally:
            store._connections.close()

    @property
    def epoch(self) -> int:
        """Number of times the stored data has been lost with its file; checks the file now."""
        return self._connections.epoch

    async def save(self, report: StoredReport) -> bool:
        """Insert the report unless an intact one with its id is stored; return whether this call inserted it."""
        statement = f"INSERT INTO reports ({REPORT}) VALUES ({marks(14)}) ON CONFLICT DO NOTHING"
        values, identity = row_of(report), (report.analysis_id,)

        def insert(connection: sqlite3.Connection) -> bool:
            if connection.execute(statement, values).rowcount == 1:
                return True
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = ?"
            found = loaded(connection.execute(query, identity).fetchone())
            if found is None or found.is_intact:
                return False
            connection.execute("DELETE FROM reports WHERE analysis_id = ?", identity)
            return connection.execute(statement, values).rowcount == 1

        return await self._write(insert)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """Return the report with this id, or None."""
        if not is_text(analysis_id):
            return None

        def load(connection: sqlite3.Connection) -> Loaded | None:
            query = f"SELECT {REPORT} FROM reports WHERE analysis_id = ?"
            return loaded(connection.execute(query, (analysis_id,)).fetchone())

        # Raised outside the policy: it must not count as a failure of the server.
        return verified(await self._call(load))

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Return reports, newest first, without their bodies."""
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
        """Insert the data set unless its id is registered; return the current row."""
        # The content of a sample changes with the code; an upload has the same bytes under the same id forever.
        conflict = (
            "DO UPDATE SET digest = excluded.digest, name = excluded.name, rows = excluded.rows, "
            "columns = excluded.columns, size_bytes = excluded.size_bytes, description = excluded.description"
            if record.sample
            else "DO NOTHING"
        )

        def enter(connection: sqlite3.Connection) -> DatasetRecord:
            connection.execute(
                f"INSERT INTO datasets ({DATASET}) VALUES ({marks(9)}) ON CONFLICT (dataset_id) {conflict}",
                row_of(record),
            )
            query = f"SELECT {DATASET} FROM datasets WHERE dataset_id = ?"
            return dataset_of(connection.execute(query, (record.dataset_id,)).fetchone())

        # Its files are stored by then, and would be missing from every listing.
        return await self._write(enter, essential=True)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set with this id, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        row = await self._row(f"SELECT {DATASET} FROM datasets WHERE dataset_id = ?", dataset_id)
        return None if row is None else dataset_of(row)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Return every data set: samples first, then newest first."""
        query = f"SELECT {DATASET} FROM datasets ORDER BY sample DESC, created_at DESC, dataset_id"
        return [dataset_of(row) for row in await self._rows(query)]

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """Give the data set another name; return its row, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        statement = f"UPDATE datasets SET name = ? WHERE dataset_id = ? RETURNING {DATASET}"
        row = await self._write(lambda connection: connection.execute(statement, (name, dataset_id)).fetchone())
        return None if row is None else dataset_of(row)

    async def forget(self, dataset_id: str) -> bool:
        """Delete the data set from the registry; return whether it was there."""
        return is_text(dataset_id) and await self._erase("DELETE FROM datasets WHERE dataset_id = ?", dataset_id) == 1

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Insert or update the job. A final status is never overwritten, except `interrupted`."""
        put = self._count if job.status == "running" else self._erase
        await put(
            f"INSERT INTO jobs ({JOB}, owner, renewed_until) VALUES ({marks(9)}) ON CONFLICT (job_id) DO UPDATE SET "
            "status = excluded.status, finished_at = excluded.finished_at, analysis_id = excluded.analysis_id, "
            "problem = excluded.problem, owner = excluded.owner, renewed_until = excluded.renewed_until "
            "WHERE jobs.status IN ('running', 'interrupted')",
            job,
            owner,
            time.time() + seconds,
        )

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Renew the leases of the owner's running jobs; return the number of jobs."""
        statement = "UPDATE jobs SET renewed_until = ? WHERE owner = ? AND status = 'running'"
        return await self._count(statement, time.time() + seconds, owner)

    async def interrupt_jobs(self, owner: str, *, finished_at: str, job_id: str | None = None) -> int:
        """Mark the running jobs of the owner as interrupted; return the number of jobs."""
        statement = (
            "UPDATE jobs SET status = 'interrupted', finished_at = ? "
            "WHERE owner = ? AND status = 'running' AND job_id = coalesce(?, job_id)"
        )
        return await self._erase(statement, finished_at, owner, job_id)

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Delete jobs that ended long ago; return the number of jobs. A job that has not ended is never deleted."""

        def retire(connection: sqlite3.Connection) -> int:
            statement = (
                "UPDATE jobs SET status = 'interrupted', finished_at = ? WHERE status = 'running' AND renewed_until < ?"
            )
            connection.execute(statement, (now, time.time() - ABANDONED_SECONDS))
            drop_ended_turns(connection)
            # SQLite has no OFFSET without a LIMIT.
            statement = (
                "DELETE FROM jobs WHERE status <> 'running' AND (coalesce(finished_at, created_at) < ? OR job_id IN "
                "(SELECT job_id FROM jobs WHERE status <> 'running' "
                "ORDER BY coalesce(finished_at, created_at) DESC, job_id DESC LIMIT -1 OFFSET ?))"
            )
            return connection.execute(statement, (ended_before, most)).rowcount

        return await self._write(retire, essential=True)

    async def job(self, job_id: str) -> JobRecord | None:
        """Return the job with this id, or None; its status is `interrupted` if its lease has expired."""
        if not is_text(job_id):
            return None
        status = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END"
        row = await self._row(f"SELECT {JOB.replace('status', status)} FROM jobs WHERE job_id = ?", time.time(), job_id)
        return None if row is None else job_of(row)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute a key; return whether the token holds it now."""
        return await self._write(lambda connection: claim_turn(connection, key, token, seconds))

    async def release_turn(self, key: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        await self._write(lambda connection: release_turn(connection, key, token))

    async def ping(self) -> None:
        """Check that the store answers, and that its file is neither damaged beyond repair nor read-only.

        Raises:
            StoreUnavailable: it does not answer, or its file is damaged or read-only.
        """
        await self._row("SELECT count(*) FROM sqlite_schema")
        if self._connections.damage:
            raise StoreUnavailable(
                Message("storage.sqlite-damaged", damage=self._connections.damage, name=self._path.name)
            )
        if self._unwritten:
            raise StoreUnavailable(self._unwritten)

    async def migrate(self) -> int:
        """Apply the pending schema migrations; return their number."""
        return await self._write(migrate, essential=True)

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Return every schema migration; SQLite does not record when it was applied."""
        done = await self._call(applied)
        return [
            MigrationStatus(number=number, name=name, applied_at="" if number <= done else None)
            for number, (name, _) in enumerate(MIGRATIONS, start=1)
        ]

    async def _row(self, query: str, *values: object) -> Sequence[object] | None:
        return await self._call(lambda connection: connection.execute(query, values).fetchone())

    async def _rows(self, query: str, *values: object) -> Sequence[Sequence[object]]:
        return await self._call(lambda connection: connection.execute(query, values).fetchall())

    async def _count(self, statement: str, *values: object, essential: bool = False) -> int:
        flat = [part for value in values for part in (row_of(value) if isinstance(value, _RECORDS) else (value,))]
        return await self._write(lambda connection: connection.execute(statement, flat).rowcount, essential=essential)

    async def _erase(self, statement: str, *values: object) -> int:
        """Execute a statement that must succeed on a full disk too: a deletion, or the end of a job."""
        return await self._count(statement, *values, essential=True)

    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        done = await self._call(work, essential=essential)
        self._unwritten = ""
        return done

    async def _run[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool) -> T:
        return await self._connections.run(work, essential=essential)

    async def _call[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        try:
            return await self._guarded(work, essential=essential)
        except (sqlite3.Error, AttemptTimeout, Rejected) as error:
            if is_damage(error):
                self._connections.damage = damage_of(error)
            message = Message("storage.sqlite-failed", name=self._path.name, reason=damage_of(error))
            if not is_disk_fault(error):
                raise StoreUnavailable(message) from error
            self._unwritten = message
            if self._connections.is_full(error):
                raise StorageFull(message) from error
            raise StoreUnavailable(message) from error


_RECORDS = (StoredReport, DatasetRecord, JobRecord)
