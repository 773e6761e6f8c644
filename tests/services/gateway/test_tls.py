"""TLS on connections to engines, against Trio's own server side on loopback."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from cqox.certificates import Credentials, identity_of
from cqox.certificates.authority import Authority
from services.gateway.tls import EngineTls, Terms, client_context, connect
from services.http.tls_stream import TlsStream
from tests.servers.certificates import authority_in
from tests.waiting import PATIENCE_SECONDS, until

LOCALHOST = Path(__file__).parent / "localhost.pem"


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))


@asynccontextmanager
async def connected(name: str = "localhost") -> AsyncIterator[tuple[TlsStream, trio.SSLStream[trio.SocketStream]]]:
    """Yield both ends of a connection before the handshake."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(LOCALHOST)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener:
            client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            async with client, await listener.accept() as accepted:
                server = trio.SSLStream(accepted, server_context, server_side=True, https_compatible=True)
                yield TlsStream(client, client_context(), server_name=name), server


async def agree(stream: TlsStream, server: trio.SSLStream[trio.SocketStream]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(stream.do_handshake)


@pytest.mark.trio
@pytest.mark.parametrize("name", ["localhost", "localhost."])
async def test_a_certificate_is_for_the_name_with_and_without_a_dot_at_its_end(trusted, name: str) -> None:
    async with connected(name) as (stream, server):
        await agree(stream, server)


@pytest.mark.trio
async def test_a_certificate_of_another_name_is_refused(trusted) -> None:
    async with connected("engine.test") as (stream, server), trio.open_nursery() as nursery:

        async def serve() -> None:
            with suppress(trio.BrokenResourceError):
                await server.do_handshake()
                await server.receive_some()

        nursery.start_soon(serve)
        with pytest.raises(ssl.SSLCertVerificationError):
            await stream.do_handshake()


def test_certificates_that_cannot_be_read_are_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (tmp_path / "missing.pem", empty):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(OSError):
            client_context()


@asynccontextmanager
async def engine_with(authority: Authority, part: str, *, context: str = "mutual") -> AsyncIterator[int]:
    """Yield the port of an engine that shows the current certificate of a part at each handshake, and echoes."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    credentials = Credentials(authority.folder / part)

    async def serve(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(
            stream, getattr(credentials.current(), context), server_side=True, https_compatible=True
        )
        with suppress(trio.BrokenResourceError):
            while data := await secured.receive_some():
                await secured.send_all(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        with trio.fail_after(PATIENCE_SECONDS):
            yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return authority_in(tmp_path / "tls", "gateway", "engine", "other")


def by_identity(authority: Authority) -> EngineTls:
    return EngineTls(Credentials(authority.folder / "gateway"), "spiffe://cqox/engine")


@pytest.mark.trio
async def test_an_engine_is_verified_by_its_identity_at_any_address(authority: Authority) -> None:
    authority.issue("engine", days=1, names=("engine.test",))
    async with engine_with(authority, "engine") as port:
        stream, _ = await connect("127.0.0.1", port, by_identity(authority))
        assert isinstance(stream, TlsStream)
        assert identity_of(stream.certificate) == "spiffe://cqox/engine"
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"
        stream.socket.close()


@pytest.mark.trio
@pytest.mark.parametrize("identity", ["spiffe://cqox/gateway", "https://no.identity"])
async def test_an_engine_with_another_identity_or_none_is_refused(authority: Authority, identity: str) -> None:
    authority.issue("other", days=1, identity=identity, names=("127.0.0.1",))
    async with engine_with(authority, "other") as port:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not of spiffe://cqox/engine"):
            await connect("127.0.0.1", port, by_identity(authority))


@pytest.mark.trio
async def test_an_engine_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    foreign = authority_in(tmp_path / "foreign", "engine")
    async with engine_with(foreign, "engine", context="server") as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
            await connect("127.0.0.1", port, by_identity(authority))


@pytest.mark.trio
async def test_a_connection_may_be_used_until_the_certificates_change_or_half_of_their_life_is_over(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = by_identity(authority)
    async with engine_with(authority, "engine") as port:
        stream, terms = await connect("127.0.0.1", port, tls)
        stream.socket.close()
    assert tls.allows(terms)
    assert not tls.allows(replace(terms, ends_at=time.monotonic() - 1))
    assert terms.ends_at - time.monotonic() <= 12 * 3600
    authority.renew("gateway")
    monkeypatch.setattr("cqox.certificates.credentials._LOOK_SECONDS", 0.0)
    await until(lambda: not tls.allows(terms))
    assert EngineTls.allows(tls, Terms()), "a connection without certificates of ours"


@pytest.mark.trio
async def test_without_certificates_an_engine_is_verified_by_its_name(trusted) -> None:
    tls = EngineTls()
    assert not tls.by_identity
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(LOCALHOST)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await trio.SSLStream(stream, context, server_side=True, https_compatible=True).do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        stream, terms = await connect("localhost", listener.socket.getsockname()[1], tls)
        assert tls.allows(terms)
        stream.socket.close()
        nursery.cancel_scope.cancel()
