"""Statements of the result store on a PostgreSQL server; `connections` executes them."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString, Self

import psycopg
from anyio import CancelScope, CapacityLimiter, Lock, current_time, to_thread
from psycopg.rows import TupleRow

from cqox.certificates import Credentials
from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected, StorageFull, StoreUnavailable
from cqox.storage.contracts import DatasetRecord, JobRecord, StoredReport
from cqox.storage.pages import Page
from cqox.storage.policy import RECOVERY_SECONDS, store_circuit, store_policy
from cqox.storage.pools import PoolUse
from cqox.storage.postgres.address import check_address
from cqox.storage.postgres.connections import Connections
from cqox.storage.postgres.history import PostgresHistory
from cqox.storage.postgres.identities import PostgresIdentities
from cqox.storage.postgres.retention import PostgresRetention
from cqox.storage.postgres.schema import migrate, migration_status
from cqox.storage.postgres.shares import PostgresShares
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

__all__ = ["PostgresStore"]

type _Connection = psycopg.Connection[TupleRow]

_HEAD = REPORT.replace(" report, provenance, figures,", " ''::bytea, ''::bytea, ''::bytea,")
_REPORT_MARKS = ", ".join(["%s"] * 14)
_DATASET_MARKS = ", ".join(["%s"] * 9)
_JOB_MARKS = ", ".join(["%s"] * 7)
_BRIEF_SECONDS = 1.0
"""Timeout of a call to a server that has just failed to answer one, in seconds: callers soon take their fallback."""

_logger = logging.getLogger("cqox.storage")


class PostgresStore(PostgresRetention, PostgresHistory, PostgresShares, PostgresIdentities):
    """Reports, annotations, the data set registry and jobs in a PostgreSQL database shared by any number of engines.

    Open it with `PostgresStore.open`. The first call that reaches the server applies pending schema migrations, so an
    engine may start while its database is unreachable.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int = 8,
        seconds: float = 10.0,
        recovery_seconds: float = RECOVERY_SECONDS,
        credentials: Credentials | None = None,
    ) -> None:
        """See `open`."""
        check_address(conninfo)
        self._connections = Connections(
            conninfo, size=size, seconds=seconds, statement_seconds=seconds + 5, credentials=credentials
        )
        circuit = store_circuit("postgres", recovery_seconds=recovery_seconds)
        # Wrapped once: `Policy.call` builds its pipeline again for every call.
        self._run = store_policy(circuit, seconds=seconds, attempts=3)(self._reach)
        brief = store_policy(circuit, name="postgres brief", seconds=min(seconds, _BRIEF_SECONDS))
        self._run_briefly = brief(self._reach)
        # Start of each pending call: once the server is known to be silent, the deadlines of all are shortened.
        self._waiting: dict[CancelScope, float] = {}
        self._migrated = False
        self._migrating = Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        conninfo: str,
        *,
        size: int = 8,
        seconds: float = 10.0,
        recovery_seconds: float = RECOVERY_SECONDS,
        credentials: Credentials | None = None,
    ) -> AsyncIterator[Self]:
        """Open the store in this database, also if the server is unreachable; close it on exit.

        Args:
            conninfo: URL (`postgresql://user:password@host:5432/name`) or key-value string, as libpq reads it.
            size: maximum number of connections.
            seconds: timeout of one call.
            recovery_seconds: how long the circuit stays open before a probe.
            credentials: certificates for TLS, where `conninfo` says nothing about it.

        Raises:
            ValueError: `conninfo` cannot be read.
        """
        store = cls(conninfo, size=size, seconds=seconds, recovery_seconds=recovery_seconds, credentials=credentials)
        store._connections.open()
        try:
            yield store
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(store._connections.close, limiter=CapacityLimiter(1))

    def pool_use(self) -> PoolUse:
        """Return the utilisation of the pool; safe from any thread."""
        return self._connections.use()

    async def save(self, report: StoredReport) -> bool:
        """Insert the report unless an intact one with its id is stored; return whether this call inserted it.

        The row names the call that inserted it, so that a retry after a lost answer recognises its own insert.
        """
        insertion = secrets.token_hex(16)

        def insert(connection: _Connection) -> bool:
            try:
                return _insert(connection, report, insertion, _document(report))
            except psycopg.DataError as error:
                _logger.info("JSONB cannot hold the analysis %s: %s", report.analysis_id, error)
                return _insert(connection, report, insertion, None)

        return await self._call(insert)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """Return the report with this id, or None."""
        if not is_text(analysis_id):
            return None

        def load(connection: _Connection) -> Loaded | None:
            query: LiteralString = f"SELECT {REPORT} FROM reports WHERE analysis_id = %s"
            return loaded(connection.execute(query, (analysis_id,), binary=True).fetchone())

        # Raised outside the policy: it must not count as a failure of the server.
        return verified(await self._call(load))

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Return reports, newest first, without their bodies."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        conditions: LiteralString = "true"
        values = list[str | int]()
        if dataset_id is not None:
            conditions += " AND dataset_id = %s"
            values.append(dataset_id)
        if before is not None:
            conditions += " AND (created_at, analysis_id) < (%s, %s)"
            values += position(before)
        query: LiteralString = (
            f"SELECT {_HEAD} FROM reports WHERE {conditions} ORDER BY created_at DESC, analysis_id DESC LIMIT %s"
        )
        return page_of(await self._rows(query, *values, limit + 1), limit)

    async def register(self, record: DatasetRecord) -> DatasetRecord:
        """Insert the data set unless its id is registered; return the current row."""
        # The content of a sample changes with the code. An upload has the same bytes under the same id forever; it is
        # updated to itself only for the RETURNING clause.
        changes: LiteralString = (
            "digest = excluded.digest, name = excluded.name, rows = excluded.rows, columns = excluded.columns, "
            "size_bytes = excluded.size_bytes, description = excluded.description"
            if record.sample
            else "dataset_id = excluded.dataset_id"
        )
        row = await self._row(
            f"INSERT INTO datasets ({DATASET}) VALUES ({_DATASET_MARKS}) "
            f"ON CONFLICT (dataset_id) DO UPDATE SET {changes} RETURNING {DATASET}",
            *row_of(record),
        )
        return record if row is None else dataset_of(row)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set with this id, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        row = await self._row(f"SELECT {DATASET} FROM datasets WHERE dataset_id = %s", dataset_id)
        return None if row is None else dataset_of(row)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Return every data set: samples first, then newest first."""
        query: LiteralString = f"SELECT {DATASET} FROM datasets ORDER BY sample DESC, created_at DESC, dataset_id"
        return [dataset_of(row) for row in await self._rows(query)]

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """Give the data set another name; return its row, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        row = await self._row(
            f"UPDATE datasets SET name = %s WHERE dataset_id = %s RETURNING {DATASET}", name, dataset_id
        )
        return None if row is None else dataset_of(row)

    async def forget(self, dataset_id: str) -> bool:
        """Delete the data set from the registry; return whether it was there."""
        return is_text(dataset_id) and await self._count("DELETE FROM datasets WHERE dataset_id = %s", dataset_id) == 1

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        """Insert or update the job. A final status is never overwritten, except `interrupted`."""
        await self._count(
            f"INSERT INTO jobs ({JOB}, owner, renewed_until) "
            f"VALUES ({_JOB_MARKS}, %s, clock_timestamp() + make_interval(secs => %s)) "
            "ON CONFLICT (job_id) DO UPDATE SET status = excluded.status, finished_at = excluded.finished_at, "
            "analysis_id = excluded.analysis_id, problem = excluded.problem, owner = excluded.owner, "
            "renewed_until = excluded.renewed_until WHERE jobs.status IN ('running', 'interrupted')",
            *row_of(job),
            owner,
            seconds,
        )

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        """Renew the leases of the owner's running jobs; return the number of jobs."""
        return await self._count(
            "UPDATE jobs SET renewed_until = clock_timestamp() + make_interval(secs => %s) "
            "WHERE owner = %s AND status = 'running'",
            seconds,
            owner,
        )

    async def interrupt_jobs(self, owner: str, *, finished_at: str, job_id: str | None = None) -> int:
        """Mark the running jobs of the owner as interrupted; return the number of jobs."""
        return await self._count(
            "UPDATE jobs SET status = 'interrupted', finished_at = %s "
            "WHERE owner = %s AND status = 'running' AND job_id = coalesce(%s, job_id)",
            finished_at,
            owner,
            job_id,
        )

    async def retire_jobs(self, *, ended_before: str, most: int, now: str) -> int:
        """Delete jobs that ended long ago; return the number of jobs. A job that has not ended is never deleted."""

        def retire(connection: _Connection) -> int:
            connection.execute(
                "UPDATE jobs SET status = 'interrupted', finished_at = %s WHERE status = 'running' "
                "AND renewed_until < clock_timestamp() - make_interval(secs => %s)",
                (now, ABANDONED_SECONDS),
            )
            connection.execute("DELETE FROM turns WHERE held_until < clock_timestamp()")
            return connection.execute(
                "DELETE FROM jobs WHERE status <> 'running' AND (coalesce(finished_at, created_at) < %s OR job_id IN "
                "(SELECT job_id FROM jobs WHERE status <> 'running' "
                "ORDER BY coalesce(finished_at, created_at) DESC, job_id DESC OFFSET %s))",
                (ended_before, most),
            ).rowcount

        return await self._call(retire)

    async def job(self, job_id: str) -> JobRecord | None:
        """Return the job with this id, or None; its status is `interrupted` if its lease has expired."""
        if not is_text(job_id):
            return None
        # The server's clock decides for all engines, independent of their own clocks.
        status: LiteralString = (
            "CASE WHEN status = 'running' AND renewed_until < clock_timestamp() THEN 'interrupted' ELSE status END"
        )
        columns: LiteralString = JOB.replace("status", status)
        row = await self._row(f"SELECT {columns} FROM jobs WHERE job_id = %s", job_id)
        return None if row is None else job_of(row)

    async def claim_turn(self, key: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease to compute a key; return whether the token holds it now."""
        # The server's clock decides for all engines. Unlike an advisory lock, a row works through connection poolers.
        count = await self._count(
            "INSERT INTO turns AS held (key, token, held_until) "
            "VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s)) ON CONFLICT (key) DO UPDATE SET "
            "token = excluded.token, held_until = excluded.held_until "
            "WHERE held.token = excluded.token OR held.held_until < clock_timestamp()",
            key,
            token,
            seconds,
        )
        return count == 1

    async def release_turn(self, key: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        await self._count("DELETE FROM turns WHERE key = %s AND token = %s", key, token)

    async def ping(self) -> None:
        """Check that the store answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self._call(lambda connection: connection.execute("SELECT 1").fetchone(), brief=True)

    async def migrate(self) -> int:
        """Apply the pending schema migrations; return their number."""
        return await self._guarded(migrate)

    async def migrations(self) -> Sequence[MigrationStatus]:
        """Return every schema migration, and when it was applied."""
        return await self._guarded(migration_status)

    async def _row(self, query: LiteralString, *values: object) -> TupleRow | None:
        return await self._call(lambda connection: connection.execute(query, values, binary=True).fetchone())

    async def _rows(self, query: LiteralString, *values: object) -> list[TupleRow]:
        return await self._call(lambda connection: connection.execute(query, values, binary=True).fetchall())

    async def _count(self, statement: LiteralString, *values: object) -> int:
        return await self._call(lambda connection: connection.execute(statement, values).rowcount)

    async def _call[T](self, work: Callable[[_Connection], T], *, brief: bool = False) -> T:
        return await self._guarded(work, brief=brief, migrated=True)

    async def _reach[T](self, work: Callable[[_Connection], T], *, migrated: bool) -> T:
        if migrated and not self._migrated:
            # Calls that wait for the migration hold neither a thread nor a connection, and can be cancelled.
            async with self._migrating:
                if not self._migrated:
                    await self._connections.run(migrate)
                    self._migrated = True
        return await self._connections.run(work)

    async def _guarded[T](self, work: Callable[[_Connection], T], *, brief: bool = False, migrated: bool = False) -> T:
        # A migration may take longer than the timeout of any other call.
        brief = brief or (self._connections.silent and self._migrated)
        scope, asked = CancelScope(), False
        self._waiting[scope] = current_time()

        def asking(connection: _Connection) -> T:
            nonlocal asked
            asked = True
            return work(connection)

        try:
            with scope:
                done = await (self._run_briefly if brief else self._run)(asking, migrated=migrated)
                self._connections.silent = False
                return done
            raise StoreUnavailable(Message("storage.postgres-stopped-answering"))
        except (psycopg.Error, AttemptTimeout, Rejected) as error:
            # A timeout while waiting for a free connection is no evidence about the server.
            if isinstance(error, AttemptTimeout) and (asked or not self._connections.exhausted):
                self._mark_silent()
            reason = " ".join(str(error).split()).rstrip(".?") or type(error).__name__
            unavailable = StorageFull if isinstance(error, psycopg.errors.DiskFull) else StoreUnavailable
            raise unavailable(Message("storage.postgres-failed", reason=reason)) from error
        finally:
            del self._waiting[scope]

    def _mark_silent(self) -> None:
        self._connections.silent = True
        if self._migrated:
            for scope, began in self._waiting.items():
                scope.deadline = min(scope.deadline, began + _BRIEF_SECONDS)


def _insert(connection: _Connection, report: StoredReport, insertion: str, document: str | None) -> bool:
    statement: LiteralString = (
        f"INSERT INTO reports ({REPORT}, document, insertion) VALUES "
        f"({_REPORT_MARKS}, %s::jsonb, %s) ON CONFLICT DO NOTHING"
    )
    if connection.execute(statement, (*row_of(report), document, insertion)).rowcount == 1:
        return True
    if connection.execute(
        "SELECT 1 FROM reports WHERE analysis_id = %s AND insertion = %s", (report.analysis_id, insertion)
    ).fetchone():
        return True
    query: LiteralString = f"SELECT {REPORT} FROM reports WHERE analysis_id = %s"
    found = loaded(connection.execute(query, (report.analysis_id,), binary=True).fetchone())
    if found is None or found.is_intact:
        return False
    with connection.transaction():
        connection.execute("DELETE FROM reports WHERE analysis_id = %s", (report.analysis_id,))
        return connection.execute(statement, (*row_of(report), document, insertion)).rowcount == 1


def _document(report: StoredReport) -> str | None:
    try:
        return report.report.decode()
    except UnicodeDecodeError:
        return None
