"""Erasure with real processes: an engine that is killed half-way, and a database server in place of the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import httpx
import psycopg
import pytest

from cqox.storage import SqliteStore
from tests.e2e.stack import Service, build
from tests.servers import Postgres, running
from tests.services.engine.test_erasures import PLANTED, finished, found_in, plant
from tests.storage.records import a_report
from tests.waiting import wait_until

REPORTS = 1500


def with_reports(path: Path, dataset_id: str) -> None:
    """Store many reports on a data set, so that erasing them takes a while."""

    async def save() -> None:
        async with SqliteStore.open(path) as opened:
            store = opened.within("default")
            for number in range(REPORTS):
                await store.save(a_report(number, dataset_id=dataset_id, body=b'{"planted":"Yamada-Hanako"}'))

    anyio.run(save)


def client_of(engine: Service) -> httpx.Client:
    return httpx.Client(base_url=engine.url, timeout=60, trust_env=False)


def reports_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM reports").fetchone()[0])


def test_an_erasure_ends_by_itself_after_its_engine_was_killed_half_way(tmp_path: Path) -> None:
    engine = build(tmp_path, CQOX_SHARE_LINKS="on").engine
    data = Path(engine.environment["CQOX_DATA_DIR"])
    engine.start()
    try:
        engine.wait_ready()
        with client_of(engine) as client:
            dataset_id = plant(client)
        assert engine.stop() == 0
        with_reports(data / "results.sqlite", dataset_id)
        engine.start()
        engine.wait_ready()
        with client_of(engine) as client:
            begun = client.post("/api/erasures", json={"dataset_id": dataset_id}).json()
            path = f"/api/erasures/{begun['erasure_id']}"
            wait_until(lambda: reports_in(data / "results.sqlite") < REPORTS)
            engine.kill()
        assert 0 < reports_in(data / "results.sqlite") < REPORTS
        engine.start()
        engine.wait_ready()
        with client_of(engine) as client:
            assert client.get(path).json()["status"] == "running"
            receipt = finished(client, begun)
            assert receipt.counts["reports"] == REPORTS + 1
            assert client.get("/api/analyses").json()["analyses"] == []
        assert found_in(data) == []
    finally:
        engine.kill()


@pytest.mark.xdist_group("servers")
def test_an_erasure_leaves_nothing_in_any_row_of_a_database_server(tmp_path: Path) -> None:
    with running(Postgres()) as server:
        url = server.fresh()
        engine = build(tmp_path, POSTGRES_URL=url, CQOX_SHARE_LINKS="on", CQOX_AUDIT="on").engine

        def rows() -> str:
            query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
            with psycopg.connect(url) as connection:
                tables = [str(name) for (name,) in connection.execute(query).fetchall()]
                texts = [str(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables]  # type: ignore[arg-type]
            return "\n".join(texts)

        engine.start()
        try:
            engine.wait_ready()
            with client_of(engine) as client:
                dataset_id = plant(client)
                before = rows()
                assert all(
                    planted in before for planted in PLANTED if planted not in ("Yamada-Hanako", "Pieces-Hanako")
                )
                receipt = finished(client, client.post("/api/erasures", json={"dataset_id": dataset_id}).json())
                assert receipt.counts["reports"] == 1
                after = rows()
                assert [planted for planted in PLANTED if planted in after] == []
                assert found_in(Path(engine.environment["CQOX_DATA_DIR"])) == []
        finally:
            engine.kill()
