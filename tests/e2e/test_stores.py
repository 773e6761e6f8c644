"""Engines on real servers: what is answered is kept, whatever ends in between."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.engines import LONG, MAPPING, Engines, analyze, asking, get, wait_for_status
from tests.servers import Postgres, Redis
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("servers")


def test_an_engine_goes_on_without_its_database_and_cache_and_says_so(
    engines: Engines, postgres: Postgres, redis: Redis
) -> None:
    engine = engines.start(POSTGRES_URL=postgres.fresh(), REDIS_URL=redis.url)
    engine.wait_ready()
    first = analyze(engine, asking(1)).json()
    assert first["provenance"]["stored"] is True
    assert get(engine, "/health/ready").json()["status"] == "ok"

    postgres.stop()
    redis.stop()
    answer = analyze(engine, asking(2))
    assert answer.status_code == 200
    assert answer.json()["provenance"]["stored"] is False
    ready = get(engine, "/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert set(ready.json()["degraded"]) == {"results", "cache"}

    postgres.start()
    redis.start()
    wait_for_status(engine, "/health/ready", "ok")
    again = analyze(engine, asking(2)).json()
    assert (again["provenance"]["stored"], again["provenance"]["cache"]) == (True, "hit")
    assert again["estimates"] == answer.json()["estimates"]
    listed = [one["analysis_id"] for one in get(engine, "/api/analyses").json()["analyses"]]
    assert sorted(listed) == sorted([first["analysis_id"], again["analysis_id"]])


def test_an_engine_that_starts_without_its_database_answers_and_registers_later(
    engines: Engines, postgres: Postgres
) -> None:
    url = postgres.fresh()
    postgres.stop()
    engine = engines.start(POSTGRES_URL=url)
    try:
        engine.wait_ready()
        assert analyze(engine, asking(1)).json()["provenance"]["stored"] is False
    finally:
        postgres.start()
    wait_until(lambda: (listed := get(engine, "/api/datasets")).status_code == 200 and "test" in listed.text)


def test_of_two_engines_that_are_asked_the_same_at_once_one_computes(
    engines: Engines, postgres: Postgres, redis: Redis
) -> None:
    url = postgres.fresh()
    pair = [engines.start(POSTGRES_URL=url, REDIS_URL=redis.url) for _ in range(2)]
    for engine in pair:
        engine.wait_ready()
    body = {"dataset_id": "test", "mapping": MAPPING, "options": {"seed": 7}}
    with ThreadPoolExecutor(2) as threads:
        one, other = [answer.json() for answer in threads.map(lambda engine: analyze(engine, body), pair)]
    # How long each step took is measured: two computations never agree in it.
    assert one["provenance"]["seconds"] == other["provenance"]["seconds"]
    assert one["estimates"] == other["estimates"]


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_job_of_an_engine_that_was_killed_is_interrupted_and_never_forgotten(
    engines: Engines, postgres: Postgres, backend: str
) -> None:
    environment = {"POSTGRES_URL": postgres.fresh()} if backend == "postgres" else {}
    engine = engines.start(**environment)
    engine.wait_ready()
    done = analyze(engine, asking(1), Prefer="respond-async").json()
    wait_for_status(engine, f"/api/jobs/{done['job_id']}", "succeeded")
    running = analyze(engine, LONG, Prefer="respond-async").json()
    assert running["status"] == "running"
    engine.kill()

    engine = engines.start(**environment)
    engine.wait_ready()
    found = get(engine, f"/api/jobs/{running['job_id']}").json()
    assert (found["status"], found["dataset_id"]) == ("interrupted", LONG["dataset_id"])
    assert found["finished_at"] is not None
    assert get(engine, f"/api/jobs/{done['job_id']}").json()["links"]["report"].startswith("/api/analyses/")
    assert "event: interrupted" in get(engine, f"/api/jobs/{running['job_id']}/events").text


def test_a_job_is_read_followed_and_cancelled_through_the_gateway_whichever_engine_runs_it(
    engines: Engines, postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    url = postgres.fresh()
    pair = [engines.start(POSTGRES_URL=url, REDIS_URL=redis.url) for _ in range(2)]
    gateway = engines.gateway(pair)
    for service in (*pair, gateway):
        service.wait_ready()
    for runner, other in (pair, pair[::-1]):
        key = f"job on {runner.port}"
        job = analyze(runner, LONG, Prefer="respond-async", **{"Idempotency-Key": key}).json()
        path = f"/api/jobs/{job['job_id']}"
        # The same request is that job, wherever it arrives.
        for service in (other, gateway):
            again = analyze(service, LONG, Prefer="respond-async", **{"Idempotency-Key": key})
            assert (again.status_code, again.json()["job_id"]) == (202, job["job_id"])
            refused = analyze(service, asking(1), Prefer="respond-async", **{"Idempotency-Key": key})
            assert (refused.status_code, refused.json()["type"]) == (422, "idempotency-key-reused")
        wait_for_status(runner, path, "running", "last_step")
        for _ in range(3):
            assert get(gateway, path).json()["last_step"] is not None
        assert get(other, path).json()["status"] == "running"
        assert get(other, f"{path}/events").status_code == 409
        assert httpx.delete(f"{other.url}{path}", trust_env=False).status_code == 409
        assert get(runner, path).json()["status"] == "running"
        assert httpx.delete(f"{gateway.url}{path}", trust_env=False).json()["status"] == "cancelled"
        assert get(gateway, path).json()["steps"] > 0
        assert "event: cancelled" in get(gateway, f"{path}/events").text
        assert "event: step" in get(gateway, f"{path}/events").text
        wait_for_status(other, path, "cancelled")
    assert get(gateway, "/api/jobs/nothing").status_code == 404

    key = {"Idempotency-Key": "of an engine that is killed", "Prefer": "respond-async"}
    job = analyze(pair[0], LONG, **key).json()
    pair[0].kill()
    assert analyze(gateway, LONG, **key).json()["job_id"] == job["job_id"]
    path = f"/api/jobs/{job['job_id']}"
    assert wait_for_status(pair[1], path, "running", "last_step")["last_step"] is not None
    assert httpx.delete(f"{gateway.url}{path}", trust_env=False, timeout=60).json()["status"] == "cancelled"


def test_engines_on_one_volume_take_the_same_upload_at_once_and_either_deletes_it(
    engines: Engines, postgres: Postgres
) -> None:
    url = postgres.fresh()
    pair = [engines.start(POSTGRES_URL=url) for _ in range(2)]
    for engine in pair:
        engine.wait_ready()
    rows = "".join(f"{number},{number % 2},{number % 7 + 2 * (number % 2)}\n" for number in range(200))
    content = f"id,w,y\n{rows}".encode()

    def upload(number: int) -> httpx.Response:
        at = f"{pair[number % 2].url}/api/datasets?name=same.csv"
        return httpx.post(at, content=content, trust_env=False, timeout=60)

    for _ in range(2):
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(upload, range(6)))
        assert [answer.status_code for answer in answers] == [201] * 6
        (dataset_id,) = {answer.json()["dataset_id"] for answer in answers}
        body = {"dataset_id": dataset_id, "mapping": MAPPING, "options": {"estimators": ["difference_in_means"]}}
        one, other = (analyze(engine, body).json() for engine in pair)
        assert one["estimates"][0]["status"] in ("ok", "warning")
        assert one["analysis_id"] == other["analysis_id"]
        path = f"/api/datasets/{dataset_id}"
        assert httpx.delete(f"{pair[0].url}{path}", trust_env=False, timeout=30).is_success
        assert get(pair[1], path).status_code == 404
