"""Either side of a TLS connection against Trio's own other side, on loopback."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from cqox.certificates import Credentials, Loaded
from services.http.tls_stream import TlsStream
from tests.servers.certificates import authority_in
from tests.waiting import PATIENCE_SECONDS, until

type Other = trio.SSLStream[trio.SocketStream]
type Connected = Callable[[], AbstractAsyncContextManager[tuple[TlsStream, Other]]]

pytestmark = pytest.mark.trio


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return Credentials(authority_in(tmp_path / "tls", "both").folder / "both").current()


@pytest.fixture(params=["client", "server"])
def connected(request: pytest.FixtureRequest, loaded: Loaded) -> Connected:
    """Opens both ends of a connection before the handshake; ours is on the side of the parameter."""
    return partial(opened, loaded, request.param)


@asynccontextmanager
async def opened(loaded: Loaded, side: str) -> AsyncIterator[tuple[TlsStream, Other]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener:
            client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            async with client, await listener.accept() as accepted:
                if side == "client":
                    other = trio.SSLStream(accepted, loaded.mutual, server_side=True, https_compatible=True)
                    yield TlsStream(client, loaded.client, server_name="localhost"), other
                else:
                    other = trio.SSLStream(client, loaded.client, https_compatible=True)
                    yield TlsStream(accepted, loaded.mutual, server_name=None), other


async def agree(stream: TlsStream, other: Other) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.do_handshake)
        nursery.start_soon(stream.do_handshake)


async def test_each_side_sees_the_certificate_and_the_protocol_of_the_other(connected: Connected) -> None:
    async with connected() as (stream, other):
        await agree(stream, other)
        assert stream.certificate == other.getpeercert()
        assert stream.protocol == other.selected_alpn_protocol() == "http/1.1"


async def test_data_passes_both_ways_and_the_end_of_the_stream_is_empty(connected: Connected) -> None:
    sent = bytes(range(256)) * 1000
    async with connected() as (stream, other):
        await agree(stream, other)
        async with trio.open_nursery() as nursery:

            async def echo() -> None:
                got = b""
                while len(got) < len(sent):
                    got += await other.receive_some()
                await other.send_all(got[::-1])
                await other.aclose()

            nursery.start_soon(echo)
            await stream.send_all(b"")
            await stream.send_all(sent)
            received = b""
            while data := await stream.receive_some():
                received += data
        assert received == sent[::-1]


async def test_unread_data_and_the_end_are_seen_without_waiting(connected: Connected) -> None:
    async with connected() as (stream, other):
        await agree(stream, other)
        assert stream.read_pending() == b""
        await other.send_all(b"answer and more")
        assert await stream.receive_some(6) == b"answer"
        assert stream.read_pending() == b" and more"
        assert not stream.ended
        await other.transport_stream.aclose()
        assert await stream.receive_some() == b""
        assert stream.read_pending() == b""
        assert stream.ended


async def test_bytes_that_are_not_tls_break_the_stream(connected: Connected) -> None:
    async with connected() as (stream, other):
        await agree(stream, other)
        await other.transport_stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_records_that_have_been_received_are_returned_together(connected: Connected) -> None:
    sent = bytes(range(256)) * 128
    async with connected() as (stream, other):
        await agree(stream, other)
        await other.send_all(sent)
        # All of it is in the buffer of the socket.
        await until(lambda: len(stream.socket._sock.recv(2**20, socket.MSG_PEEK)) > len(sent))
        assert await stream.receive_some(len(sent)) == sent
        await other.send_all(sent)
        await until(lambda: len(stream.socket._sock.recv(2**20, socket.MSG_PEEK)) > len(sent))
        assert await stream.receive_some(20_000) == sent[:20_000], "no more than was asked for"
        rest = b""
        while len(rest) < len(sent) - 20_000:
            rest += await stream.receive_some()
        assert rest == sent[20_000:]


async def test_a_reading_task_that_is_cancelled_loses_nothing(connected: Connected) -> None:
    async with connected() as (stream, other):
        await agree(stream, other)
        with trio.move_on_after(0.02):
            await stream.receive_some()
        await other.send_all(b"later")
        assert await stream.receive_some() == b"later"


async def test_one_task_sends_more_than_the_sockets_hold_while_another_one_reads(connected: Connected) -> None:
    sent = bytes(range(256)) * 2**14
    async with connected() as (stream, other):
        await agree(stream, other)
        async with trio.open_nursery() as nursery:
            received: list[bytes] = []

            async def read(found: list[bytes], receive: Callable[[], object]) -> None:
                while sum(map(len, found)) < len(sent):
                    found.append(await receive())  # type: ignore[misc]

            echoed: list[bytes] = []
            nursery.start_soon(read, received, stream.receive_some)
            nursery.start_soon(stream.send_all, sent)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(other.send_all, sent)
            nursery.start_soon(read, echoed, other.receive_some)
        assert b"".join(received) == b"".join(echoed) == sent


async def test_the_buffers_of_a_connection_are_bounded_whatever_is_sent(loaded: Loaded) -> None:
    async with opened(loaded, "server") as (stream, other):
        await agree(stream, other)
        largest = 0
        send = stream.transport_stream.send_all

        async def observed(data: bytes) -> None:
            nonlocal largest
            largest = max(largest, len(data))
            await send(data)

        stream.transport_stream.send_all = observed  # type: ignore[method-assign, assignment]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(2**22))
            left = 2**22
            while left:
                left -= len(await other.receive_some())
        assert 2**18 < largest < 2**18 + 2**12


async def test_a_peer_without_a_certificate_is_sent_the_alert(loaded: Loaded) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, await trio.open_tcp_stream(*listener.socket.getsockname()) as client:
            async with await listener.accept() as accepted, trio.open_nursery() as nursery:
                stream = TlsStream(accepted, loaded.mutual, server_name=None)

                async def refuse() -> None:
                    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                        await stream.do_handshake()

                nursery.start_soon(refuse)
                anonymous = trio.SSLStream(client, context)
                # With TLS 1.3 its own handshake is over before its certificate is asked for.
                await anonymous.do_handshake()
                with pytest.raises(trio.BrokenResourceError) as caught:
                    await anonymous.receive_some()
                assert "CERTIFICATE_REQUIRED" in str(caught.value.__cause__)
