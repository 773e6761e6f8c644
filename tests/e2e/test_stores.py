"""Engines on real servers: what is answered is kept, whatever ends in between."""

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Service, free_port
from tests.servers import Postgres, Redis

pytestmark = pytest.mark.xdist_group("servers")
MAPPING = {"y": "y", "treatment": "w", "unit_id": "id"}
LONG = json.loads((Path(__file__).parents[2] / "examples" / "long_request.json").read_text())


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator["Engines"]:
    made = Engines(tmp_path)
    yield made
    for one in made.all:
        one.kill()


class Engines:
    """Engines on one data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Service] = []

    def start(self, **environment: str) -> Service:
        port = free_port()
        variables = {"CQOX_DATA_DIR": str(self._folder / "data"), "CQOX_ENGINE_PORT": str(port), **environment}
        engine = Service("engine", port, variables, self._folder / f"engine{len(self.all)}.log")
        engine.start()
        self.all.append(engine)
        return engine

    def gateway(self, engines: Sequence[Service]) -> Service:
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(self._folder / "data"),
            "CQOX_GATEWAY_PORT": str(port),
            "ENGINE_URL": ",".join(engine.url for engine in engines),
        }
        gateway = Service("gateway", port, variables, self._folder / "gateway.log")
        gateway.start()
        self.all.append(gateway)
        return gateway


def asking(seed: int) -> dict[str, object]:
    return {
        "dataset_id": "test",
        "mapping": MAPPING,
        "options": {"seed": seed, "estimators": ["difference_in_means"]},
    }


def analyze(engine: Service, body: object, **headers: str) -> httpx.Response:
    url = f"{engine.url}/api/analyze/comprehensive"
    return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


def get(engine: Service, path: str) -> httpx.Response:
    return httpx.get(f"{engine.url}{path}", timeout=30, trust_env=False)


def until(engine: Service, path: str, wanted: str, *told: str) -> dict[str, object]:
    end = time.monotonic() + 20
    while True:
        answer: dict[str, object] = get(engine, path).json()
        there = answer["status"] == wanted and all(answer[name] is not None for name in told)
        if there or time.monotonic() > end:
            return answer
        time.sleep(0.1)


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
    until(engine, "/health/ready", "ok")
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
    end = time.monotonic() + 30
    while time.monotonic() < end:
        listed = get(engine, "/api/datasets")
        if listed.status_code == 200 and "test" in listed.text:
            break
        time.sleep(0.2)
    assert "test" in listed.text


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
    until(engine, f"/api/jobs/{done['job_id']}", "succeeded")
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
        until(runner, path, "running", "last_step")
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
        assert until(other, path, "cancelled")["status"] == "cancelled"
    assert get(gateway, "/api/jobs/nothing").status_code == 404


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_every_acknowledged_analysis_is_there_once_after_kills_at_random(
    engines: Engines, postgres: Postgres, backend: str
) -> None:
    environment = {"POSTGRES_URL": postgres.fresh()} if backend == "postgres" else {}
    acknowledged: dict[str, object] = {}
    rng, seeds, lock = random.Random(3), iter(range(10_000)), threading.Lock()

    def ask(engine: Service) -> None:
        while True:
            with lock:
                seed = next(seeds)
            try:
                answer = analyze(engine, asking(seed))
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                acknowledged[answer.json()["analysis_id"]] = answer.json()["estimates"]

    for _ in range(2):
        engine = engines.start(**environment)
        engine.wait_ready()
        before = len(acknowledged)
        with ThreadPoolExecutor(3) as threads:
            for _ in range(3):
                threads.submit(ask, engine)
            end = time.monotonic() + 30
            while len(acknowledged) < before + 15 and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(rng.random() / 5)
            engine.kill()
    engine = engines.start(**environment)
    engine.wait_ready()
    assert len(acknowledged) >= 30
    for analysis_id, estimates in acknowledged.items():
        assert get(engine, f"/api/analyses/{analysis_id}").json()["estimates"] == estimates
    listed, before_id = list[str](), ""
    while True:
        page = get(engine, f"/api/analyses?limit=50&dataset_id=test{before_id}").json()
        listed += [one["analysis_id"] for one in page["analyses"]]
        if page["next"] is None:
            break
        before_id = f"&{httpx.QueryParams(before=page['next'])}"
    assert len(listed) == len(set(listed))
    assert set(acknowledged) <= set(listed)
