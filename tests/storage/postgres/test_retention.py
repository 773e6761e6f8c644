"""Deletions and listings of the PostgreSQL store; the contract is in `test_stored_jobs` and `test_result_store`."""

import psycopg
import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres

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

    async with PostgresStore.open(postgres_server.fresh()) as store:
        call = store._call
        monkeypatch.setattr(store, "_call", lambda work: call(lambda connection: work(Explaining(connection))))
        for before in (None, "2026-01-01|j"):
            plans.clear()
            await store.jobs(before=before)
            plan = "\n".join(plans)
            assert "jobs_by_time" in plan, plan
            assert "Sort" not in plan, plan
