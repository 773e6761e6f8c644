"""The simulated network, through Trio's own streams and listeners."""

import errno
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from cqox.chaos.simulation.process import SimulatedProcess
from cqox.chaos.simulation.world import World, simulate

PORT = 80


async def serve(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> None:
    listening = trio.socket.socket()
    await listening.bind(("", PORT))
    listening.listen()
    await trio.serve_listeners(handler, [trio.SocketListener(listening)])


async def echo(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


def run(main: Callable[[World], Awaitable[None]], seed: int = 1) -> World:
    return simulate(seed, main)


def server(world: World, handler: Callable[[trio.SocketStream], Awaitable[None]] = echo) -> SimulatedProcess:
    async def process(own: SimulatedProcess) -> None:
        await serve(handler)

    return world.start("server", process)


def test_bytes_come_back_in_order_and_time_passes() -> None:
    async def main(world: World) -> None:
        server(world)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        sent = bytes(range(256)) * 2000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, sent)
            received = b""
            while len(received) < len(sent):
                received += await stream.receive_some()
        assert received == sent
        assert 0.1 < world.now < 10

    run(main)


def test_a_name_that_stands_for_nothing_and_a_port_without_a_listener_are_refused() -> None:
    async def main(world: World) -> None:
        world.network.address_of("idle")
        with pytest.raises(OSError, match="nothing is named"):
            await trio.open_tcp_stream("nobody", PORT)
        with pytest.raises(OSError) as refused:
            await trio.open_tcp_stream("idle", PORT)
        assert refused.value.errno == errno.ECONNREFUSED or "refused" in repr(refused.value.__cause__)

    run(main)


def test_a_partition_delays_what_is_sent_until_it_heals() -> None:
    async def main(world: World) -> None:
        server(world)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        out, back = world.network.between("world", "server")
        out.blocked += 1
        await stream.send_all(b"late")
        with trio.move_on_after(5) as waited:
            await stream.receive_some()
        assert waited.cancelled_caught
        out.blocked -= 1
        assert await stream.receive_some() == b"late"
        assert 5 < world.now < 15
        assert not back.blocked

    run(main)


def test_a_sender_into_a_black_hole_gives_up_and_its_peer_knows_nothing() -> None:
    async def main(world: World) -> None:
        accepted: list[trio.SocketStream] = []

        async def keep(stream: trio.SocketStream) -> None:
            accepted.append(stream)
            await trio.sleep_forever()

        server(world, keep)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        for link in world.network.between("world", "server"):
            link.blocked += 1
        await stream.send_all(b"lost")
        with pytest.raises(trio.BrokenResourceError, match="broken"):
            await stream.receive_some()
        assert 60 < world.now < 130
        assert not accepted[0].socket.is_readable()

    run(main)


def test_a_reset_breaks_both_ends_and_poll_says_so() -> None:
    async def main(world: World) -> None:
        accepted: list[trio.SocketStream] = []

        async def keep(stream: trio.SocketStream) -> None:
            accepted.append(stream)
            await trio.sleep_forever()

        server(world, keep)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        await trio.sleep(0.1)
        assert world.network.reset("world", "server") == 1
        for one in (stream, accepted[0]):
            with pytest.raises(trio.BrokenResourceError):
                await one.receive_some()
        assert stream.socket.poll_events(select.POLLIN) & select.POLLERR  # type: ignore[attr-defined]

    run(main)


def test_a_crashed_process_ends_its_connections_and_starts_again() -> None:
    async def main(world: World) -> None:
        process = server(world)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        await stream.send_all(b"x")
        assert await stream.receive_some() == b"x"
        process.crash()
        assert await stream.receive_some() == b""
        await process.ended.wait()
        await trio.sleep(1)
        again = await trio.open_tcp_stream("server", PORT)
        await again.send_all(b"y")
        assert await again.receive_some() == b"y"
        assert process.starts == 2

    run(main)


def test_a_host_that_loses_power_answers_nothing_and_then_resets_what_it_has_forgotten() -> None:
    async def main(world: World) -> None:
        server(world)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        await trio.sleep(0.1)
        world.network.power_off("server")
        with trio.move_on_after(2) as waited:
            await stream.receive_some()
        assert waited.cancelled_caught
        world.network.power_on("server")
        await stream.send_all(b"hello?")
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()

    run(main)


def test_a_window_that_is_full_stops_the_sender() -> None:
    async def main(world: World) -> None:
        async def deaf(stream: trio.SocketStream) -> None:
            await trio.sleep(100)
            await stream.receive_some(10)
            await trio.sleep_forever()

        server(world, deaf)
        await trio.sleep(0.1)
        stream = await trio.open_tcp_stream("server", PORT)
        with trio.move_on_after(50) as stopped:
            await stream.send_all(bytes(10**6))
        assert stopped.cancelled_caught

    run(main)


def test_a_duplicated_attempt_is_a_connection_that_nobody_has() -> None:
    async def main(world: World) -> None:
        accepted: list[trio.SocketStream] = []

        async def greet(stream: trio.SocketStream) -> None:
            accepted.append(stream)
            try:
                await stream.send_all(b"hello")
                await stream.receive_some()
            except trio.BrokenResourceError:
                world.log.add("nobody there")

        server(world, greet)
        await trio.sleep(0.1)
        world.network.link("world", "server").duplication = 1.0
        stream = await trio.open_tcp_stream("server", PORT)
        assert await stream.receive_some() == b"hello"
        await trio.sleep(1)
        assert len(accepted) == 2
        assert sum("nobody there" in line for line in world.log.last()) == 1

    run(main)


def course(seed: int) -> str:
    async def main(world: World) -> None:
        server(world)
        world.network.between("world", "server")[0].loss = 0.3
        await trio.sleep(0.1)

        async def talk(number: int) -> None:
            stream = await trio.open_tcp_stream("server", PORT)
            await stream.send_all(b"%d" % number * 100)
            received = 0
            while received < 100:
                received += len(await stream.receive_some())
            world.log.add("talked", number)

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(talk, number)

    return simulate(seed, main).log.digest


def test_a_seed_is_one_course() -> None:
    assert course(7) == course(7)
    assert course(7) != course(8)
