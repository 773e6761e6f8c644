"""A second release next to the first: its share of the requests, copies of requests, and values that are reloaded."""

import math
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.deploy.chart.rendering import merged
from tests.mesh.load import under_load
from tests.mesh.system import VALUES, Mesh, Release, Workload, open_mesh
from tests.waiting import wait_until

_REQUESTS = 2000
_ROWS = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (row, row % 2, row % 7 + 2 * (row % 2)) for row in range(200))
_MAPPING = {"y": "y", "treatment": "w", "unit_id": "id"}

# On a busy machine the pods alone take a minute.
pytestmark = pytest.mark.timeout(400)


def _values(percent: int = 0, mirror: int = 0) -> dict[str, object]:
    canary = {"meshed": {"canary": {"service": "cqox-canary-gateway", "percent": percent}}}
    return merged(VALUES, canary, {"istio": {"mirrorPercent": mirror}})


@dataclass
class Parts:
    """Two releases with data folders of their own, and their client."""

    mesh: Mesh
    main: Release
    engine: Workload
    canary: Release
    canary_engine: Workload
    client: Workload
    http: httpx.Client

    def sent(self, release: Release) -> int:
        """Number of requests that the sidecar of the client has sent to the gateways of a release."""
        return self.client.envoy.stat(f"cluster.outbound|8082||{release.objects.host('gateway')}.upstream_rq_total")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with open_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        main = mesh.release(values=_values(percent=10))
        canary = mesh.release("cqox-canary", merged(VALUES, {"meshed": {"canaryOf": "cqox-gateway"}}))
        started = [mesh.start(one, part) for one in (main, canary) for part in ("engine", "gateway")]
        client = mesh.client()
        mesh.ready(*started)
        yield Parts(mesh, main, started[0], canary, started[2], client, mesh.http(client))


def _reached(engine: Workload) -> int:
    return engine.envoy.stat("http.inbound.downstream_rq_total")


def _listing(client: httpx.Client, _: int) -> httpx.Response:
    return client.get("/api/datasets")


def test_a_canary_gets_its_share_and_no_request_fails(parts: Parts) -> None:
    parts.mesh.upgrade(parts.main, _values(percent=10))
    before = {one.name: parts.sent(one) for one in (parts.main, parts.canary)}
    engines = {one.pod.name: _reached(one) for one in (parts.engine, parts.canary_engine)}
    with under_load(parts.mesh, parts.client, _listing, most=_REQUESTS) as load:
        pass
    assert load.statuses == {200: _REQUESTS}, load.failures
    share = parts.sent(parts.canary) - before[parts.canary.name]
    assert share + parts.sent(parts.main) - before[parts.main.name] == _REQUESTS
    spread = math.sqrt(_REQUESTS * 0.1 * 0.9)
    # Four standard deviations of a binomial count: once in 16,000 runs without a reason.
    assert abs(share - 0.1 * _REQUESTS) < 4 * spread
    # Engines see the same, and some questions for their liveness.
    assert 0 <= _reached(parts.canary_engine) - engines[parts.canary_engine.pod.name] - share <= 20
    print(f"canary: {share} of {_REQUESTS} requests")


def test_a_canary_takes_over_by_reloaded_values_without_a_failed_request(parts: Parts) -> None:
    parts.mesh.upgrade(parts.main, _values(percent=10))
    most = _REQUESTS // 2
    with under_load(parts.mesh, parts.client, _listing, most=most) as load:
        wait_until(lambda: load.answered >= most // 3)
        parts.mesh.upgrade(parts.main, _values(percent=100))
        wait_until(lambda: load.answered >= 2 * most // 3)
        settled, asked = parts.sent(parts.main), parts.sent(parts.canary)
    assert load.statuses == {200: most}, load.failures
    assert parts.sent(parts.main) == settled
    assert parts.sent(parts.canary) > asked


def _upload(parts: Parts, name: str) -> str:
    with parts.client.pod.inside():
        answer = parts.http.post(f"/api/datasets?name={name}", content=_ROWS, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["dataset_id"])


def _analyze(parts: Parts, dataset: str, key: str) -> str:
    body = {"dataset_id": dataset, "mapping": _MAPPING, "options": {"seed": len(key)}}
    with parts.client.pod.inside():
        answer = parts.http.post("/api/analyze/comprehensive", json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["analysis_id"])


def _has(engine: Workload, path: str) -> bool:
    with engine.pod.inside():
        answer = httpx.get(f"http://127.0.0.1:8080{path}", trust_env=False, timeout=30)
    return answer.status_code == httpx.codes.OK


def _go_to_main(parts: Parts) -> bool:
    """Return whether three requests in a row went to the main release."""
    before = parts.sent(parts.main)
    with parts.client.pod.inside():
        for _ in range(3):
            _listing(parts.http, 0)
    return parts.sent(parts.main) == before + 3


def test_a_mirrored_release_computes_copies_on_stores_of_its_own(parts: Parts) -> None:
    parts.mesh.upgrade(parts.main, _values(mirror=100))
    # A sidecar reads its files again when it sees that they are new.
    wait_until(lambda: _go_to_main(parts))
    dataset = _upload(parts, "copied")
    # Copies are in no order: one that overtakes the copy that it needs is refused, and is not repeated.
    wait_until(lambda: _has(parts.canary_engine, f"/api/datasets/{dataset}"))
    name = _analyze(parts, dataset, "copied")
    assert _has(parts.engine, f"/api/analyses/{name}")
    # The same report: its id is the digest of data, request and version.
    wait_until(lambda: _has(parts.canary_engine, f"/api/analyses/{name}"))


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_failures_of_a_mirrored_release_change_nothing_for_the_client(parts: Parts, fault: signal.Signals) -> None:
    parts.mesh.upgrade(parts.main, _values(mirror=100))
    assert parts.canary_engine.service is not None
    process = parts.canary_engine.service.process
    before = parts.sent(parts.canary)
    process.send_signal(fault)
    try:
        _analyze(parts, _upload(parts, fault.name), f"while {fault.name}")
        with under_load(parts.mesh, parts.client, _listing, most=200) as load:
            pass
    finally:
        if fault == signal.SIGSTOP:
            process.send_signal(signal.SIGCONT)
    assert load.statuses == {200: 200}, load.failures
    assert load.slowest < 10
    assert parts.sent(parts.canary) - before >= 200
