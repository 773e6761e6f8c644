"""Annotations in PostgreSQL: retried calls, and a deletion at the same time. The contract is in `test_history`."""

from dataclasses import replace

import anyio
import psycopg
import pytest

from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.records import a_report, an_annotation
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]

ONE = a_report(1).analysis_id


async def test_a_retried_call_returns_the_same_as_a_single_one(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_default(PostgresStore.open, postgres_server.fresh()) as store:
        await store.save(a_report(1))
        call = store._call

        async def twice(work):
            # The answer to the first attempt is lost.
            await call(work)
            return await call(work)

        monkeypatch.setattr(store, "_call", twice)
        assert await store.annotate(an_annotation(1, "a", title="t"), replaces=None) is True
        assert await store.annotate(an_annotation(1, "b", title="u"), replaces="a") is True
        assert await store.annotate(replace(an_annotation(1, "c"), title="v"), replaces="a") is False
        await store.forget_history("d")
        assert await store.annotation(ONE) is None


async def test_an_annotation_that_meets_the_deletion_of_its_report_does_not_outlive_it(
    postgres_server: Postgres,
) -> None:
    url = postgres_server.fresh()
    async with in_default(PostgresStore.open, url) as store:
        await store.save(a_report(1))
        with psycopg.connect(url) as other:
            # An annotation that is not committed yet.
            other.execute("SELECT 1 FROM reports WHERE analysis_id = %s FOR KEY SHARE", (ONE,))
            other.execute(
                "INSERT INTO annotations (analysis_id, dataset_id, updated_at, version, searched) "
                "VALUES (%s, 'd', '', 'a', '')",
                (ONE,),
            )

            async def waits() -> bool:
                query = "SELECT 1 FROM pg_locks WHERE NOT granted"
                return bool(await store._rows(query))

            with anyio.fail_after(PATIENCE_SECONDS):
                async with anyio.create_task_group() as group:
                    group.start_soon(store.delete_reports, [ONE])
                    await until(waits)
                    other.commit()
        assert await store.annotation(ONE) is None
