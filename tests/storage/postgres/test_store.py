"""Faults of a PostgreSQL server during a call: full disk, serialization failure, terminated backend."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

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

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers"), pytest.mark.parametrize("anyio_backend", ["trio"])]
ONE = a_report(1)
WAITING = "FROM pg_stat_activity WHERE application_name = 'cqox' AND wait_event_type = 'Lock'"


@pytest.fixture
def small_postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        if not server.can_have_a_small_disk():
            pytest.skip("a user may not mount a file system here")
        server.start(small_disk_bytes=6 * 2**20)
        yield server
    finally:
        server.close()


def incompressible(number: int, size: int) -> bytes:
    return b'"%s"' % random.Random(number).randbytes(size // 2).hex().encode()


async def test_a_full_disk_is_reported_permits_reads_and_recovers_once_space_is_freed(small_postgres: Postgres) -> None:
    url = f"{small_postgres.fresh()}%20-cdefault_tablespace%3Dsmall"
    async with in_default(PostgresStore.open, url) as store:
        await store.save(ONE)
        small_postgres.execute(
            "CREATE TABLE ballast TABLESPACE small AS SELECT repeat('x', 500) FROM generate_series(1, 4000)"
        )
        kept = list[int]()
        with anyio.fail_after(PATIENCE_SECONDS):
            while await saved(store, 2 + len(kept)):
                kept.append(2 + len(kept))
        for number in range(200, 208):
            assert await saved(store, number) is False
        assert await store.load(ONE.analysis_id) == ONE
        for number in kept:
            assert await store.load(a_report(number).analysis_id) is not None
        assert await store.load(a_report(200).analysis_id) is None
        small_postgres.execute("DROP TABLE ballast")
        late = a_report(300, body=incompressible(300, 200_000))
        assert await store.save(late) is True
        assert await store.load(late.analysis_id) == late


async def saved(store: PostgresStore, number: int) -> bool:
    """Save a report; return False if the disk is full."""
    try:
        return await store.save(a_report(number, body=incompressible(number, 200_000)))
    except StoreUnavailable as error:
        if isinstance(error.__cause__, psycopg.errors.DiskFull) and "No space left on device" in str(error):
            return False
        raise


async def test_a_migration_that_finds_no_room_is_no_fault_of_a_call_that_reads(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connection: object) -> int:
        raise psycopg.errors.DiskFull("No space left on device")

    monkeypatch.setattr("cqox.storage.postgres.store.migrate", full)
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        with pytest.raises(StoreUnavailable, match="No space left") as raised:
            await store.job("a")
    assert type(raised.value) is StoreUnavailable


@contextmanager
def inserting(server: Postgres, schema: str, analysis_id: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Yield an open transaction of another client that has inserted a report with this id."""
    with psycopg.connect(server.url, application_name="test") as other:
        other.execute(f"SET search_path = {schema}")
        other.execute(
            "INSERT INTO reports (analysis_id, dataset_id, created_at, status, report, provenance, figures, digest, "
            "insertion) SELECT %s, dataset_id, created_at, status, report, provenance, figures, digest, 'other' "
            "FROM reports",
            (analysis_id,),
        )
        yield other


async def until_waiting(server: Postgres) -> int:
    return int(str((await until(lambda: server.execute(f"SELECT pid {WAITING}")))[0][0]))


@pytest.mark.parametrize("commits", [True, False])
async def test_a_serialization_failure_is_retried(postgres_server: Postgres, commits: bool) -> None:
    url = postgres_server.fresh()
    schema = url.rpartition("%3D")[2]
    two, inserted = a_report(2), list[bool]()
    async with in_default(
        PostgresStore.open, f"{url}%20-cdefault_transaction_isolation%3Drepeatable%5C%20read"
    ) as store:
        await store.save(ONE)

        async def save() -> None:
            inserted.append(await store.save(two))

        with inserting(postgres_server, schema, two.analysis_id) as other:
            async with anyio.create_task_group() as group:
                group.start_soon(save)
                await until_waiting(postgres_server)
                # Its snapshot does not see what is there now: PostgreSQL ends the statement with 40001.
                (other.commit if commits else other.rollback)()
        assert inserted == [not commits]
        found = await store.load(two.analysis_id)
        assert found is not None
        assert (found.verdict is None) is commits


async def test_a_backend_terminated_during_an_insert_inserts_once(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    two, inserted = a_report(2), list[bool]()
    async with in_default(PostgresStore.open, url) as store:
        await store.save(ONE)

        async def save() -> None:
            inserted.append(await store.save(two))

        with inserting(postgres_server, url.rpartition("%3D")[2], two.analysis_id) as other:
            async with anyio.create_task_group() as group:
                group.start_soon(save)
                first = await until_waiting(postgres_server)
                postgres_server.execute("SELECT pg_terminate_backend(%s)", first)
                with anyio.fail_after(PATIENCE_SECONDS):
                    while await until_waiting(postgres_server) == first:
                        await anyio.sleep(0.01)
                other.rollback()
        assert inserted == [True]
        assert await store.load(two.analysis_id) == two
        assert [report.analysis_id for report in (await store.reports()).items] == [two.analysis_id, ONE.analysis_id]


async def test_timeouts_are_short_while_the_server_is_silent_and_normal_afterwards(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(), seconds=3.0, recovery_seconds=0.2) as store:
        await store.save(ONE)
        with postgres_server.frozen():
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="after 1 s"):
                    await store.ping()
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="after 1 s"):
                    await store.save(a_report(2))
        await until_usable(store)
        await store._call(lambda connection: connection.execute("SELECT pg_sleep(1.5)").fetchone())


async def test_a_silent_server_shortens_the_deadline_of_pending_calls(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(), recovery_seconds=0.2) as store:
        await store.save(ONE)
        with postgres_server.frozen():
            async with anyio.create_task_group() as group:
                group.start_soon(expect_unavailable, store, "has stopped answering")
                group.start_soon(expect_unavailable, store, "has stopped answering")
                await until(lambda: len(store._waiting) == 2)
                for _ in range(2):
                    with pytest.raises(StoreUnavailable):
                        await store.ping()
        await until_usable(store)


async def test_a_statement_that_waits_for_a_lock_is_no_silence(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with in_default(PostgresStore.open, url, seconds=2.5) as store:
        await store.save(ONE)
        with psycopg.connect(postgres_server.url) as other:
            other.execute(f"LOCK TABLE {url.rpartition('%3D')[2]}.reports IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match=r"after 2\.5 s"):
                await store.save(a_report(2))
            # The server has answered the request to cancel it: later calls have their whole time.
            assert not store._connections.silent


async def test_a_probe_with_every_connection_busy_ends_no_call(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(), size=2) as store:
        await store.save(ONE)
        ended = list[object]()

        async def slow() -> None:
            await store._call(lambda connection: connection.execute("SELECT pg_sleep(1.6)").fetchone())
            ended.append(1)

        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            group.start_soon(slow)
            await anyio.sleep(0.1)
            with pytest.raises(StoreUnavailable):
                await store.ping()
        assert ended == [1, 1]
        assert await store.load(ONE.analysis_id) == ONE


async def test_a_probe_that_waited_for_a_connection_shortens_no_later_call(
    postgres_server: Postgres, proxy: Proxy
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(proxy.port), size=1) as store:
        await store.save(ONE)
        proxy.late_seconds = 0.4
        async with anyio.create_task_group() as group:
            group.start_soon(store._call, lambda connection: connection.execute("SELECT pg_sleep(0.4)").fetchone())
            await anyio.sleep(0.1)
            # It gets the connection after most of its second, and its answer would come after the end of it.
            with pytest.raises(StoreUnavailable, match="after 1 s"):
                await store.ping()
        assert await store._call(lambda connection: connection.execute("SELECT 1 FROM pg_sleep(1.2)").fetchone()) == (
            1,
        )


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[Proxy]:
    between = Proxy(postgres_server.port)
    yield between
    between.close()


async def test_a_retry_after_a_lost_answer_inserts_once_and_reports_the_insert(
    postgres_server: Postgres, proxy: Proxy
) -> None:
    url = postgres_server.fresh(proxy.port)
    async with in_default(PostgresStore.open, url) as store:
        assert await store.load(ONE.analysis_id) is None
        proxy.lose_answer_to(b"INSERT INTO reports")
        assert await store.save(ONE) is True
        assert proxy.lost == 1
        assert await store.save(ONE) is False
        assert await store.load(ONE.analysis_id) == ONE


async def test_a_read_only_database_serves_reads_and_explains_failed_writes(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with in_default(PostgresStore.open, url) as store:
        await store.save(ONE)
    async with in_default(PostgresStore.open, f"{url}%20-cdefault_transaction_read_only%3Don") as store:
        for number in range(2, 9):
            with pytest.raises(StoreUnavailable, match="read-only"):
                await store.save(a_report(number))
        assert await store.load(ONE.analysis_id) == ONE


async def test_people_can_query_reports_and_estimates(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
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
async def test_an_invalid_address_is_rejected_by_setting(url: str) -> None:
    with pytest.raises(ValueError, match="POSTGRES_URL cannot be read"):
        async with PostgresStore.open(url):
            pass
