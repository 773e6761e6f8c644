"""Jobs in PostgreSQL; the contract is in `tests.storage.test_stored_jobs`."""

import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_job

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


async def test_the_leases_of_an_engine_are_found_by_an_index_whatever_their_tenants(postgres_server: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        for tenant_id in ("default", "acme"):
            await store.within(tenant_id).put_job(a_job("j"), owner="one", seconds=60)
        query = "EXPLAIN UPDATE jobs SET renewed_until = now() WHERE owner = 'one' AND status = 'running'"

        def plan(connection: object) -> str:
            connection.execute("SET enable_seqscan = off")  # type: ignore[attr-defined]
            return str(connection.execute(query).fetchall())  # type: ignore[attr-defined]

        assert "jobs_running" in await store._call_for_all(plan)
        assert await store.renew_jobs("one", seconds=60) == 2
