"""Sockets of the simulated network behave as Trio's real ones do: each test runs on both."""

import errno
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio

from cqox.chaos.simulation.events import EventLog
from cqox.chaos.simulation.network import SimulatedNetwork
from cqox.chaos.simulation.timeline import Timeline
from services.http.server.socket_state import has_hung_up, has_unread, poll_events, wait_readable

pytestmark = pytest.mark.trio

type Pair = tuple[trio.SocketStream, trio.SocketStream]


@asynccontextmanager
async def connected() -> AsyncIterator[Pair]:
    listening = trio.socket.socket()
    await listening.bind(("127.0.0.1", 0))
    listening.listen()
    listener = trio.SocketListener(listening)
    host, port = listening.getsockname()[:2]
    accepted: list[trio.SocketStream] = []

    async def accept() -> None:
        accepted.append(await listener.accept())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        stream = await trio.open_tcp_stream(host, port)
    async with listener, stream, accepted[0]:
        yield stream, accepted[0]


@pytest.fixture(params=["real", "simulated"])
async def streams(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Pair]:
    if request.param == "simulated":
        timeline = Timeline()
        nursery.start_soon(timeline.run)
        network = SimulatedNetwork(timeline, Random(1), EventLog(trio.current_time))
        # Numeric addresses are not resolved: the first host that is named has this one.
        network._addresses["world"], network._hosts["127.0.0.1"] = "127.0.0.1", "world"
        network.install()
    async with connected() as pair:
        yield pair


async def settle() -> None:
    await trio.sleep(0.05)


async def test_both_ends_know_each_other(streams: Pair) -> None:
    one, other = streams
    assert one.socket.getpeername() == other.socket.getsockname()
    assert other.socket.getpeername() == one.socket.getsockname()


async def test_what_is_unread_is_seen_without_reading(streams: Pair) -> None:
    one, other = streams
    assert not other.socket.is_readable()
    assert not has_unread(other.socket)
    await one.send_all(b"x")
    await wait_readable(other.socket)
    assert other.socket.is_readable()
    assert has_unread(other.socket)
    assert not has_hung_up(other.socket)
    assert poll_events(other.socket, select.POLLIN | select.POLLOUT) == select.POLLIN | select.POLLOUT


async def test_an_end_is_seen_before_the_bytes_before_it_are_read(streams: Pair) -> None:
    one, other = streams
    await one.send_all(b"x")
    await one.send_eof()
    await settle()
    assert has_hung_up(other.socket)
    assert not has_unread(other.socket)
    assert await other.receive_some() == b"x"
    assert await other.receive_some() == b""
    await other.send_all(b"y")
    assert await one.receive_some() == b"y"


async def test_a_reset_fails_what_follows_and_poll_reports_it(streams: Pair) -> None:
    one, other = streams
    await other.send_all(b"unread")
    await settle()
    await one.aclose()
    await settle()
    assert poll_events(other.socket, select.POLLIN) & select.POLLERR
    assert other.socket.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_ERROR) == errno.ECONNRESET
    assert has_hung_up(other.socket)


async def test_who_waits_learns_that_the_socket_was_closed_here(streams: Pair) -> None:
    one, _ = streams
    raised = list[BaseException]()

    async def wait() -> None:
        try:
            await one.receive_some()
        except trio.ClosedResourceError as error:
            raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await settle()
        one.socket.close()
    assert len(raised) == 1
    assert one.socket.fileno() == -1
    with pytest.raises(trio.ClosedResourceError):
        await one.send_all(b"x")


async def test_sending_after_the_own_end_is_refused(streams: Pair) -> None:
    one, _ = streams
    await one.send_eof()
    assert one.socket.did_shutdown_SHUT_WR
    with pytest.raises(trio.ClosedResourceError):
        await one.send_all(b"x")


async def test_a_sender_that_is_cancelled_has_sent_a_beginning(streams: Pair) -> None:
    one, other = streams
    with trio.move_on_after(0.2) as sending:
        await one.send_all(bytes(10**8))
    assert sending.cancelled_caught
    await one.aclose()
    received = 0
    try:
        while data := await other.receive_some():
            received += len(data)
    except trio.BrokenResourceError:
        pass
    assert 0 < received < 10**8
