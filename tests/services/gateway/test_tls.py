"""The client side of TLS against Trio's own server side, in memory and on loopback."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from services.gateway.tls import TlsStream, client_context
from tests.waiting import PATIENCE_SECONDS

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
                yield TlsStream(client, client_context(), name), server


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


@pytest.mark.trio
async def test_data_passes_both_ways_and_the_end_of_the_stream_is_empty(trusted) -> None:
    sent = bytes(range(256)) * 1000
    async with connected() as (stream, server):
        await agree(stream, server)
        async with trio.open_nursery() as nursery:

            async def echo() -> None:
                got = b""
                while len(got) < len(sent):
                    got += await server.receive_some()
                await server.send_all(got[::-1])
                await server.aclose()

            nursery.start_soon(echo)
            await stream.send_all(b"")
            await stream.send_all(sent)
            received = b""
            while data := await stream.receive_some():
                received += data
        assert received == sent[::-1]


@pytest.mark.trio
async def test_unread_data_and_the_end_are_seen_without_waiting(trusted) -> None:
    async with connected() as (stream, server):
        await agree(stream, server)
        assert stream.read_pending() == b""
        await server.send_all(b"answer and more")
        assert await stream.receive_some(6) == b"answer"
        assert stream.read_pending() == b" and more"
        assert not stream.ended
        await server.transport_stream.aclose()
        assert await stream.receive_some() == b""
        assert stream.read_pending() == b""
        assert stream.ended


@pytest.mark.trio
async def test_bytes_that_are_not_tls_break_the_stream(trusted) -> None:
    async with connected() as (stream, server):
        await agree(stream, server)
        await server.transport_stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


def test_certificates_that_cannot_be_read_are_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (tmp_path / "missing.pem", empty):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(OSError):
            client_context()
