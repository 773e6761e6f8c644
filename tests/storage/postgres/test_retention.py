"""Deletions and listings of the PostgreSQL store; the contract is in `test_stored_jobs` and `test_result_store`."""

import psycopg
import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_report, an_ended_job

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


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

    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        call = store._call
        monkeypatch.setattr(store, "_call", lambda work: call(lambda connection: work(Explaining(connection))))
        for before in (None, "2026-01-01|j"):
            plans.clear()
            await store.jobs(before=before)
            plan = "\n".join(plans)
            assert "jobs_of_tenant" in plan, plan
            assert "Sort" not in plan, plan


async def test_a_retried_deletion_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = a_report(1)
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        await store.save(one)
        for job_id in ("a", "b", "c"):
            await store.put_job(an_ended_job(job_id, "2026-01-02"), owner="engine", seconds=60)
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        assert await store.delete_reports([one.analysis_id, "missing"]) == [one.analysis_id]
        assert await store.delete_reports([one.analysis_id]) == []
        assert (await store.delete_job("a"), await store.delete_job("a")) == (True, False)
        assert (await store.delete_jobs_of("d"), await store.delete_jobs_of("d")) == (2, 0)
