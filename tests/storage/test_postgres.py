"""Faults of a PostgreSQL server: restarts, freezes, refused connections, lost answers."""

import random
import signal
from collections.abc import Iterator

import anyio
import psycopg
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres, Proxy
from tests.storage.outages import expect_unavailable, until_usable
from tests.storage.records import a_report
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]
ONE = a_report(1)
CONNECTIONS = "FROM pg_stat_activity WHERE application_name = 'cqox'"
on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])


@pytest.fixture
def own_postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """The server for tests that break it; restored afterwards."""
    yield postgres_server
    postgres_server.restart()


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[Proxy]:
    between = Proxy(postgres_server.port)
    yield between
    between.close()


async def sleeping(store: PostgresStore, seconds: float) -> None:
    await store._call(lambda connection: connection.execute("SELECT pg_sleep(%s)", (seconds,)).fetchone())


async def test_a_cancelled_query_ends_on_the_server_and_its_connection_is_reused(postgres_server: Postgres) -> None:
    running = f"SELECT 1 {CONNECTIONS} AND state = 'active' AND query LIKE '%%pg_sleep%%'"
    # So long that no timeout ends a query within the test.
    async with PostgresStore.open(postgres_server.fresh(), size=2, seconds=600) as store:
        await store.ping()
        with anyio.move_on_after(0.3):
            await sleeping(store, 600)
        await until(lambda: not postgres_server.execute(running))
        (before,) = postgres_server.execute(f"SELECT array_agg(pid ORDER BY pid) {CONNECTIONS}")
        with anyio.move_on_after(0.3):
            await sleeping(store, 600)
        await store.ping()
        assert postgres_server.execute(f"SELECT array_agg(pid ORDER BY pid) {CONNECTIONS}") == [before]


async def test_many_cancellations_mix_up_no_results_and_leak_no_connection(postgres_server: Postgres) -> None:
    wrong: list[object] = []
    rng = random.Random(5)
    async with PostgresStore.open(postgres_server.fresh(), size=4) as store:
        for number in range(8):
            await store.save(a_report(number))

        async def ask(worker: int) -> None:
            for turn in range(128):
                report = a_report((worker + turn) % 8)
                with anyio.move_on_after(rng.uniform(0.0, 0.005)):
                    if (found := await store.load(report.analysis_id)) != report:
                        wrong.append(found)

        with anyio.fail_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as group:
                for worker in range(16):
                    group.start_soon(ask, worker)
        assert wrong == []
        for number in range(8):
            assert await store.load(a_report(number).analysis_id) == a_report(number)
        assert store._connections._threads.unfinished == 0
        # A backend whose connection was closed and replaced may need a moment to find out.
        await until(lambda: len(postgres_server.execute(f"SELECT pid {CONNECTIONS}")) <= 4)
    await until(lambda: not postgres_server.execute(f"SELECT 1 {CONNECTIONS}"))


async def test_a_retry_after_a_lost_answer_inserts_once_and_reports_the_insert(
    postgres_server: Postgres, proxy: Proxy
) -> None:
    url = postgres_server.fresh(proxy.port)
    async with PostgresStore.open(url) as store:
        await store.ping()
        proxy.lose_answer_to(b"INSERT INTO reports")
        assert await store.save(ONE) is True
        assert proxy.lost == 1
        assert await store.save(ONE) is False
        assert await store.load(ONE.analysis_id) == ONE


async def test_a_terminated_backend_is_retried(postgres_server: Postgres) -> None:
    async with PostgresStore.open(postgres_server.fresh()) as store:
        await store.ping()
        started = anyio.Event()

        async def slow() -> None:
            started.set()
            await sleeping(store, 0.5)

        with anyio.fail_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(slow)
                await started.wait()
                await anyio.sleep(0.2)
                assert postgres_server.execute(f"SELECT pg_terminate_backend(pid) {CONNECTIONS}")
        assert await store.save(ONE) is True
        assert await store.load(ONE.analysis_id) == ONE


@on_trio
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_restarted_server_is_reconnected_without_a_restart_of_the_engine(
    own_postgres: Postgres, how: int
) -> None:
    async with PostgresStore.open(own_postgres.fresh(), recovery_seconds=0.2) as store:
        await store.save(ONE)
        own_postgres.stop(how)
        with anyio.fail_after(PATIENCE_SECONDS):
            for _ in range(6):
                with pytest.raises(StoreUnavailable, match="PostgreSQL failed"):
                    await store.save(a_report(2))
        own_postgres.start()
        await until_usable(store)
        assert await store.load(ONE.analysis_id) == ONE
        assert await store.save(a_report(2)) is True


@on_trio
async def test_a_frozen_server_times_out_and_is_used_again_after_recovery(
    postgres_server: Postgres,
) -> None:
    async with PostgresStore.open(postgres_server.fresh(), size=2, seconds=1.0, recovery_seconds=0.2) as store:
        await store.save(ONE)
        with postgres_server.frozen():
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(expect_unavailable, store)
        await until_usable(store)
        assert await store.load(ONE.analysis_id) == ONE


@on_trio
async def test_exhausted_server_connections_are_reported_and_recovered_from(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.fresh()
    taken = list[psycopg.Connection[tuple[object, ...]]]()
    try:
        with pytest.raises(psycopg.OperationalError, match=r"too many clients|reserved"):
            _take_all(postgres_server, taken)
        async with PostgresStore.open(url, recovery_seconds=0.2) as store:
            with (
                anyio.fail_after(PATIENCE_SECONDS),
                pytest.raises(StoreUnavailable, match=r"too many clients|reserved"),
            ):
                await store.ping()
            for one in taken:
                one.close()
            taken.clear()
            await until_usable(store)
    finally:
        for one in taken:
            one.close()


@on_trio
async def test_a_read_only_database_serves_reads_and_explains_failed_writes(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with PostgresStore.open(url) as store:
        await store.save(ONE)
    async with PostgresStore.open(f"{url}%20-cdefault_transaction_read_only%3Don") as store:
        for number in range(2, 9):
            with pytest.raises(StoreUnavailable, match="read-only"):
                await store.save(a_report(number))
        assert await store.load(ONE.analysis_id) == ONE


async def test_an_unreachable_server_is_reported_at_once_and_does_not_prevent_opening() -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with PostgresStore.open("postgresql://cqox@127.0.0.1:1/postgres") as store:
            with pytest.raises(StoreUnavailable, match=r"(?i)refused"):
                await store.ping()


async def test_a_schema_of_a_newer_version_is_not_changed(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with PostgresStore.open(url) as store:
        await store._call(lambda connection: connection.execute("INSERT INTO cqox_migrations VALUES (99, 'later')"))
    async with PostgresStore.open(url) as store:
        with pytest.raises(StoreUnavailable, match="schema step 99"):
            await store.save(ONE)


async def test_a_failed_migration_is_rolled_back(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg.sql import SQL

    from cqox.storage.postgres import schema

    url = postgres_server.fresh()
    broken = schema.Migration(name="broken", script=SQL("CREATE TABLE half (x int); SELECT 1 / 0"))
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        async with PostgresStore.open(url) as store:
            with pytest.raises(StoreUnavailable, match="division by zero"):
                await store.migrate()
            assert [step.applied_at is None for step in await store.migrations()] == [False] * 5 + [True]
            found = await store._guarded(lambda connection: connection.execute("SELECT to_regclass('half')").fetchone())
            assert found == (None,)


async def test_a_page_of_jobs_is_read_in_index_order(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = list[str]()

    class Explaining:
        def __init__(self, connection: psycopg.Connection) -> None:
            self._connection = connection

        def execute(self, query: str, values: tuple[object, ...], *, binary: bool) -> psycopg.Cursor:
            # Otherwise an empty table is scanned and sorted.
            for way in ("seqscan", "bitmapscan", "sort"):
                self._connection.execute(f"SET enable_{way} = off")
            plans.extend(row[0] for row in self._connection.execute(f"EXPLAIN {query}", values).fetchall())
            return self._connection.execute(query, values, binary=binary)

    async with PostgresStore.open(postgres_server.fresh()) as store:
        call = store._call
        monkeypatch.setattr(store, "_call", lambda work: call(lambda connection: work(Explaining(connection))))
        for before in (None, "2026-01-01|j"):
            plans.clear()
            await store.jobs(before=before)
            plan = "\n".join(plans)
            assert "jobs_by_time" in plan, plan
            assert "Sort" not in plan, plan


async def test_people_can_query_reports_and_estimates(postgres_server: Postgres) -> None:
    async with PostgresStore.open(postgres_server.fresh()) as store:
        await store.save(a_report(2, body=b'{"estimates":{"not":"a list"}}'))
        body = (
            b'{"decision":{"verdict":"GO"},"estimates":[{"name":"ols","estimate":0.1},{"name":"iv","estimate":null}]}'
        )
        await store.save(a_report(3, body=body))
        row = await store._call(
            lambda connection: connection.execute(
                "SELECT document->'decision'->>'verdict', pg_typeof(estimate)::text, estimate FROM reports "
                "WHERE document ? 'decision'"
            ).fetchone()
        )
        each = await store._call(
            lambda connection: connection.execute(
                "SELECT name, estimate, pg_typeof(estimate)::text FROM estimates ORDER BY name"
            ).fetchall()
        )
    assert row == ("GO", "double precision", 3 / 7)
    assert each == [("iv", None, "double precision"), ("ols", 0.1, "double precision")]


@pytest.mark.parametrize("url", ["postgresql://host:port/x", "nonsense", "postgresql://h/d?colour=red"])
def test_an_invalid_address_is_rejected_by_setting(url: str) -> None:
    with pytest.raises(ValueError, match="POSTGRES_URL cannot be read"):
        PostgresStore(url)


def _take_all(server: Postgres, taken: list[psycopg.Connection[tuple[object, ...]]]) -> None:
    while True:
        taken.append(psycopg.connect(server.url))
