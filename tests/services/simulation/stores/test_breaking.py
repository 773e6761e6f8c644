"""Faults of servers that last for a time, also where they overlap."""

from collections.abc import Callable
from random import Random

import pytest
import trio

from services.simulation.stores.cache_server import CacheServer
from tests.services.simulation.stores.breaking import SERVER_FAULTS, break_server
from tests.services.simulation.stores.conftest import unix_time

pytestmark = pytest.mark.anyio

IS_BROKEN: dict[str, Callable[[CacheServer], bool]] = {
    "server killed": lambda server: not server.is_running,
    "server frozen": lambda server: server.is_frozen,
    "server unreachable": lambda server: [server.is_reachable(name) for name in "ab"] == [True, False],
    "server slow": lambda server: server.conditions.most_seconds > 0.1,
    "server loses calls": lambda server: 0.1 < sum(rate for _, rate in server.conditions.rates) < 0.8,
    "server full": lambda server: server.conditions.disk_full,
}


def a_server() -> CacheServer:
    return CacheServer(rng=Random(1), now=unix_time)


def test_every_kind_that_lasts_is_tested_here() -> None:
    assert set(IS_BROKEN) == {kind for kind, (_, seconds) in SERVER_FAULTS.items() if seconds}


@pytest.mark.parametrize("kind", IS_BROKEN)
async def test_a_fault_lasts_for_its_time_also_where_another_overlaps(kind: str) -> None:
    server, is_broken = a_server(), IS_BROKEN[kind]
    usual = server.conditions

    async def broken(begin: float, seconds: float) -> None:
        await trio.sleep(begin)
        await break_server(server, kind, seconds=seconds, severity=0.7, clients="ab")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(broken, 10, 20)
        nursery.start_soon(broken, 20, 20)
        seen = list[bool]()
        for _ in range(5):
            await trio.sleep(9)
            seen.append(is_broken(server))
    assert seen == [False, True, True, True, False]
    assert server.conditions == usual
    assert server.connect("b") is not None


async def test_all_connections_end_at_once() -> None:
    server = a_server()
    link = server.connect("a")
    began = trio.current_time()
    await break_server(server, "connections end", seconds=10, severity=0.5, clients="ab")
    assert trio.current_time() == began
    assert link is not None
    assert not link.is_open


async def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        await break_server(a_server(), "nothing", seconds=1, severity=0.5, clients="ab")
