"""The audit log in PostgreSQL under retries; the contract is in `tests.storage.test_audit`."""

import psycopg
import pytest

from cqox.storage.postgres import PostgresStore, schema
from tests.servers import Postgres, Proxy
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


async def test_a_batch_is_stored_in_time_where_every_answer_is_late(postgres_server: Postgres) -> None:
    link = Proxy(postgres_server.port)
    try:
        async with in_default(PostgresStore.open, postgres_server.fresh(link.port)) as store:
            assert await store.append_audit([an_event(0)]) == 1
            # Two hundred answers, one after the other, would take longer than the ten seconds of a call.
            link.late_seconds = 0.06
            assert await store.append_audit([an_event(number) for number in range(200)]) == 199
            link.late_seconds = 0.0
            assert (await store.audit(limit=1)).items[0].seq == 200
    finally:
        link.close()


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
