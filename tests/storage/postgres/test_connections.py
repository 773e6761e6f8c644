"""Faults of a PostgreSQL server: restarts, freezes, refused connections, lost answers."""

import random
import signal
from collections.abc import Iterator

import anyio
import anyio.to_thread
import psycopg
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres, Proxy
from tests.storage.bound import in_default
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
    async with in_default(PostgresStore.open, postgres_server.fresh(), size=2, seconds=600) as store:
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
    async with in_default(PostgresStore.open, postgres_server.fresh(), size=4) as store:
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


async def test_a_terminated_backend_is_retried(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
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
    async with in_default(PostgresStore.open, own_postgres.fresh(), recovery_seconds=0.2) as store:
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
    async with in_default(
        PostgresStore.open, postgres_server.fresh(), size=2, seconds=1.0, recovery_seconds=0.2
    ) as store:
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
        async with in_default(PostgresStore.open, url, recovery_seconds=0.2) as store:
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


async def test_an_unreachable_server_is_reported_at_once_and_does_not_prevent_opening() -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        async with in_default(PostgresStore.open, "postgresql://cqox@127.0.0.1:1/postgres") as store:
            with pytest.raises(StoreUnavailable, match=r"(?i)refused"):
                await store.ping()


def _take_all(server: Postgres, taken: list[psycopg.Connection[tuple[object, ...]]]) -> None:
    while True:
        taken.append(psycopg.connect(server.url))


@on_trio
async def test_idle_connections_closed_by_the_server_consume_no_attempt(
    postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    ours = "FROM pg_stat_activity WHERE application_name = 'cqox'"
    async with in_default(PostgresStore.open, postgres_server.fresh(), size=4) as store:
        await store.save(ONE)

        async def hold() -> None:
            await store._call(lambda connection: connection.execute("SELECT pg_sleep(0.3)").fetchone())

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(hold)
        assert postgres_server.execute(f"SELECT count(pg_terminate_backend(pid)) {ours}") == [(4,)]
        with anyio.fail_after(PATIENCE_SECONDS):
            while postgres_server.execute(f"SELECT 1 {ours}"):
                await anyio.sleep(0.01)
        assert await store.load(ONE.analysis_id) == ONE
    assert "[Retry]" not in caplog.text


@on_trio
async def test_the_statement_timeout_and_the_tcp_user_timeout_are_set(
    postgres_server: Postgres,
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(), seconds=2.0) as store:
        limit = await store._call(lambda connection: connection.execute("SHOW statement_timeout").fetchone())
        options = await store._call(lambda connection: connection.info.get_parameters())
    assert limit == ("7s",)
    assert options["tcp_user_timeout"] == "7000"
