"""TLS of a served app, with real sockets: refusals, rotation, and handshakes that do not end."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from cqox.certificates import CertificatesUnusable, Credentials, current_version
from cqox.certificates.authority import Authority
from services.config.configuration import SettingsError
from services.config.settings import Settings
from services.http.server.tls import HandshakeFailed, ServerTls
from tests.servers.certificates import authority_in, client_of, expired
from tests.services.conftest import Service
from tests.waiting import PATIENCE_SECONDS, wait_until

APP = str(Path(__file__).parents[1] / "served_app.py")
PEER = "spiffe://cqox/client"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return authority_in(tmp_path / "tls", "gateway", "client", "stranger")


@pytest.fixture
def open_service(start: Callable[..., Service], authority: Authority) -> Service:
    """A service whose clients need no certificate."""
    return start(APP, CQOX_TLS_DIR=str(authority.folder / "gateway"))


@pytest.fixture
def closed_service(start: Callable[..., Service], authority: Authority) -> Service:
    """A service that demands the certificate of `client`."""
    return start(APP, CQOX_TLS_DIR=str(authority.folder / "{service}"), CQOX_TLS_PEERS=PEER)


def connected(service: Service) -> socket.socket:
    assert service.url.startswith("https://")
    host, port = service.url.removeprefix("https://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)


def secured(service: Service, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(connected(service), server_hostname="localhost")


def ask(stream: socket.socket, path: str = "/peer") -> tuple[int, dict[str, object], str]:
    """Return status, body and the header Connection of one response."""
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with http.client.HTTPResponse(stream) as answer:
        answer.begin()
        return answer.status, json.loads(answer.read()), answer.getheader("Connection", "")


def without_certificate(authority: Authority, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.folder / "gateway/current/ca.pem"))
    context.minimum_version = context.maximum_version = version
    return context


def refused(service: Service, context: ssl.SSLContext) -> str:
    """Return why a client cannot get a response: the alert of the server."""
    with pytest.raises(ssl.SSLError) as caught:
        with secured(service, context) as stream:
            ask(stream)
    return str(caught.value.reason)


def test_a_client_is_verified_and_its_identity_reaches_the_handler(closed_service: Service, authority: Authority):
    with secured(closed_service, client_of(authority, "client")) as stream:
        assert stream.version() == "TLSv1.3"
        assert stream.selected_alpn_protocol() == "http/1.1"
        assert ask(stream) == (200, {"peer": PEER}, "")
        assert ask(stream) == (200, {"peer": PEER}, ""), "on the same connection"
        # TLS 1.3 tickets come after the handshake: a session is never resumed around the check of a certificate.
        assert not stream.session.has_ticket
    assert closed_service.stop() == 0


def test_clients_need_no_certificate_where_no_peers_are_set(open_service: Service, authority: Authority):
    with secured(open_service, without_certificate(authority)) as stream:
        assert ask(stream) == (200, {"peer": None}, "")


def test_every_refusal_closes_one_connection_and_the_server_lives_on(closed_service: Service, authority: Authority):
    assert refused(closed_service, without_certificate(authority)) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    older = without_certificate(authority, version=ssl.TLSVersion.TLSv1_2)
    assert refused(closed_service, older) == "TLSV1_ALERT_PROTOCOL_VERSION"
    foreign = authority_in(authority.folder.parent / "foreign", "client")
    context = client_of(foreign, "client")
    context.load_verify_locations(authority.folder / "gateway/current/ca.pem")
    assert "UNKNOWN_CA" in refused(closed_service, context)
    expired(authority, "client")
    assert "CERTIFICATE_EXPIRED" in refused(closed_service, client_of(authority, "client"))
    with connected(closed_service) as plain:
        plain.sendall(b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
        assert plain.recv(1000) == b""
    with connected(closed_service) as silent:
        silent.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in silent.recv(1000)
        assert silent.recv(1000) == b""
    authority.issue("client", days=1)
    with secured(closed_service, client_of(authority, "client")) as stream:
        assert ask(stream)[0] == 200
    assert closed_service.stop() == 0
    assert "peer did not return a certificate" in closed_service.wait_line("TLS handshakes that failed: 1;")
    assert not any("Traceback" in line or '"exception"' in line for line in closed_service.lines)


def test_a_client_that_is_not_allowed_may_ask_for_the_health_alone(closed_service: Service, authority: Authority):
    for identity in ("spiffe://cqox/stranger", "https://no.identity"):
        authority.issue("stranger", days=1, identity=identity)
        context = client_of(authority, "stranger")
        with secured(closed_service, context) as stream:
            status, problem, connection = ask(stream, "/now")
            assert (status, problem["type"], connection) == (403, "forbidden", "close")
            assert "CQOX_TLS_PEERS" in str(problem["detail"])
        with secured(closed_service, context) as stream:
            assert ask(stream, "/health/live")[0] == 200
            assert ask(stream, "/health/live/../../now")[0] == 400
        # It gets its answer although the rest of the body is unread.
        with secured(closed_service, context) as stream:
            stream.sendall(b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000))
            with http.client.HTTPResponse(stream) as answer:
                answer.begin()
                assert answer.status == 403


def test_a_new_certificate_is_shown_at_the_next_handshake_and_old_connections_are_closed_by_their_next_answer(
    open_service: Service, authority: Authority
):
    context = without_certificate(authority)
    with secured(open_service, context) as before:
        assert ask(before)[2] == ""
        authority.renew("gateway")
        with secured(open_service, context) as after:
            assert before.getpeercert(binary_form=True) != after.getpeercert(binary_form=True)
            assert ask(after) == (200, {"peer": None}, "")
        assert ask(before) == (200, {"peer": None}, "close")
        assert before.recv(1) == b""


def test_a_withdrawn_authority_is_refused_without_a_restart(closed_service: Service, authority: Authority):
    old = client_of(authority, "client")
    for _ in range(3):
        # It has the certificate of the old authority all along, and trusts what its folder says.
        old.load_verify_locations(authority.folder / "client/current/ca.pem")
        with secured(closed_service, old) as stream:
            assert ask(stream)[0] == 200
        authority.replace()
    assert "UNKNOWN_CA" in refused(closed_service, old)
    with secured(closed_service, client_of(authority, "client")) as stream:
        assert ask(stream)[0] == 200


def test_a_broken_version_is_reported_by_the_health_and_the_old_one_goes_on(
    open_service: Service, authority: Authority
):
    context = without_certificate(authority)
    assert open_service.url
    authority.renew("gateway")
    (current_version(authority.folder / "gateway").folder / "key.pem").write_text("")

    def problem() -> str:
        with secured(open_service, context) as stream:
            status, body, _ = ask(stream, "/health/ready")
            assert status == 200
            degraded = body["degraded"]
            assert isinstance(degraded, dict)
            return str(degraded.get("certificates", ""))

    found = wait_until(problem)
    assert "cannot be read" in found
    assert "the certificate in force is valid until 20" in found
    assert sum("cannot be read" in line for line in open_service.lines) == 1
    authority.renew("gateway")
    wait_until(lambda: not problem())


def test_handshakes_that_do_not_end_hold_nobody_up(open_service: Service, authority: Authority):
    halves = [connected(open_service) for _ in range(20)]
    try:
        for half in halves[:10]:
            half.sendall(b"\x16\x03\x01")
        with secured(open_service, without_certificate(authority)) as stream:
            assert ask(stream)[0] == 200
    finally:
        for half in halves:
            half.close()
    assert open_service.stop() == 0


@pytest.mark.trio
async def test_a_handshake_has_five_seconds(authority: Authority, autojump_clock: trio.testing.MockClock):
    server = ServerTls(Credentials(authority.folder / "gateway"), frozenset())
    ours, theirs = trio.socket.socketpair()
    with ours, theirs:
        with pytest.raises(HandshakeFailed, match="no handshake within 5 s"):
            await server.secure(trio.SocketStream(ours), "test")
        assert trio.current_time() == pytest.approx(5.0)


@pytest.mark.trio
async def test_a_connection_is_outdated_once_its_clients_certificate_has_expired(authority: Authority, monkeypatch):
    server = ServerTls(Credentials(authority.folder / "gateway"), frozenset({PEER}))
    ours, theirs = trio.socket.socketpair()
    client = trio.SSLStream(trio.SocketStream(theirs), client_of(authority, "client"), server_hostname="localhost")
    found = []

    async def secure() -> None:
        found.append(await server.secure(trio.SocketStream(ours), "test"))

    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(secure)
            nursery.start_soon(client.do_handshake)
    _, peer = found[0]
    assert (peer.identity, peer.allowed) == (PEER, True)
    assert not server.is_outdated(peer)
    monkeypatch.setattr("time.time", lambda: peer.expires + 1)
    assert server.is_outdated(peer)


@pytest.mark.trio
async def test_the_check_of_the_health_has_the_reason(authority: Authority):
    server = ServerTls(Credentials(authority.folder / "gateway"), frozenset())
    await server.check()
    expired(authority, "gateway")
    with pytest.raises(CertificatesUnusable, match="has expired"):
        await server.check()


def test_a_directory_without_certificates_is_an_invalid_setting(tmp_path: Path):
    assert ServerTls.of(Settings(), "gateway") is None
    with pytest.raises(SettingsError, match=r"CQOX_TLS_DIR: .*cert\.pem cannot be read: No such file"):
        ServerTls.of(Settings(tls_dir=tmp_path), "gateway")
