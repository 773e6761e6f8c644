"""Facts on a real server: many items in one report, and a deletion that meets an insertion."""

import threading
from dataclasses import replace

import psycopg
import pytest

from cqox.storage import Item
from cqox.storage.postgres import PostgresStore
from cqox.storage.postgres.facts import insert_facts
from cqox.storage.tenant_ids import TenantKeys
from tests.servers import Postgres
from tests.storage.records import a_report, some_facts

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]
ONE = a_report(1)


async def test_a_report_may_have_more_items_than_one_statement_takes(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    items = tuple(Item(kind="estimator", name=f"e{number}") for number in range(1_001))
    async with PostgresStore.open(url) as database:
        assert await database.within("default").save(ONE, facts=replace(some_facts(1), items=items))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*), max(place) FROM analysis_items").fetchone() == (1_001, 1_000)


async def test_facts_that_are_inserted_while_their_report_is_deleted_do_not_stay(postgres_server: Postgres) -> None:
    url = postgres_server.fresh()
    async with PostgresStore.open(url) as database:
        await database.within("default").save(ONE)
    with psycopg.connect(url) as writer, psycopg.connect(url, autocommit=True) as deleter:
        assert insert_facts(writer, TenantKeys("default"), some_facts(1))
        waiting = threading.Thread(target=deleter.execute, args=("DELETE FROM reports",))
        waiting.start()
        writer.commit()
        waiting.join(10)
        assert not waiting.is_alive()
        for table in ("reports", "analysis_facts", "analysis_items"):
            assert deleter.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert insert_facts(deleter, TenantKeys("default"), some_facts(1)) is False
