"""The audit log in PostgreSQL under retries; the contract is in `tests.storage.test_audit`."""

import psycopg
import pytest

from cqox.storage.postgres import PostgresStore, schema
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import an_event

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


async def test_a_retried_call_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        assert await store.append_audit([an_event(1), an_event(2)]) == 2
        assert await store.append_audit([an_event(2), an_event(3)]) == 1
        assert [entry.seq for entry in (await store.audit()).items] == [3, 2, 1]


async def test_new_tables_are_behind_the_wall_where_that_was_there_before(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.fresh()
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:10])
        with psycopg.connect(url, autocommit=True) as connection:
            schema.migrate(connection)
            for table in ("reports", "datasets"):
                connection.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            connection.execute("INSERT INTO cqox_migrations (number, name) VALUES (1001, 'several tenants')")
    with psycopg.connect(url, autocommit=True) as connection:
        schema.migrate(connection)
        query = "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass"
        assert [connection.execute(query, (table,)).fetchone() for table in ("audit", "erasures")] == [(True,)] * 2
