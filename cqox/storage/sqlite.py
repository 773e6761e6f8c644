"""Result store in one SQLite file in write-ahead mode; needs no server."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from cqox import clock
from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected, StorageFull, StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.contracts import DatasetRecord, JobRecord, StoredReport
from cqox.storage.facts import ReportFacts
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
from cqox.storage.sqlite_audit import SqliteAudit
from cqox.storage.sqlite_connections import Connections
from cqox.storage.sqlite_erasures import SqliteErasures
from cqox.storage.sqlite_facts import SqliteFacts
from cqox.storage.sqlite_file import damage_of, is_damage, is_disk_fault, marks
from cqox.storage.sqlite_history import SqliteHistory
from cqox.storage.sqlite_identities import SqliteIdentities
from cqox.storage.sqlite_reports import ONE_REPORT, insert_report
from cqox.storage.sqlite_resealing import SqliteResealing
from cqox.storage.sqlite_retention import SqliteRetention
from cqox.storage.sqlite_schema import enter, finish, is_entered, migrate, status
from cqox.storage.sqlite_shares import SqliteShares
from cqox.storage.sqlite_turns import claim_turn, drop_ended_turns, release_turn

__all__ = ["SqliteStore"]

_logger = logging.getLogger("cqox.storage")
_HEAD = REPORT.replace(" report, provenance, figures,", " x'', x'', x'',")


class SqliteStore(
    SqliteRetention,
    SqliteHistory,
    SqliteShares,
    SqliteIdentities,
    SqliteResealing,
    SqliteAudit,
    SqliteErasures,
    SqliteFacts,
):
    """Reports and their annotations, the registry of data sets, and jobs of all tenants in one file.

    Open it with `SqliteStore.open`, and bind it to a tenant by `within`. Writes are durable when the call returns
    (`synchronous=FULL`). Every call checks that its connection is to the file at the path: writes to a file that was
    removed or replaced would be lost. A call that detects damage has the file repaired, if `repair` is set, and is
    retried once.
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
    def on_server(self) -> bool:
        """False: the engines that share the file are on one disk."""
        return False

    @property
    def epoch(self) -> int:
        """Number of times the stored data has been lost with its file; checks the file now."""
        return self._connections.epoch

    async def save(
        self, report: StoredReport, *, document: bytes | None = None, facts: ReportFacts | None = None
    ) -> bool:
        """Insert the report unless an intact one with its id is stored; nothing here queries a document."""
        keys = self._keys
        return await self._write(lambda connection: insert_report(connection, keys, report, facts))

    async def load(self, analysis_id: str) -> StoredReport | None:
        """Return the report with this id, or None."""
        if not is_text(analysis_id):
            return None
        keys = self._keys

        def load(connection: sqlite3.Connection) -> Loaded | None:
            query = f"SELECT {REPORT} FROM {ONE_REPORT}"
            return loaded(connection.execute(query, (keys.tenant_id, keys.stored(analysis_id))).fetchone(), keys)

        # Raised outside the policy: it must not count as a failure of the server.
        return verified(await self._call(load))

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Return reports, newest first, without their bodies."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        keys, conditions, values = self._keys, "tenant_id = ?", list[str | int]([self._tenant])
        if dataset_id is not None:
            conditions += " AND dataset_id = ?"
            values.append(keys.stored(dataset_id))
        if before is not None:
            conditions += " AND (created_at, analysis_id) < (?, ?)"
            values += position(before, keys)
        query = f"SELECT {_HEAD} FROM reports WHERE {conditions} ORDER BY created_at DESC, analysis_id DESC LIMIT ?"
        return page_of(await self._rows(query, *values, limit + 1), limit, keys)

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Insert the data set unless its id is registered; return the current row."""
        # The content of a sample changes with the code; an upload has the same bytes under the same id forever.
        keys, conflict = (
            self._keys,
            (
                "DO UPDATE SET digest = excluded.digest, name = excluded.name, rows = excluded.rows, "
                "columns = excluded.columns, size_bytes = excluded.size_bytes, description = excluded.description "
                "WHERE datasets.tenant_id = excluded.tenant_id"
                if record.sample
                else "DO NOTHING"
            ),
        )

        def enter(connection: sqlite3.Connection) -> DatasetRecord:
            connection.execute(
                f"INSERT INTO datasets ({DATASET}, tenant_id) VALUES ({marks(11)}) ON CONFLICT (dataset_id) {conflict}",
                (*row_of(keys.stored_record(record)), keys.tenant_id),
            )
            query = f"SELECT {DATASET} FROM datasets WHERE tenant_id = ? AND dataset_id = ?"
            identity = (keys.tenant_id, keys.stored(record.dataset_id))
            return dataset_of(connection.execute(query, identity).fetchone(), keys)

        # Its files are stored by then, and would be missing from every listing.
        return await self._write(enter, essential=True)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set with this id, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        query = f"SELECT {DATASET} FROM datasets WHERE tenant_id = ? AND dataset_id = ?"
        row = await self._row(query, self._tenant, self._keys.stored(dataset_id))
        return None if row is None else dataset_of(row, self._keys)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Return every data set: samples first, then newest first."""
        query = f"SELECT {DATASET} FROM datasets WHERE tenant_id = ? ORDER BY sample DESC, created_at DESC, dataset_id"
        return [dataset_of(row, self._keys) for row in await self._rows(query, self._tenant)]

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """Give the data set another name; return its row, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        statement = f"UPDATE datasets SET name = ? WHERE tenant_id = ? AND dataset_id = ? RETURNING {DATASET}"
        values = (name, self._tenant, self._keys.stored(dataset_id))
        row = await self._write(lambda connection: connection.execute(statement, values).fetchone())
        return None if row is None else dataset_of(row, self._keys)

    async def forget(self, dataset_id: str) -> bool:
        """Delete the data set from the registry; return whether it was there."""
        statement = "DELETE FROM datasets WHERE tenant_id = ? AND dataset_id = ?"
        return is_text(dataset_id) and await self._erase(statement, self._tenant, self._keys.stored(dataset_id)) == 1

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Insert or update the job. A final status is never overwritten, except `interrupted`."""
        put = self._count if job.status == "running" else self._erase
        await put(
            f"INSERT INTO jobs ({JOB}, owner, renewed_until, tenant_id) VALUES ({marks(10)}) "
            "ON CONFLICT (job_id) DO UPDATE SET "
            "status = excluded.status, finished_at = excluded.finished_at, analysis_id = excluded.analysis_id, "
            "problem = excluded.problem, owner = excluded.owner, renewed_until = excluded.renewed_until "
            "WHERE jobs.tenant_id = excluded.tenant_id AND jobs.status IN ('running', 'interrupted')",
            *row_of(self._keys.stored_record(job)),
            owner,
            clock.wall_time() + seconds,
            self._tenant,
        )

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Renew the leases of the owner's running jobs, of all tenants; return the number of jobs."""
        statement = "/* every tenant */ UPDATE jobs SET renewed_until = ? WHERE owner = ? AND status = 'running'"
        return await self._count(statement, clock.wall_time() + seconds, owner)

    async def interrupt_jobs(self, owner: str, *, finished_at: str) -> int:
        """Mark the running jobs of the owner as interrupted, of all tenants; return the number of jobs."""
        statement = (
            "/* every tenant */ UPDATE jobs SET status = 'interrupted', finished_at = ? "
            "WHERE owner = ? AND status = 'running'"
        )
        return await self._erase(statement, finished_at, owner)

    async def interrupt_job(self, job_id: str, owner: str, *, finished_at: str) -> bool:
        """Mark a running job of the owner as interrupted; return whether this call did."""
        statement = (
            "UPDATE jobs SET status = 'interrupted', finished_at = ? "
            "WHERE tenant_id = ? AND job_id = ? AND owner = ? AND status = 'running'"
        )
        return await self._erase(statement, finished_at, self._tenant, self._keys.stored(job_id), owner) == 1

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Delete jobs that ended long ago; return the number of jobs. A job that has not ended is never deleted."""

        keys = self._keys

        def retire(connection: sqlite3.Connection) -> int:
            statement = (
                "UPDATE jobs SET status = 'interrupted', finished_at = ? "
                "WHERE tenant_id = ? AND status = 'running' AND renewed_until < ?"
            )
            connection.execute(statement, (now, keys.tenant_id, clock.wall_time() - ABANDONED_SECONDS))
            drop_ended_turns(connection, keys)
            # SQLite has no OFFSET without a LIMIT.
            statement = (
                "DELETE FROM jobs WHERE tenant_id = ? AND status <> 'running' "
                "AND (coalesce(finished_at, created_at) < ? OR job_id IN "
                "(SELECT job_id FROM jobs WHERE tenant_id = ? AND status <> 'running' "
                "ORDER BY coalesce(finished_at, created_at) DESC, job_id DESC LIMIT -1 OFFSET ?))"
            )
            return connection.execute(statement, (keys.tenant_id, ended_before, keys.tenant_id, most)).rowcount

        return await self._write(retire, essential=True)

    async def job(self, job_id: str) -> JobRecord | None:
        """Return the job with this id, or None; its status is `interrupted` if its lease has expired."""
        if not is_text(job_id):
            return None
        status = "CASE WHEN status = 'running' AND renewed_until < ? THEN 'interrupted' ELSE status END"
        query = f"SELECT {JOB.replace('status', status)} FROM jobs WHERE tenant_id = ? AND job_id = ?"
        row = await self._row(query, clock.wall_time(), self._tenant, self._keys.stored(job_id))
        return None if row is None else job_of(row, self._keys)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute a key; return whether the token holds it now."""
        keys = self._keys
        return await self._write(lambda connection: claim_turn(connection, keys, key, token, seconds))

    async def release_turn(self, key: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        keys = self._keys
        await self._write(lambda connection: release_turn(connection, keys, key, token))

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
        if self._connections.unwritten:
            raise StoreUnavailable(self._connections.unwritten)

    async def migrate(self) -> int:
        """Apply the pending schema migrations; return their number."""
        return await self._write(migrate, essential=True)

    async def finish(self) -> int:
        """Apply the step that ends the use of the schema by earlier releases; return 0 where it was applied before."""
        return await self._write(finish, essential=True)

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Return every schema migration; of the first ones SQLite does not record when they were applied."""
        return await self._call(status)

    async def passing_role(self) -> None:
        """Return None: a file has no roles."""

    async def _row(self, query: str, *values: object) -> Sequence[object] | None:
        return await self._call(lambda connection: connection.execute(query, values).fetchone())

    async def _rows(self, query: str, *values: object) -> Sequence[Sequence[object]]:
        return await self._call(lambda connection: connection.execute(query, values).fetchall())

    async def _count(self, statement: str, *values: object, essential: bool = False) -> int:
        return await self._write(lambda connection: connection.execute(statement, values).rowcount, essential=essential)

    async def _erase(self, statement: str, *values: object) -> int:
        """Execute a statement that must succeed on a full disk too: a deletion, or the end of a job."""
        return await self._count(statement, *values, essential=True)

    async def _write[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        done = await self._call(work, essential=essential)
        self._connections.unwritten = ""
        return done

    async def _enter(self, tenant_id: str) -> None:
        """Register a tenant at its first call. From the second tenant on earlier releases refuse the file."""
        entered = (self._connections.losses, tenant_id)
        if entered in self._connections.entered:
            return
        if not await self._ask(lambda connection: is_entered(connection, tenant_id)):
            await self._ask(lambda connection: enter(connection, tenant_id), essential=True)
        self._connections.entered.add(entered)

    async def _run[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool) -> T:
        return await self._connections.run(work, essential=essential)

    async def _call[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        if self._bound is not None and not self._bound.is_default:
            await self._enter(self._tenant)
        return await self._ask(work, essential=essential)

    async def _ask[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        try:
            return await self._guarded(work, essential=essential)
        except (sqlite3.Error, AttemptTimeout, Rejected) as error:
            if is_damage(error):
                self._connections.damage = damage_of(error)
            message = Message("storage.sqlite-failed", name=self._path.name, reason=damage_of(error))
            if not is_disk_fault(error):
                raise StoreUnavailable(message) from error
            self._connections.unwritten = message
            if self._connections.is_full(error):
                raise StorageFull(message) from error
            raise StoreUnavailable(message) from error
