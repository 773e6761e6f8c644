"""Connections, faults and delays of a simulated server."""

from random import Random

import anyio
import pytest
import trio

from services.simulation.stores.server import CallFault, Conditions, SimulatedServer
from tests.services.simulation.stores.conftest import unix_time

pytestmark = pytest.mark.anyio


class Counted(SimulatedServer):
    """A server that counts how often it was killed."""

    losses = 0

    def lose(self) -> None:
        self.losses += 1


def a_server(conditions: Conditions | None = None, *, seed: int = 1) -> Counted:
    return Counted(rng=Random(seed), now=unix_time, conditions=conditions)


async def test_a_stop_ends_every_connection_and_refuses_others_until_the_start() -> None:
    server = a_server()
    link = server.connect("a")
    assert link is not None
    server.stop()
    assert (link.is_open, server.connections, server.is_running, server.losses) == (False, 0, False, 1)
    assert server.connect("a") is None
    server.freeze()
    assert not server.is_frozen
    server.start()
    assert server.connect("a") is not None


async def test_the_connections_of_one_client_can_be_ended() -> None:
    server = a_server()
    one, other = server.connect("a"), server.connect("b")
    server.drop_connections("a")
    assert one is not None
    assert other is not None
    assert (one.is_open, other.is_open) == (False, True)
    server.disconnect(one)
    assert server.connections == 1


async def test_a_client_that_was_killed_leaves_connections_that_the_server_has_not_noticed() -> None:
    server = a_server()
    one, other = server.connect("a"), server.connect("b")
    server.hang_up("a")
    assert one is not None
    assert other is not None
    assert (one.is_open, one.is_abandoned, other.is_open, server.connections) == (False, True, True, 1)
    assert server.connect("a", deaths=0) is None
    assert server.connect("a", deaths=server.deaths("a")) is not None


async def test_who_waits_for_a_frozen_server_goes_on_at_the_thaw_after_what_was_sent_before() -> None:
    server, order = a_server(), list[str]()
    link = server.connect("a")
    assert link is not None
    server.freeze()
    server.postpone(lambda: order.append("late"))

    async def wait() -> None:
        await server.until_served(link)
        order.append("served")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await trio.sleep(100)
        assert order == []
        server.thaw()
    assert order == ["late", "served"]


async def test_a_server_that_is_killed_carries_out_nothing_late() -> None:
    server, late = a_server(), list[int]()
    server.freeze()
    server.postpone(lambda: late.append(1))
    server.stop()
    server.start()
    server.thaw()
    assert late == []


async def test_a_packet_takes_as_long_as_the_conditions_say_and_waits_while_its_client_is_cut_off() -> None:
    server = a_server(Conditions(least_seconds=1.0, most_seconds=2.0))
    began = trio.current_time()
    await server.travel("a")
    assert 1.0 <= trio.current_time() - began <= 2.0
    server.cut_off("a")
    assert server.is_reachable("b")
    with anyio.move_on_after(1000) as waited:
        await server.travel("a")
    assert waited.cancelled_caught
    server.reconnect("a")
    await server.travel("a")


async def test_injected_faults_come_first_and_others_at_their_rates() -> None:
    server = a_server(Conditions(rates=((CallFault.DIES_BEFORE, 0.2), (CallFault.DISK, 0.3))))
    server.inject(CallFault.UNDONE, CallFault.DIES_AFTER)
    assert [server.draw(), server.draw()] == [CallFault.UNDONE, CallFault.DIES_AFTER]
    drawn = [server.draw() for _ in range(4000)]
    shares = {fault: drawn.count(fault) / len(drawn) for fault in (CallFault.DIES_BEFORE, CallFault.DISK, None)}
    assert shares == pytest.approx({CallFault.DIES_BEFORE: 0.2, CallFault.DISK: 0.3, None: 0.5}, abs=0.03)
    assert drawn == _drawn(seed=1)


def _drawn(*, seed: int) -> list[CallFault | None]:
    again = a_server(Conditions(rates=((CallFault.DIES_BEFORE, 0.2), (CallFault.DISK, 0.3))), seed=seed)
    return [again.draw() for _ in range(4000)]
