"""Retries, time-outs and ejection where pods have sidecars: one layer each, as in `deploy/layers.py`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.deploy.chart.rendering import merged
from tests.mesh.system import VALUES, Mesh, Workload, open_mesh
from tests.waiting import wait_until

_ATTEMPTS = 3
_EJECTED_SECONDS = 10
_DRAIN_SECONDS = 15.0
"""Longer than two questions for the liveness take."""
_PATH = "/api/datasets"

# On a busy machine the pods alone take a minute.
pytestmark = pytest.mark.timeout(400)


@dataclass
class Parts:
    """A gateway and two engines, whose requests are counted behind their sidecars."""

    mesh: Mesh
    gateway: Workload
    engines: list[Workload]
    client: Workload
    http: httpx.Client

    @property
    def counted(self) -> list:
        return [each.counting for each in self.engines]

    def ask(self, **headers: str) -> httpx.Response:
        with self.client.pod.inside():
            return self.http.get(_PATH, headers=headers)

    def arrived(self) -> list:
        return [each for counting in self.counted for each in counting.arrived]

    def admin(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=self.gateway.service.environment["CQOX_ADMIN_SOCKET"])
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=10)

    def circuits(self) -> dict[str, str]:
        """States of the circuits of the gateway, by the name of their policy."""
        with self.admin() as admin:
            found = admin.get("/api/admin/policies").json()["policies"]
        return {name: each["state"] for name, each in found.items() if "state" in each}

    def engine_circuit(self, engine: Workload) -> str:
        """State of the circuit of one engine."""
        [state] = [state for name, state in self.circuits().items() if f"({engine.pod.address})" in name]
        return state


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    # With a login, so that the signatures of the gateway pass the sidecars as well.
    login = {"auth": {"mode": "keys"}, "secrets": {"hopKey": {"name": "cqox-hop"}}, "encryption": {"keys": "none"}}
    limit = {"gateway": {"settings": {"CQOX_REQUESTS_PER_MINUTE": "100000"}}}
    with open_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        release = mesh.release(values=merged(VALUES, login, limit))
        secret = {"CQOX_HOP_KEY": "a-secret-of-the-two-services-of-these-tests"}
        engines = [mesh.start(release, "engine", counted=True, **secret) for _ in range(2)]
        gateway = mesh.start(release, "gateway", **secret)
        client = mesh.client()
        mesh.ready(*engines, gateway)
        http = mesh.http(client)
        http.headers["Authorization"] = f"Bearer {mesh.command(engines[0], 'keys', 'create', '--role', 'steward')}"
        made = Parts(mesh, gateway, engines, client, http)
        # The gateway asks for names every five seconds.
        wait_until(lambda: made.ask().status_code == 200 and all(each.arrived for each in made.counted))
        yield made


@pytest.fixture
def parts(running: Parts) -> Iterator[Parts]:
    for each in running.counted:
        each.arrived.clear()
    yield running
    for each in running.counted:
        each.answer, each.hangs, each.delay = None, False, 0.0
        each.released.set()
        each.released.clear()
    with running.admin() as admin:
        for circuit in running.circuits():
            assert admin.post("/api/admin/policies", json={"policy": circuit, "action": "reset"}).status_code == 200


def _mesh_attempts(parts: Parts) -> set[str]:
    """Attempts of the sidecars, as they write them to each request."""
    return {each.headers["x-envoy-attempt-count"] for each in parts.arrived()}


def _ejected(parts: Parts) -> int:
    """Pods that sidecars leave alone."""
    envoys = [parts.client.envoy, parts.gateway.envoy]
    return sum(value for each in envoys for value in each.stats("outlier_detection.ejections_active").values())


def test_attempts_are_those_of_the_gateway_and_no_layer_multiplies_them(parts: Parts) -> None:
    for each in parts.counted:
        each.answer = (503, {})
    assert parts.ask().status_code == 503
    assert len(parts.arrived()) == _ATTEMPTS
    assert sorted(each.headers.get("x-retry-attempt", "0") for each in parts.arrived()) == ["0", "1", "2"]
    assert _mesh_attempts(parts) == {"1"}
    assert parts.client.envoy.stats("upstream_rq_retry$") | parts.gateway.envoy.stats("upstream_rq_retry$")
    assert sum(parts.client.envoy.stats("upstream_rq_retry$").values()) == 0
    assert sum(parts.gateway.envoy.stats("upstream_rq_retry$").values()) == 0


def test_an_engine_that_fails_is_ejected_by_the_gateway_first_and_alone_and_comes_back(parts: Parts) -> None:
    failing, healthy = parts.counted
    failing.answer = (500, {})
    statuses = []
    while parts.engine_circuit(parts.engines[0]) == "closed":
        statuses.append(parts.ask().status_code)
        assert len(statuses) < 100
    begun = time.monotonic()
    assert set(statuses) == {200}
    # Five failures in a row; each was tried again at the other engine.
    assert len(failing.arrived) == 5
    assert len(healthy.arrived) == len(statuses)
    assert _ejected(parts) == 0
    failing.answer = None
    wait_until(lambda: parts.ask().status_code == 200 and len(failing.arrived) > 5)
    seconds = time.monotonic() - begun
    print(f"ejected after {len(statuses)} requests, none of which failed; asked again after {seconds:.1f} s")
    assert _EJECTED_SECONDS - 1 < seconds < _EJECTED_SECONDS + 5
    assert _ejected(parts) == 0


def test_an_engine_that_hangs_costs_no_request_and_sidecars_end_none(parts: Parts) -> None:
    hanging, healthy = parts.counted
    hanging.hangs = True
    begun = time.monotonic()
    answers = [parts.ask() for _ in range(4)]
    seconds = time.monotonic() - begun
    assert {each.status_code for each in answers} == {200}
    assert len(healthy.arrived) >= 4
    # Each request is at most once at the engine that hangs.
    assert 1 <= len(hanging.arrived) <= 4
    assert _mesh_attempts(parts) == {"1"}
    print(f"4 requests with an engine that hangs: {seconds:.1f} s")
    assert sum(parts.gateway.envoy.stats("upstream_rq_timeout$").values()) == 0
    assert _ejected(parts) == 0


def test_the_deadline_of_a_client_ends_before_the_time_out_of_any_sidecar(parts: Parts) -> None:
    for each in parts.counted:
        each.hangs = True
    begun = time.monotonic()
    answer = parts.ask(**{"X-Request-Timeout-Ms": "2000"})
    seconds = time.monotonic() - begun
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert 2.0 <= seconds < 8.0
    [arrived] = parts.arrived()
    assert 0 < int(arrived.headers["x-request-timeout-ms"]) <= 2000
    assert sum(parts.client.envoy.stats("upstream_rq_timeout$").values()) == 0
    assert sum(parts.gateway.envoy.stats("upstream_rq_timeout$").values()) == 0


def test_no_header_of_a_client_makes_a_sidecar_retry_or_end_a_request(parts: Parts) -> None:
    for each in parts.counted:
        each.answer = (503, {})
    assert parts.ask(**{"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "2"}).status_code == 503
    assert len(parts.arrived()) == _ATTEMPTS
    assert _mesh_attempts(parts) == {"1"}
    for each in parts.counted:
        each.answer, each.delay = None, 1.0
    assert parts.ask(**{"x-envoy-upstream-rq-timeout-ms": "300"}).status_code == 200


def test_no_deadline_of_a_sidecar_reaches_an_engine(parts: Parts) -> None:
    assert parts.ask().status_code == 200
    [arrived] = parts.arrived()
    # The client's sidecar writes its time-out for the gateway, which is longer than any deadline of ours.
    assert int(arrived.headers["x-request-timeout-ms"]) <= 30_000
    assert "x-envoy-expected-rq-timeout-ms" not in arrived.headers


def test_headers_about_limits_and_waiting_pass_the_sidecars(parts: Parts) -> None:
    answer = parts.ask()
    assert "RateLimit" in answer.headers
    assert "RateLimit-Policy" in answer.headers
    for each in parts.counted:
        each.answer = (429, {"Retry-After": "7"})
    answer = parts.ask()
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "7"
    # Engines that are busy are no failure of any: each is asked once.
    assert len(parts.arrived()) <= 1 + 2 * _ATTEMPTS
    assert _ejected(parts) == 0


def test_an_engine_that_drains_finishes_what_it_has(parts: Parts) -> None:
    # Its sidecar answers 503 where the engine refuses connections, which is no silence.
    for each in parts.counted:
        each.delay = _DRAIN_SECONDS
    answers: list[httpx.Response] = []
    thread = parts.client.pod.thread(lambda: answers.append(parts.http.get(_PATH)))
    wait_until(parts.arrived)
    [draining] = [each for each in parts.counted if each.arrived]
    draining.shut()
    try:
        thread.join(3 * _DRAIN_SECONDS)
        assert [each.status_code for each in answers] == [200]
        assert len(parts.arrived()) == 1
    finally:
        draining.open()
