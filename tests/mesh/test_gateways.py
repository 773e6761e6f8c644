"""Gateways that are gone: the sidecar of the client leaves an address alone, and takes it back."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.mesh.system import Mesh, Workload, open_mesh
from tests.waiting import wait_until

_FAILURES = 5
_EJECTED_SECONDS, _CHECK_SECONDS, _CONNECT_SECONDS = 10, 5, 2
_SLACK_SECONDS = 5

# On a busy machine the pods alone take a minute.
pytestmark = pytest.mark.timeout(400)


@dataclass
class Parts:
    """Two gateways, an engine and a client without open connections."""

    mesh: Mesh
    gateways: list[Workload]
    client: Workload

    def ask(self, http: httpx.Client) -> int:
        with self.client.pod.inside():
            return http.get("/api/datasets").status_code

    @property
    def ejected(self) -> int:
        return sum(self.client.envoy.stats("outlier_detection.ejections_active").values())


@pytest.fixture
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with open_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        release = mesh.release()
        engine = mesh.start(release, "engine")
        gateways = [mesh.start(release, "gateway") for _ in range(2)]
        client = mesh.client()
        mesh.ready(engine, *gateways)
        yield Parts(mesh, gateways, client)


def test_a_gateway_that_cannot_be_reached_is_ejected_after_five_failures_and_comes_back(parts: Parts) -> None:
    lost = parts.gateways[0]
    parts.mesh.network.lose(lost.pod)
    http = parts.mesh.http(parts.client)
    statuses, slowest = [], 0.0
    while not parts.ejected:
        begun = time.monotonic()
        statuses.append(parts.ask(http))
        slowest = max(slowest, time.monotonic() - begun)
        assert len(statuses) < 200
    ejected_at = time.monotonic()
    assert statuses.count(503) == _FAILURES
    assert set(statuses) == {200, 503}
    # The sidecar opens the connection, so that its time-out is the one that counts.
    assert slowest < _CONNECT_SECONDS + _SLACK_SECONDS
    # Nothing else ends in an error while it is left alone.
    while (answered := parts.ask(http)) and parts.ejected:
        assert answered == 200
    seconds = time.monotonic() - ejected_at
    print(f"ejected after {len(statuses)} requests, {_FAILURES} of them failed; left alone for {seconds:.1f} s")
    assert _EJECTED_SECONDS - 1 <= seconds <= _EJECTED_SECONDS + _CHECK_SECONDS + _SLACK_SECONDS
    parts.mesh.network.find(lost.pod)
    before = lost.envoy.stat("http.inbound.downstream_rq_2xx")
    wait_until(lambda: parts.ask(http) == 200 and lost.envoy.stat("http.inbound.downstream_rq_2xx") > before)


def test_a_gateway_that_has_died_next_to_its_sidecar_is_left_to_kubernetes(parts: Parts) -> None:
    dead = parts.gateways[0]
    assert dead.service is not None
    dead.service.kill()
    http = parts.mesh.http(parts.client)
    statuses = [parts.ask(http) for _ in range(40)]
    # Its sidecar answers 503, and an answer ejects nobody.
    assert set(statuses) == {200, 503}
    assert statuses.count(503) > _FAILURES
    assert parts.ejected == 0
    # What Kubernetes does when the pod is no longer ready.
    dead.is_listed = False
    parts.mesh.publish()
    wait_until(lambda: [parts.ask(http) for _ in range(20)] == [200] * 20)


def test_idle_connections_are_closed_by_the_sidecar_that_sends_requests(parts: Parts) -> None:
    [release] = parts.mesh.releases
    http = parts.mesh.http(parts.client)
    assert [parts.ask(http) for _ in range(4)] == [200] * 4
    to_gateways = f"cluster.outbound|8082||{release.objects.host('gateway')}"
    places = [(parts.client.envoy, to_gateways), *((each.envoy, "cluster.inbound|8082||") for each in parts.gateways)]
    opened = [(envoy, name) for envoy, name in places if envoy.stat(f"{name}.upstream_cx_total")]
    assert len(opened) >= 2
    wait_until(lambda: all(envoy.stat(f"{name}.upstream_cx_idle_timeout") for envoy, name in opened))
    assert [envoy.stat(f"{name}.upstream_cx_destroy_remote") for envoy, name in opened] == [0] * len(opened)
