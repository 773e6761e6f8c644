"""Deletions through a gateway reach every engine, its memory, and what engines share."""

import httpx
import pytest

from tests.e2e.engines import LONG, Engines, analyze, asking, get, wait_for_status
from tests.e2e.stack import Service
from tests.servers import Redis

pytestmark = pytest.mark.xdist_group("servers")
CSV = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(60))


def delete(service: Service, path: str) -> httpx.Response:
    return httpx.delete(f"{service.url}{path}", trust_env=False, timeout=60)


@pytest.fixture(params=["sqlite", "postgres", "postgres and redis"])
def shared(request: pytest.FixtureRequest, engines: Engines) -> tuple[list[Service], Service]:
    """Two engines that share their stores, and a gateway in front of both."""
    environment = {}
    if "postgres" in request.param:
        environment["POSTGRES_URL"] = request.getfixturevalue("postgres").fresh()
    if "redis" in request.param:
        server = request.getfixturevalue("redis")
        with server.client() as client:
            client.flushall()
        environment["REDIS_URL"] = server.url
    pair = [engines.start(**environment) for _ in range(2)]
    gateway = engines.gateway(pair)
    for service in (*pair, gateway):
        service.wait_ready()
    return pair, gateway


def test_what_is_deleted_on_one_engine_is_answered_by_none(shared: tuple[list[Service], Service]) -> None:
    pair, gateway = shared
    for seed, deleter in enumerate((gateway, *pair)):
        key = analyze(gateway, asking(seed)).json()["analysis_id"]
        path = f"/api/analyses/{key}"
        # Now each of them has it at hand.
        assert [analyze(engine, asking(seed)).json()["provenance"]["cache"] for engine in pair] == ["hit"] * 2
        assert delete(deleter, path).status_code == 204
        for service in (*pair, gateway):
            assert get(service, path).status_code == 404
            assert delete(service, path).status_code == 404
        assert analyze(pair[0], asking(seed)).json()["provenance"]["cache"] == "miss"
        assert [get(service, path).status_code for service in (*pair, gateway)] == [200] * 3


def test_a_job_that_is_deleted_on_one_engine_is_known_to_none(shared: tuple[list[Service], Service]) -> None:
    pair, gateway = shared
    for seed, (runner, deleter) in enumerate(((pair[0], gateway), (pair[1], gateway), (pair[0], pair[1]))):
        headers = {"Prefer": "respond-async", "Idempotency-Key": f"key {seed}"}
        path = analyze(runner, asking(100 + seed), **headers).headers["Location"]
        first = wait_for_status(runner, path, "succeeded")
        assert get(pair[1], path).json()["status"] == "succeeded"
        assert path in [job["links"]["self"] for job in get(gateway, "/api/jobs?status=succeeded").json()["jobs"]]
        assert delete(deleter, path).json()["status"] == "succeeded"
        for service in (*pair, gateway):
            assert get(service, path).status_code == 404
            assert delete(service, path).status_code == 404
            assert get(service, f"{path}/events").status_code == 404
        # The key starts it again, wherever it arrives.
        again = analyze(pair[1], asking(100 + seed), **headers)
        assert (again.status_code, again.headers["Location"]) == (202, path)
        second = wait_for_status(pair[1], path, "succeeded")
        assert second["created_at"] > first["created_at"]  # type: ignore[operator]
        assert get(pair[0], path).json()["created_at"] == second["created_at"]
    assert delete(gateway, "/api/jobs/nothing").status_code == 404


def test_an_erased_data_set_leaves_nothing_on_any_engine(shared: tuple[list[Service], Service]) -> None:
    pair, gateway = shared
    upload = httpx.post(f"{gateway.url}/api/datasets?name=a.csv", content=CSV, trust_env=False, timeout=60)
    dataset_id = upload.json()["dataset_id"]
    bodies = [{**asking(seed), "dataset_id": dataset_id} for seed in range(3)]
    keys = [analyze(engine, body).json()["analysis_id"] for body in bodies for engine in pair]
    jobs = [analyze(engine, bodies[0], Prefer="respond-async").headers["Location"] for engine in pair]
    for engine, path in zip(pair, jobs, strict=True):
        wait_for_status(engine, path, "succeeded")
    other = analyze(gateway, asking(1)).json()["analysis_id"]
    assert delete(gateway, f"/api/datasets/{dataset_id}?erase=reports").status_code == 204
    paths = [f"/api/datasets/{dataset_id}", *(f"/api/analyses/{key}" for key in set(keys)), *jobs]
    assert {get(service, path).status_code for service in (*pair, gateway) for path in paths} == {404}
    assert get(gateway, "/api/jobs").json()["jobs"] == []
    assert [each["analysis_id"] for each in get(gateway, "/api/analyses").json()["analyses"]] == [other]


def test_nothing_is_said_to_be_deleted_while_the_shared_cache_cannot_be_asked(engines: Engines, redis: Redis) -> None:
    with redis.client() as client:
        client.flushall()
    engine = engines.start(REDIS_URL=redis.url)
    gateway = engines.gateway([engine])
    for service in (engine, gateway):
        service.wait_ready()
    path = f"/api/analyses/{analyze(gateway, asking(1)).json()['analysis_id']}"
    redis.stop()
    try:
        for service in (engine, gateway):
            refused = delete(service, path)
            assert (refused.status_code, refused.json()["type"]) == (503, "store-unavailable")
        assert get(gateway, path).status_code == 200
    finally:
        redis.start()
    wait_for_status(engine, "/health/ready", "ok")
    assert delete(gateway, path).status_code == 204
    assert get(gateway, path).status_code == 404


def test_a_computation_that_outlives_the_erasure_of_its_data_set_leaves_no_report(engines: Engines) -> None:
    pair = [engines.start() for _ in range(2)]
    for engine in pair:
        engine.wait_ready()
    content = get_csv()
    upload = httpx.post(f"{pair[0].url}/api/datasets?name=a.csv", content=content, trust_env=False, timeout=60)
    dataset_id = upload.json()["dataset_id"]
    slow = {**LONG["options"], "repetitions": 1_500}
    body = {"dataset_id": dataset_id, "mapping": LONG["mapping"], "options": slow}
    job = analyze(pair[1], body, Prefer="respond-async").headers["Location"]
    wait_for_status(pair[1], job, "running", "last_step")
    assert delete(pair[0], f"/api/datasets/{dataset_id}?erase=reports").status_code == 204
    engines.wait_gone(pair[1], job)
    assert get(pair[0], f"/api/analyses?dataset_id={dataset_id}").json()["analyses"] == []


def get_csv() -> bytes:
    from cqox.assets import asset_folder

    return (asset_folder("samples") / "test.csv").read_bytes()
