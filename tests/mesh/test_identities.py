"""Admission: mutual TLS with the identities of the chart, on both sides of both hops."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cqox.certificates.authority import Authority
from tests.mesh.network import Pod
from tests.mesh.system import CLIENT, Mesh, Workload, open_mesh

_READ = b"GET /api/datasets HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
# The alert of the peer, or the end of the connection where that comes first.
_REFUSED = (ssl.SSLError, ConnectionError)
_NAMESPACE = "spiffe://cluster.local/ns/cqox/sa"

# On a busy machine the pods alone take a minute.
pytestmark = pytest.mark.timeout(400)


@dataclass
class Parts:
    """A mesh with one pod of each kind, and a pod without a sidecar."""

    mesh: Mesh
    gateway: Workload
    engine: Workload
    client: Workload
    stranger: Pod
    client_http: httpx.Client

    def asked(self, workload: Workload, identity: str, authority: Authority | None = None) -> int:
        """Return the status that a stranger gets with a certificate, past every sidecar of its own."""
        authority = authority or self.mesh.authority
        authority.issue("stranger", days=1, identity=identity)
        own = authority.folder / "stranger" / "current"
        context = ssl.create_default_context(cafile=str(self.mesh.authority.folder / "stranger" / "current" / "ca.pem"))
        context.check_hostname = False
        context.load_cert_chain(own / "cert.pem", own / "key.pem")
        return self._exchange(workload, context)

    def _exchange(self, workload: Workload, context: ssl.SSLContext) -> int:
        port = workload.release.objects.port(workload.component)
        host = workload.release.objects.host(workload.component).encode()
        with context.wrap_socket(self.stranger.connect(workload.pod.address, port)) as secure:
            secure.sendall(_READ % host)
            answer = b""
            while data := secure.recv(65536):
                answer += data
        return int(answer.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with open_mesh(tmp_path_factory.mktemp("mesh")) as mesh:
        release = mesh.release()
        engine, gateway = mesh.start(release, "engine"), mesh.start(release, "gateway")
        client = mesh.client()
        mesh.ready(engine, gateway)
        mesh.authority.issue("stranger", days=1, identity=f"{_NAMESPACE}/nobody")
        stranger = mesh.network.pod("stranger")
        yield Parts(mesh, gateway, engine, client, stranger, mesh.http(client))


def test_the_client_of_the_values_is_answered_by_an_engine(parts: Parts) -> None:
    with parts.client.pod.inside():
        answer = parts.client_http.get("/api/datasets")
    assert answer.status_code == 200, answer.text
    assert parts.engine.envoy.stat("http.inbound.downstream_rq_2xx") >= 1


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_plain_text_is_refused(parts: Parts, component: str) -> None:
    workload = getattr(parts, component)
    port = workload.release.objects.port(component)
    with parts.stranger.connect(workload.pod.address, port) as plain:
        plain.sendall(_READ % b"cqox")
        with suppress(ConnectionResetError):
            assert plain.recv(100) == b""


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_a_client_without_a_certificate_is_refused(parts: Parts, component: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(_REFUSED):
        parts._exchange(getattr(parts, component), context)


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_the_certificate_of_another_authority_is_refused(parts: Parts, component: str, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    with pytest.raises(_REFUSED):
        parts.asked(getattr(parts, component), f"{_NAMESPACE}/cqox-gateway", other)


@pytest.mark.parametrize("component", ["gateway", "engine"])
def test_an_identity_of_another_trust_domain_is_refused(parts: Parts, component: str) -> None:
    with pytest.raises(_REFUSED):
        parts.asked(getattr(parts, component), "spiffe://elsewhere/ns/cqox/sa/cqox-gateway")


@pytest.mark.parametrize(
    ("component", "identity", "status"),
    [
        ("gateway", CLIENT, 200),
        ("gateway", f"{_NAMESPACE}/cqox-engine", 403),
        ("gateway", f"{_NAMESPACE}/default", 403),
        ("engine", f"{_NAMESPACE}/cqox-gateway", 200),
        ("engine", CLIENT, 403),
        ("engine", f"{_NAMESPACE}/cqox-engine", 403),
    ],
)
def test_an_identity_is_admitted_where_the_chart_admits_it(
    parts: Parts, component: str, identity: str, status: int
) -> None:
    workload = getattr(parts, component)
    before = workload.envoy.stat("http.inbound.rbac.denied")
    assert parts.asked(workload, identity) == status
    assert workload.envoy.stat("http.inbound.rbac.denied") - before == (status == 403)


def test_who_is_no_gateway_gets_no_request_of_the_client(parts: Parts) -> None:
    # A pod of the mesh at an address of the Service, with an identity that is not that of gateways.
    mesh = parts.mesh
    mesh.authority.issue("impostor", days=1, identity=f"{_NAMESPACE}/cqox-engine")
    own = mesh.authority.folder / "impostor" / "current"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    impostor = mesh.network.pod("impostor")
    received: list[bytes] = []
    with impostor.inside():
        listener = socket.create_server((impostor.address, 8082))

    def serve() -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as secure:
            received.append(secure.recv(1))

    thread = impostor.thread(serve)
    host = parts.gateway.release.objects.host("gateway")
    parts.client.envoy.write({host: [impostor.address]})
    try:
        fresh = mesh.http(parts.client)
        with parts.client.pod.inside():
            statuses = {fresh.get("/api/datasets").status_code for _ in range(2)}
        thread.join(10)
        assert statuses == {503}
        assert received in ([], [b""])
    finally:
        listener.close()
        mesh.publish()
