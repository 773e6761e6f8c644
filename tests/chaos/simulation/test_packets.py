from random import Random

import pytest
import trio
from trio.testing import MockClock

from cqox.chaos.simulation.events import EventLog
from cqox.chaos.simulation.network import SimulatedNetwork
from cqox.chaos.simulation.packets import WINDOW_BYTES
from cqox.chaos.simulation.sockets import SimulatedSocket
from cqox.chaos.simulation.timeline import Timeline


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@pytest.fixture
async def network(nursery: trio.Nursery, autojump_clock: MockClock) -> SimulatedNetwork:
    timeline = Timeline()
    nursery.start_soon(timeline.run)
    await trio.testing.wait_all_tasks_blocked()
    return SimulatedNetwork(timeline, Random(1), EventLog(trio.current_time))


def pair(network: SimulatedNetwork) -> tuple[SimulatedSocket, SimulatedSocket]:
    for host in ("a", "b"):
        network.address_of(host)
    one, other = network.make_socket("a"), network.make_socket("b")
    one.join(other)
    return one, other


@pytest.mark.trio
async def test_bytes_on_their_way_take_room_until_they_are_read(network: SimulatedNetwork) -> None:
    one, other = pair(network)
    sent = await one.send(bytes(3 * WINDOW_BYTES))
    assert sent == WINDOW_BYTES
    with trio.move_on_after(5) as waiting:
        await one.send(b"more")
    assert waiting.cancelled_caught
    assert other.unread_bytes == WINDOW_BYTES
    assert len(await other.recv(1000)) == 1000
    assert await one.send(bytes(5000)) == 1000


@pytest.mark.trio
async def test_what_is_lost_is_sent_again_and_nothing_overtakes_it(network: SimulatedNetwork) -> None:
    one, other = pair(network)
    link = network.link("a", "b")
    link.loss = 1.0
    await one.send(b"first ")
    await trio.sleep(0.1)
    link.loss = 0.0
    await one.send(b"second")
    assert other.unread_bytes == 0
    await trio.sleep(5)
    assert await other.recv(100) == b"first second"


@pytest.mark.trio
async def test_the_end_comes_after_the_bytes_before_it(network: SimulatedNetwork) -> None:
    one, other = pair(network)
    await one.send(b"last words")
    one.close()
    assert await other.recv(100) == b"last words"
    assert await other.recv(100) == b""
    # It may still send, and learns that nobody reads.
    await other.send(b"hello?")
    await trio.sleep(1)
    with pytest.raises(OSError, match="broken"):
        await other.send(b"hello?")


@pytest.mark.trio
async def test_closing_with_unread_bytes_resets_the_connection(network: SimulatedNetwork) -> None:
    one, other = pair(network)
    await one.send(b"unread")
    await trio.sleep(1)
    other.close()
    await trio.sleep(1)
    with pytest.raises(OSError, match="broken"):
        await one.recv(1)
