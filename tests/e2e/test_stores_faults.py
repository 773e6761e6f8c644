"""Engines whose servers stand still or refuse: analyses are answered, and say whether they were stored."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.engines import Engines, analyze, asking, get, wait_for_status
from tests.e2e.stack import Service
from tests.servers import Postgres, Redis

pytestmark = pytest.mark.xdist_group("servers")


def timed(engine: Service, path: str) -> tuple[dict[str, object], float]:
    began = time.monotonic()
    answer = get(engine, path)
    assert answer.status_code == 200
    return answer.json(), time.monotonic() - began


def test_a_database_that_stands_still_for_fifteen_seconds_keeps_no_analysis_waiting_for_it(
    engines: Engines, postgres: Postgres
) -> None:
    engine = engines.start(POSTGRES_URL=postgres.fresh())
    engine.wait_ready()
    assert analyze(engine, asking(1)).json()["provenance"]["stored"] is True
    answers, healths = list[httpx.Response](), list[tuple[dict[str, object], float]]()
    with postgres.frozen():
        began = time.monotonic()
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(lambda: [analyze(engine, asking(seed)) for seed in range(2, 6)])
            while time.monotonic() - began < 15:
                healths.append(timed(engine, "/health/ready"))
                time.sleep(0.5)
            assert asked.done()
            answers += asked.result()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.json()["provenance"]["stored"] for answer in answers] == [False] * 4
    assert {str(health["status"]) for health, _ in healths} == {"degraded"}
    # The promise is half a second.
    assert max(seconds for _, seconds in healths) < 5
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    assert analyze(engine, asking(9)).json()["provenance"]["stored"] is True
    for answer in answers:
        again = get(engine, f"/api/analyses/{answer.json()['analysis_id']}").json()
        assert again["provenance"]["stored"] is True
        assert again["estimates"] == answer.json()["estimates"]


@pytest.mark.slow
def test_without_anybody_watching_a_database_that_stands_still_an_analysis_is_answered_meanwhile(
    engines: Engines, postgres: Postgres
) -> None:
    engine = engines.start(POSTGRES_URL=postgres.fresh())
    engine.wait_ready()
    analyze(engine, asking(1))
    with postgres.frozen():
        began = time.monotonic()
        answer = analyze(engine, asking(2))
        taken = time.monotonic() - began
    assert answer.json()["provenance"]["stored"] is False
    assert taken < 15
    wait_for_status(engine, "/health/ready", "ok")


def test_a_cache_that_stands_still_makes_answers_slower_and_neither_wrong_nor_unstored(
    engines: Engines, redis: Redis
) -> None:
    engine = engines.start(REDIS_URL=redis.url)
    engine.wait_ready()
    first = analyze(engine, asking(1)).json()
    with redis.frozen():
        answers = [analyze(engine, asking(seed)) for seed in (1, 2, 3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert all(answer.json()["provenance"]["stored"] for answer in answers)
        assert answers[0].json()["estimates"] == first["estimates"]
        health = get(engine, "/health/ready").json()
        assert (health["status"], set(health["degraded"])) == ("degraded", {"cache"})
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}


def test_a_read_only_database_is_said_and_reads_go_on(engines: Engines, postgres: Postgres) -> None:
    url = postgres.fresh()
    engine = engines.start(POSTGRES_URL=url)
    engine.wait_ready()
    first = analyze(engine, asking(1)).json()
    schema = url.rpartition("%3D")[2]
    postgres.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    try:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cqox'")
        answer = analyze(engine, asking(2))
        assert answer.status_code == 200
        assert answer.json()["provenance"]["stored"] is False
        assert get(engine, f"/api/analyses/{first['analysis_id']}").json()["estimates"] == first["estimates"]
    finally:
        postgres.execute("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT")
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cqox'")
    assert analyze(engine, asking(2)).json()["provenance"]["stored"] is True
    assert postgres.execute(f"SELECT count(*) FROM {schema}.reports") == [(2,)]
