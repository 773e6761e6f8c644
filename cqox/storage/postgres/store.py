"""Statements of the result store on a PostgreSQL server; `connections` executes them."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, LiteralString, Self

import psycopg
from anyio import CancelScope, CapacityLimiter, Lock, current_time
from psycopg.rows import TupleRow

from cqox import randomness
from cqox.certificates import Credentials
from cqox.contract.messages import Message
from cqox.errors import AttemptTimeout, Rejected, StorageFull, StoreUnavailable
from cqox.storage.contracts import DatasetRecord, StoredReport
from cqox.storage.facts import ReportFacts
from cqox.storage.pages import Page
from cqox.storage.policy import RECOVERY_SECONDS, store_circuit, store_policy
from cqox.storage.pools import PoolUse
from cqox.storage.postgres.address import check_address, server_of
from cqox.storage.postgres.audit import PostgresAudit
from cqox.storage.postgres.connections import EVERY_TENANT, NO_TENANT, Connections, DatabaseConnections
from cqox.storage.postgres.erasures import PostgresErasures
from cqox.storage.postgres.facts import PostgresFacts
from cqox.storage.postgres.history import PostgresHistory
from cqox.storage.postgres.identities import PostgresIdentities
from cqox.storage.postgres.jobs import PostgresJobs
from cqox.storage.postgres.reports import LOAD, insert_report
from cqox.storage.postgres.resealing import PostgresResealing
from cqox.storage.postgres.retention import PostgresRetention
from cqox.storage.postgres.row_security import enter, finish, passing_role, void_wall
from cqox.storage.postgres.schema import migrate, migration_status
from cqox.storage.postgres.shares import PostgresShares
from cqox.storage.postgres.silence import ObservedCall, Silence
from cqox.storage.rows import (
    DATASET,
    REPORT,
    Loaded,
    dataset_of,
    is_text,
    loaded,
    page_of,
    position,
    row_of,
    verified,
)
from cqox.storage.schema import MigrationStatus
from cqox.storage.server_address import ServerAddress
from cqox.storage.tenant_ids import DEFAULT_TENANT
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.vault.database import DatabaseLogins

__all__ = ["PostgresStore"]

type _Connection = psycopg.Connection[TupleRow]

_HEAD = REPORT.replace(" report, provenance, figures,", " ''::bytea, ''::bytea, ''::bytea,")
_DATASET_MARKS = ", ".join(["%s"] * 10)
_BRIEF_SECONDS = 1.0
"""Timeout of a probe, and of a call to a server that is silent, in seconds: callers soon take their fallback."""

_logger = logging.getLogger("cqox.storage")


def _insertion_id() -> str:
    return randomness.token_hex(16)


class PostgresStore(
    PostgresJobs,
    PostgresRetention,
    PostgresHistory,
    PostgresShares,
    PostgresIdentities,
    PostgresAudit,
    PostgresErasures,
    PostgresResealing,
    PostgresFacts,
):
    """Reports, annotations, data sets and jobs of all tenants in a PostgreSQL database shared by any number of engines.

    Open it with `PostgresStore.open`, and bind it to a tenant by `within`. The first call that reaches the server
    applies pending schema migrations, so an engine may start while its database is unreachable.
    """

    server: ServerAddress | None = None

    def __init__(
        self,
        connections: DatabaseConnections,
        *,
        seconds: float = 10.0,
        recovery_seconds: float = RECOVERY_SECONDS,
        insertion_id: Callable[[], str] = _insertion_id,
    ) -> None:
        """See `open`. Each insertion of a report has an id of its own."""
        self._connections = connections
        self._insertion_id = insertion_id
        circuit = store_circuit("postgres", recovery_seconds=recovery_seconds)
        # Wrapped once: `Policy.call` builds its pipeline again for every call.
        self._run = store_policy(circuit, seconds=seconds, attempts=3)(self._reach)
        brief = store_policy(circuit, name="postgres brief", seconds=min(seconds, _BRIEF_SECONDS))
        self._run_briefly = brief(self._reach)
        self._seconds, self._brief_seconds = seconds, min(seconds, _BRIEF_SECONDS)
        # Start of each pending call: once the server is known to be silent, the deadlines of all are shortened.
        self._waiting: dict[CancelScope, float] = {}
        self._silence = Silence()
        self._schema = _Schema()

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
        logins: "DatabaseLogins | None" = None,
    ) -> AsyncIterator[Self]:
        """Open the store in this database, also if the server is unreachable; close it on exit.

        Args:
            conninfo: URL (`postgresql://user:password@host:5432/name`) or key-value string, as libpq reads it.
            size: maximum number of connections.
            seconds: timeout of one call.
            recovery_seconds: how long the circuit stays open before a probe.
            credentials: certificates for TLS, where `conninfo` says nothing about it.
            logins: users of the database, where a vault creates them and `conninfo` names none.

        Raises:
            ValueError: `conninfo` cannot be read.
        """
        check_address(conninfo)
        connections = Connections(
            conninfo,
            size=size,
            seconds=seconds,
            statement_seconds=seconds + 5,
            credentials=credentials,
            logins=logins,
        )
        store = cls(connections, seconds=seconds, recovery_seconds=recovery_seconds)
        store.server = server_of(conninfo)
        connections.open()
        try:
            yield store
        finally:
            with CancelScope(shield=True):
                await run_in_thread(connections.close, limiter=CapacityLimiter(1))

    def pool_use(self) -> PoolUse:
        """Return the utilisation of the pool; safe from any thread."""
        return self._connections.use()

    async def save(
        self, report: StoredReport, *, document: bytes | None = None, facts: ReportFacts | None = None
    ) -> bool:
        """Insert the report unless an intact one with its id is stored; return whether this call inserted it.

        The row names the call that inserted it, so that a retry after a lost answer recognises its own insert.
        """
        insertion, keys = self._insertion_id(), self._keys

        def insert(connection: _Connection) -> bool:
            try:
                return insert_report(connection, keys, report, insertion, document or report.report, facts)
            except psycopg.DataError as error:
                _logger.info("JSONB cannot hold the analysis %s: %s", report.analysis_id, error)
                return insert_report(connection, keys, report, insertion, None, facts)

        return await self._call(insert)

    async def load(self, analysis_id: str) -> StoredReport | None:
        """Return the report with this id, or None."""
        if not is_text(analysis_id):
            return None
        keys = self._keys
        identity = (keys.tenant_id, keys.stored(analysis_id))

        def load(connection: _Connection) -> Loaded | None:
            return loaded(connection.execute(LOAD, identity, binary=True).fetchone(), keys)

        # Raised outside the policy: it must not count as a failure of the server.
        return verified(await self._call(load))

    async def reports(
        self, *, dataset_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page[StoredReport]:
        """Return reports, newest first, without their bodies."""
        if not is_text(dataset_id, before):
            return Page(items=[], next=None)
        keys = self._keys
        conditions: LiteralString = "tenant_id = %s"
        values = list[str | int]([keys.tenant_id])
        if dataset_id is not None:
            conditions += " AND dataset_id = %s"
            values.append(keys.stored(dataset_id))
        if before is not None:
            conditions += " AND (created_at, analysis_id) < (%s, %s)"
            values += position(before, keys)
        query: LiteralString = (
            f"SELECT {_HEAD} FROM reports WHERE {conditions} ORDER BY created_at DESC, analysis_id DESC LIMIT %s"
        )
        return page_of(await self._rows(query, *values, limit + 1), limit, keys)

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
            f"INSERT INTO datasets ({DATASET}, tenant_id) VALUES ({_DATASET_MARKS}, %s) "
            f"ON CONFLICT (dataset_id) DO UPDATE SET {changes} WHERE datasets.tenant_id = excluded.tenant_id "
            f"RETURNING {DATASET}",
            *row_of(self._keys.stored_record(record)),
            self._tenant,
        )
        return record if row is None else dataset_of(row, self._keys)

    async def dataset(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set with this id, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        query: LiteralString = f"SELECT {DATASET} FROM datasets WHERE tenant_id = %s AND dataset_id = %s"
        row = await self._row(query, self._tenant, self._keys.stored(dataset_id))
        return None if row is None else dataset_of(row, self._keys)

    async def datasets(self) -> Sequence[DatasetRecord]:
        """Return every data set: samples first, then newest first."""
        query: LiteralString = (
            f"SELECT {DATASET} FROM datasets WHERE tenant_id = %s ORDER BY sample DESC, created_at DESC, dataset_id"
        )
        return [dataset_of(row, self._keys) for row in await self._rows(query, self._tenant)]

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord | None:
        """Give the data set another name; return its row, or None if it is not registered."""
        if not is_text(dataset_id):
            return None
        statement: LiteralString = (
            f"UPDATE datasets SET name = %s WHERE tenant_id = %s AND dataset_id = %s RETURNING {DATASET}"
        )
        row = await self._row(statement, name, self._tenant, self._keys.stored(dataset_id))
        return None if row is None else dataset_of(row, self._keys)

    async def forget(self, dataset_id: str) -> bool:
        """Delete the data set from the registry; return whether it was there."""
        statement: LiteralString = "DELETE FROM datasets WHERE tenant_id = %s AND dataset_id = %s"
        return is_text(dataset_id) and await self._count(statement, self._tenant, self._keys.stored(dataset_id)) == 1

    async def ping(self) -> None:
        """Check that the store answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self._call(lambda connection: connection.execute("SELECT 1").fetchone(), brief=True)

    async def migrate(self) -> int:
        """Apply the pending schema migrations; return their number."""
        return await self._guarded(migrate)

    async def finish(self) -> int:
        """Apply the step that ends the use of the schema by earlier releases; return 0 where it was applied before."""
        return await self._guarded(finish)

    async def void_wall(self) -> str | None:
        """Return why row level security keeps no tenant from the rows of another; None where it does.

        The conditions of each statement hold in any case: this is the second wall behind them.
        """
        return await self._guarded(void_wall, migrated=True)

    async def passing_role(self) -> str | None:
        """Return why row level security cannot apply to the role that serves; None where it can."""
        return await self._guarded(passing_role)

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
        scope = NO_TENANT if self._bound is None else self._bound.tenant_id
        return await self._guarded(work, brief=brief, migrated=True, scope=scope)

    async def _call_for_all[T](self, work: Callable[[_Connection], T]) -> T:
        return await self._guarded(work, migrated=True, scope=EVERY_TENANT)

    async def _reach[T](self, work: Callable[[_Connection], T], *, migrated: bool, scope: str) -> T:
        schema = self._schema
        if migrated and not schema.is_migrated:
            # Calls that wait for the migration hold neither a thread nor a connection, and can be cancelled.
            async with schema.lock:
                if not schema.is_migrated:
                    await self._connections.run(migrate, scope=NO_TENANT)
                    schema.is_migrated = True
        if scope not in schema.entered:
            # The first call of a tenant registers it. From the second one on earlier releases refuse the database.
            async with schema.lock:
                if scope not in schema.entered:
                    await self._connections.run(partial(enter, tenant_id=scope), scope=NO_TENANT)
                    schema.entered.add(scope)
        return await self._connections.run(work, scope=scope)

    async def _guarded[T](
        self,
        work: Callable[[_Connection], T],
        *,
        brief: bool = False,
        migrated: bool = False,
        scope: str = NO_TENANT,
    ) -> T:
        # A migration may take longer than the timeout of any other call.
        brief = brief or (self._connections.silent and self._schema.is_migrated)
        patience, call = CancelScope(), ObservedCall(self._brief_seconds if brief else self._seconds)
        self._waiting[patience] = current_time()
        try:
            with patience:
                run = self._run_briefly if brief else self._run
                done = await run(call.observed(work), migrated=migrated, scope=scope)
                self._silence.answered()
                self._connections.silent = False
                return done
            raise StoreUnavailable(Message("storage.postgres-stopped-answering"))
        except (psycopg.Error, AttemptTimeout, Rejected) as error:
            if isinstance(error, AttemptTimeout):
                self._missed(call)
            reason = " ".join(str(error).split()).rstrip(".?") or type(error).__name__
            # A migration that finds no room is no fault of the call, which may only read.
            full = call.is_asked and isinstance(error, psycopg.errors.DiskFull)
            unavailable = StorageFull if full else StoreUnavailable
            raise unavailable(Message("storage.postgres-failed", reason=reason)) from error
        finally:
            del self._waiting[patience]

    def _missed(self, call: ObservedCall) -> None:
        self._silence.missed(call, exhausted=self._connections.exhausted)
        self._connections.silent = bool(self._silence)
        if self._connections.silent and self._schema.is_migrated:
            for scope, began in self._waiting.items():
                scope.deadline = min(scope.deadline, began + _BRIEF_SECONDS)


class _Schema:
    """Progress of the schema, shared by all views of a store.

    Attributes:
        is_migrated: whether pending migrations are applied.
        entered: tenants that are registered, and scopes that need no registration.
        lock: held by the call that changes them.
    """

    def __init__(self) -> None:
        self.is_migrated = False
        self.entered = {NO_TENANT, EVERY_TENANT, DEFAULT_TENANT}
        self.lock = Lock()
