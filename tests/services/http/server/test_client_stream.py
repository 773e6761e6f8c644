"""The bytes of a connection, over a real socket, with TLS and without."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from cqox.certificates import Credentials
from services.http.server.client_stream import ClientStream
from services.http.server.connection_limits import ConnectionLimits
from services.http.tls_stream import TlsStream
from tests.servers.certificates import authority_in

pytestmark = pytest.mark.trio

type Client = trio.SocketStream | trio.SSLStream[trio.SocketStream]
type Connected = Callable[[], AbstractAsyncContextManager[tuple[ClientStream, Client]]]


@pytest.fixture(params=["plain", "TLS"])
def connected(request: pytest.FixtureRequest, tmp_path: Path) -> Connected:
    if request.param == "plain":
        return partial(opened, None)
    return partial(opened, Credentials(authority_in(tmp_path / "tls", "both").folder / "both"))


@asynccontextmanager
async def opened(credentials: Credentials | None) -> AsyncIterator[tuple[ClientStream, Client]]:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    client = await trio.open_tcp_stream(*listener.socket.getsockname())
    async with listener, client, await listener.accept() as server:
        place = ConnectionLimits(most=1).admit("a")
        assert place is not None
        if credentials is None:
            yield ClientStream(server, place), client
            return
        ours = TlsStream(server, credentials.current().mutual, server_name=None)
        theirs = trio.SSLStream(client, credentials.current().client, https_compatible=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.do_handshake)
            nursery.start_soon(theirs.do_handshake)
        yield ClientStream(ours, place), theirs


def below(client: Client) -> trio.SocketStream:
    return client.transport_stream if isinstance(client, trio.SSLStream) else client


async def test_bytes_are_read_until_the_client_closes_its_side(connected: Connected):
    async with connected() as (stream, client):
        await client.send_all(b"ab")
        assert await stream.first_bytes() == b"ab"
        await below(client).send_eof()
        assert await stream.more() == b""
        assert not stream.over


async def test_a_reset_ends_the_connection(connected: Connected):
    async with connected() as (stream, client):
        below(client).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await below(client).aclose()
        assert await stream.read() is None
        assert stream.over
        assert stream.is_reset()
        await stream.write(b"lost")


async def test_bytes_sent_arrive_and_are_dated(connected: Connected):
    async with connected() as (stream, client):
        assert stream.sent_at < trio.current_time()
        await stream.write(b"answer")
        assert await client.receive_some() == b"answer"
        assert not stream.is_writing
        assert 0 <= stream.sent_at <= trio.current_time()


async def test_a_write_that_is_cancelled_ends_the_connection(connected: Connected):
    async with connected() as (stream, _):
        with trio.move_on_after(0.05):
            await stream.write(bytes(2**26))
        assert stream.over
        assert not stream.is_writing


async def test_a_client_that_has_closed_its_side_has_hung_up_also_behind_unread_bytes(connected: Connected):
    async with connected() as (stream, client):
        assert not stream.has_hung_up()
        await client.send_all(b"unread")
        await below(client).send_eof()
        with trio.fail_after(10):
            while not stream.has_hung_up():
                await trio.sleep(0.001)


async def test_the_input_is_drained_before_the_end_so_that_the_answer_is_read(connected: Connected):
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        await client.send_all(b"unread")
        await stream.write(b"answer")
        nursery.start_soon(lambda: stream.linger(unread=True))
        assert await client.receive_some() == b"answer"
        assert await client.receive_some() == b""
        await below(client).send_eof()


async def test_a_response_is_sent_while_another_task_waits_for_the_client_and_after_it_has_closed_its_side(
    connected: Connected,
):
    sent = bytes(range(256)) * 4096
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        read: list[bytes | None] = []

        async def watch() -> None:
            read.append(await stream.read())

        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(stream.write, sent)
        received = b""
        while len(received) < len(sent):
            received += await client.receive_some()
        assert received == sent
        await below(client).send_eof()
        with trio.fail_after(10):
            while not read:
                await trio.sleep(0.001)
        assert read == [b""]
        await stream.write(b"more")
        assert await client.receive_some() == b"more"


@pytest.mark.parametrize("sizes", [(0, 3), (5, 0, 7), (300, 2**14), (1, 3_000_000, 2), (2_000_000, 0, 2_000_000)])
async def test_parts_arrive_one_after_the_other_however_much_a_socket_takes_at_once(
    connected: Connected, sizes: tuple[int, ...]
):
    parts = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    received = bytearray()
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        nursery.start_soon(partial(stream.write, *parts))
        while len(received) < sum(sizes):
            received += await client.receive_some(50_000)
    assert received == b"".join(parts)
    assert not stream.over


async def test_large_parts_to_a_client_that_has_reset_the_connection_end_it(connected: Connected):
    async with connected() as (stream, client):
        below(client).socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await below(client).aclose()
        await trio.testing.wait_all_tasks_blocked()
        await stream.write(b"a", b"b" * 2**20)
        assert stream.over


async def test_large_parts_that_are_cancelled_end_the_connection(connected: Connected):
    async with connected() as (stream, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, b"a", b"b" * 50_000_000)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert stream.over
