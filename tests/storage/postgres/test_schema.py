"""Migrations of the schema on a PostgreSQL server: concurrent, broken, from a newer version."""

import anyio
import anyio.to_thread
import psycopg
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.schema import _LOCK
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.previous_release import KNOWN_STEPS
from tests.storage.records import a_report
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers"), pytest.mark.parametrize("anyio_backend", ["trio"])]
ONE = a_report(1)
WAITING = "FROM pg_stat_activity WHERE application_name = 'cqox' AND wait_event_type = 'Lock'"


async def until_waiting(server: Postgres) -> int:
    return int(str((await until(lambda: server.execute(f"SELECT pid {WAITING}")))[0][0]))


async def test_a_schema_of_a_newer_version_is_not_changed(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with in_default(PostgresStore.open, url) as store:
        await store._call(lambda connection: connection.execute("INSERT INTO cqox_migrations VALUES (99, 'later')"))
    async with in_default(PostgresStore.open, url) as store:
        with pytest.raises(StoreUnavailable, match="99"):
            await store.save(ONE)


async def test_a_failed_migration_is_rolled_back(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg.sql import SQL

    from cqox.storage.postgres import schema

    url = postgres_server.fresh()
    broken = schema.Migration(name="broken", script=SQL("CREATE TABLE half (x int); SELECT 1 / 0"))
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        async with in_default(PostgresStore.open, url) as store:
            with pytest.raises(StoreUnavailable, match="division by zero"):
                await store.migrate()
            expected = [False] * (len(schema.MIGRATIONS) - 1) + [True, True]
            assert [step.applied_at is None for step in await store.migrations()] == expected
            found = await store._guarded(lambda connection: connection.execute("SELECT to_regclass('half')").fetchone())
            assert found == (None,)


async def test_a_backend_terminated_during_a_migration_rolls_back_and_the_next_one_completes(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.fresh()
    schema = url.rpartition("%3D")[2]
    with psycopg.connect(postgres_server.url, application_name="test") as other:
        # The name that the migration's last table takes is taken by a transaction that is open.
        other.execute(f"SET search_path = {schema}")
        other.execute("CREATE TABLE jobs (x int)")
        async with in_default(PostgresStore.open, url) as store, anyio.create_task_group() as group:
            group.start_soon(store.migrate)
            first = await until_waiting(postgres_server)
            postgres_server.execute("SELECT pg_terminate_backend(%s)", first)
            with anyio.fail_after(PATIENCE_SECONDS):
                while await until_waiting(postgres_server) == first:
                    await anyio.sleep(0.01)
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
            assert postgres_server.execute(tables, schema) == []
            other.rollback()
    async with in_default(PostgresStore.open, url) as store:
        assert await store.migrate() == 0
        assert await store.save(ONE) is True


async def test_a_caller_that_waits_for_a_migration_times_out_and_holds_no_connection(
    postgres_server: Postgres,
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh(), size=2) as store:
        # Another engine is in the middle of a long migration.
        with psycopg.connect(postgres_server.url, application_name="test") as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            async with anyio.create_task_group() as group:
                group.start_soon(store.dataset, "d")
                await until_waiting(postgres_server)
                with anyio.move_on_after(0.1) as scope:
                    await store.dataset("d")
                assert scope.cancelled_caught
                with pytest.raises(StoreUnavailable, match="after 1 s"):
                    await store.ping()
                assert store.pool_use().used == 1
                assert store.pool_use().waiting == 0
                other.rollback()
        assert store.pool_use().used == 0
        assert await store.save(ONE) is True


async def test_a_dump_of_the_previous_release_is_migrated_although_newer_tables_are_left(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cqox.storage.postgres import schema

    url = postgres_server.fresh()
    async with PostgresStore.open(url) as database:
        await database.within("acme").save(ONE)
    with psycopg.connect(url, autocommit=True) as connection:
        # As `pg_restore --clean` does: what the dump has is replaced, and what it lacks stays.
        connection.execute("DROP VIEW estimates; DROP TABLE reports, datasets, jobs, turns, cqox_migrations")
        with monkeypatch.context() as earlier:
            earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[: KNOWN_STEPS["postgres"]])
            assert schema.migrate(connection) == KNOWN_STEPS["postgres"]
    async with PostgresStore.open(url) as database:
        assert await database.migrate() == len(schema.MIGRATIONS) - KNOWN_STEPS["postgres"]
        assert await database.within("default").save(ONE) is True
        assert list((await database.within("default").without_facts(limit=9)).items) == [ONE.analysis_id]
        assert (await database.within("acme").reports()).items == []
