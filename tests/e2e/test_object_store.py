"""Engines without a common folder: their files are in an object store, and one does what another has begun."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.engines import LONG, MAPPING, Engines, analyze, asking, get, wait_for_status
from tests.e2e.stack import Service
from tests.e2e.test_stores_settings import run
from tests.servers import ObjectStore, Postgres, running
from tests.servers.object_proxy import ObjectProxy, proxied
from tests.servers.object_store import KEYS
from tests.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.timeout(240)]

ROWS = "".join(f"{number},{number % 2},{number % 7 + 2 * (number % 2)}\n" for number in range(200))
CONTENT = f"id,w,y\n{ROWS}".encode()


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with running(ObjectStore()) as server:
        yield server


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[ObjectProxy]:
    with proxied(object_store.port) as proxy:
        yield proxy


class Apart:
    """Engines with folders of their own, on one object store and one database."""

    def __init__(self, engines: Engines, folder: Path, bucket: str, endpoint: str, url: str) -> None:
        secret = folder / "secret"
        secret.write_text(KEYS.secret_key)
        self._folder = folder
        self._engines = engines
        self.bucket = bucket
        self.environment = {
            "POSTGRES_URL": url,
            "CQOX_OBJECT_STORE": f"s3://{bucket}/of/cqox",
            "CQOX_OBJECT_STORE_ENDPOINT": endpoint,
            "CQOX_OBJECT_STORE_ACCESS_KEY": KEYS.access_key,
            "CQOX_OBJECT_STORE_SECRET_KEY_FILE": str(secret),
        }

    def start(self, name: str, **more: str) -> Service:
        return self._engines.start(**self.environment, CQOX_DATA_DIR=str(self.folder(name)), **more)

    def folder(self, name: str) -> Path:
        return self._folder / name


@pytest.fixture
def apart(engines: Engines, tmp_path: Path, object_store: ObjectStore, postgres: Postgres) -> Apart:
    return Apart(engines, tmp_path, object_store.bucket(versions=True), object_store.endpoint, postgres.fresh())


def upload(service: Service, content: bytes = CONTENT) -> httpx.Response:
    at = f"{service.url}/api/datasets?name=rows.csv"
    return httpx.post(at, content=content, trust_env=False, timeout=60)


def body_of(dataset_id: str) -> dict[str, object]:
    return {"dataset_id": dataset_id, "mapping": MAPPING, "options": {"estimators": ["difference_in_means"]}}


def test_engines_without_a_common_folder_do_what_others_have_begun(
    engines: Engines, apart: Apart, object_store: ObjectStore
) -> None:
    one, other = apart.start("one"), apart.start("other")
    gateway = engines.gateway([one, other])
    for service in (one, other, gateway):
        service.wait_ready()
    assert get(one, "/health/ready").json()["status"] == "ok"

    answers = [upload(one), upload(other), upload(gateway)]
    assert [answer.status_code for answer in answers] == [201] * 3
    (dataset_id,) = {answer.json()["dataset_id"] for answer in answers}
    report = analyze(other, body_of(dataset_id)).json()
    assert report["estimates"][0]["status"] in ("ok", "warning")
    again = analyze(one, body_of(dataset_id)).json()
    assert (again["analysis_id"], again["provenance"]["cache"]) == (report["analysis_id"], "hit")
    name, path = next(iter(report["figures"].items()))
    figure = f"/api/analyses/{report['analysis_id']}/figures/{name}.svg"
    assert path
    drawn = [get(service, figure) for service in (one, other, gateway)]
    assert [answer.status_code for answer in drawn] == [200] * 3
    assert len({answer.content for answer in drawn}) == 1
    assert any("/figures/" in key for key in object_store.versions(apart.bucket))

    # Read again from the original, with other options, at the engine that has not seen the file.
    sheets = get(other, f"/api/datasets/{dataset_id}/sheets").json()
    assert sheets["original"] is True

    # In pieces, each through another engine.
    begun = httpx.post(
        f"{one.url}/api/uploads", json={"name": "more.csv", "size_bytes": len(CONTENT)}, trust_env=False, timeout=30
    ).json()
    path, half = f"/api/uploads/{begun['upload_id']}", len(CONTENT) // 2
    for service, start, end in ((other, 0, half), (one, half, len(CONTENT))):
        sent = httpx.patch(
            f"{service.url}{path}",
            content=CONTENT[start:end],
            headers={"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"},
            trust_env=False,
            timeout=30,
        )
        assert sent.is_success, sent.text
    assert get(gateway, path).json()["offset"] == len(CONTENT)

    # Erased through one engine: no version of any object is left, and no copy at the other.
    begun = httpx.post(f"{gateway.url}/api/erasures", json={"dataset_id": dataset_id}, trust_env=False, timeout=30)
    assert begun.is_success, begun.text
    at = f"/api/erasures/{begun.json()['erasure_id']}"
    wait_until(lambda: get(gateway, at).json()["status"] == "finished", failure=lambda: get(gateway, at).text)
    assert get(one, f"/api/datasets/{dataset_id}").status_code == 404
    assert get(other, f"/api/analyses/{report['analysis_id']}").status_code == 404
    kept = [key for key in object_store.versions(apart.bucket) if dataset_id in key or report["analysis_id"] in key]
    assert [key for key in kept if "/erased/" not in key] == []
    for name in ("one", "other"):
        copies = apart.folder(name) / "copies/default" / dataset_id
        wait_until(lambda copies=copies: not copies.exists())

    for service in (one, other):
        assert "a-secret-of-the-tests" not in service.log


def test_concurrent_uploads_of_one_file_at_two_engines_leave_one_data_set(apart: Apart) -> None:
    pair = [apart.start(name) for name in ("one", "other")]
    for engine in pair:
        engine.wait_ready()
    for _ in range(2):
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda number: upload(pair[number % 2]), range(4)))
        assert [answer.status_code for answer in answers] == [201] * 4
        (dataset_id,) = {answer.json()["dataset_id"] for answer in answers}
        one, other = (analyze(engine, body_of(dataset_id)).json() for engine in pair)
        assert one["analysis_id"] == other["analysis_id"]
        path = f"/api/datasets/{dataset_id}"
        assert httpx.delete(f"{pair[0].url}{path}", trust_env=False, timeout=30).is_success
        assert get(pair[1], path).status_code == 404


def test_a_job_of_an_engine_that_was_killed_is_taken_over_by_one_on_another_disk(
    engines: Engines, apart: Apart
) -> None:
    pair = [apart.start(name) for name in ("one", "other")]
    gateway = engines.gateway(pair)
    for service in (*pair, gateway):
        service.wait_ready()
    key = {"Idempotency-Key": "of an engine that is killed", "Prefer": "respond-async"}
    job = analyze(pair[0], LONG, **key).json()
    path = f"/api/jobs/{job['job_id']}"
    wait_for_status(pair[0], path, "running", "last_step")
    pair[0].kill()
    # Nobody sees a lock of a process on another disk: the lease of the job expires, half a minute later at most.
    wait_for_status(pair[1], path, "interrupted")
    assert analyze(gateway, LONG, **key).json()["job_id"] == job["job_id"]
    assert wait_for_status(pair[1], path, "running", "last_step")["last_step"] is not None
    assert httpx.delete(f"{gateway.url}{path}", trust_env=False, timeout=60).json()["status"] == "cancelled"


def test_a_store_that_fails_or_is_full_is_said_so_and_used_again_afterwards(
    engines: Engines, tmp_path: Path, object_store: ObjectStore, postgres: Postgres, proxy: ObjectProxy
) -> None:
    apart = Apart(engines, tmp_path, object_store.bucket(), proxy.endpoint, postgres.fresh())
    engine = apart.start("one")
    engine.wait_ready()
    wait_until(lambda: analyze(engine, asking(1)).status_code == 200)
    known = analyze(engine, asking(1)).json()
    proxy.mode = "full"
    full = upload(engine)
    assert (full.status_code, full.json()["type"]) == (507, "insufficient-storage")
    assert "object store is full" in full.json()["detail"]
    proxy.mode = "down"
    failed = upload(engine)
    assert (failed.status_code, failed.json()["type"]) == (503, "store-unavailable")
    assert int(failed.headers["Retry-After"]) >= 1
    degraded = wait_for_status(engine, "/health/ready", "degraded")["degraded"]
    assert degraded == {"objects": "The object store failed: 503 Service Unavailable, ServiceUnavailable."}
    # What is stored in the database is answered all the same.
    assert analyze(engine, asking(1)).json()["analysis_id"] == known["analysis_id"]
    assert get(engine, "/health/ready").status_code == 200
    proxy.mode = "whole"
    wait_for_status(engine, "/health/ready", "ok")
    wait_until(lambda: upload(engine).status_code == 201)


def test_a_store_that_hangs_costs_no_lease_and_is_used_again_afterwards(
    apart: Apart, object_store: ObjectStore
) -> None:
    engine = apart.start("one")
    engine.wait_ready()
    wait_until(lambda: analyze(engine, asking(1)).status_code == 200)
    job = analyze(engine, LONG, Prefer="respond-async").json()
    path = f"/api/jobs/{job['job_id']}"
    wait_for_status(engine, path, "running", "last_step")
    with object_store.frozen():
        hung = upload(engine)
        assert (hung.status_code, hung.json()["type"]) == (503, "store-unavailable")
        assert hung.headers["Retry-After"]
        assert "objects" in get(engine, "/health/ready").json()["degraded"]
    wait_for_status(engine, "/health/ready", "ok")
    assert get(engine, path).json()["status"] != "interrupted"
    httpx.delete(f"{engine.url}{path}", trust_env=False, timeout=60)
    wait_until(lambda: upload(engine).status_code == 201)


def test_a_store_that_ignores_conditions_ends_the_start_with_one_sentence(
    engines: Engines, tmp_path: Path, object_store: ObjectStore, postgres: Postgres, proxy: ObjectProxy
) -> None:
    proxy.mode = "unconditional"
    apart = Apart(engines, tmp_path, object_store.bucket(), proxy.endpoint, postgres.fresh())
    ended = run(tmp_path, "-m", "services.engine", **apart.environment)
    assert ended.returncode != 0
    assert "ignores the header If-None-Match" in ended.stdout + ended.stderr
    assert KEYS.secret_key not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "CQOX_OBJECT_STORE needs POSTGRES_URL"),
        ({"CQOX_OBJECT_STORE": "/data"}, "CQOX_OBJECT_STORE must be an address"),
        ({"CQOX_OBJECT_STORE_ACCESS_KEY": "which"}, "belong together"),
    ],
)
def test_an_address_that_cannot_be_used_ends_the_start_with_one_line(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    ended = run(tmp_path, "-m", "services.engine", **{"CQOX_OBJECT_STORE": "s3://bucket", **variables})
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("engine: ")
    assert said in line
