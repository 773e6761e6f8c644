"""The bytes of a connection, over a real socket."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from services.http.server.client_stream import ClientStream
from services.http.server.connection_limits import ConnectionLimits

pytestmark = pytest.mark.trio


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[ClientStream, trio.SocketStream]]:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    client = await trio.open_tcp_stream(*listener.socket.getsockname())
    async with listener, client, await listener.accept() as server:
        place = ConnectionLimits(most=1).admit("a")
        assert place is not None
        yield ClientStream(server, place), client


async def test_bytes_are_read_until_the_client_closes_its_side():
    async with connected() as (stream, client):
        await client.send_all(b"ab")
        assert await stream.first_bytes() == b"ab"
        await client.send_eof()
        assert await stream.more() == b""
        assert not stream.over


async def test_a_reset_ends_the_connection():
    async with connected() as (stream, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await client.aclose()
        assert await stream.read() is None
        assert stream.over
        assert stream.is_reset()
        await stream.write(b"lost")


async def test_bytes_sent_arrive_and_are_dated():
    async with connected() as (stream, client):
        assert stream.sent_at < trio.current_time()
        await stream.write(b"answer")
        assert await client.receive_some() == b"answer"
        assert not stream.is_writing
        assert 0 <= stream.sent_at <= trio.current_time()


async def test_a_write_that_is_cancelled_ends_the_connection():
    async with connected() as (stream, _):
        with trio.move_on_after(0.05):
            await stream.write(bytes(2**26))
        assert stream.over
        assert not stream.is_writing


async def test_a_client_that_has_closed_its_side_has_hung_up_also_behind_unread_bytes():
    async with connected() as (stream, client):
        assert not stream.has_hung_up()
        await client.send_all(b"unread")
        await client.send_eof()
        with trio.fail_after(10):
            while not stream.has_hung_up():
                await trio.sleep(0.001)


async def test_the_input_is_drained_before_the_end_so_that_the_answer_is_read():
    async with connected() as (stream, client), trio.open_nursery() as nursery:
        await client.send_all(b"unread")
        await stream.write(b"answer")
        nursery.start_soon(lambda: stream.linger(unread=True))
        assert await client.receive_some() == b"answer"
        assert await client.receive_some() == b""
        await client.send_eof()
