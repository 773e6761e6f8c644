"""Faults of the simulated cache as its clients meet them, in virtual time."""

import logging
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from random import Random

import anyio
import pytest
import trio
import trio.testing

from cqox.errors import StoreUnavailable
from cqox.storage.redis import RedisCache
from services.simulation.stores.cache import CachePool, open_cache
from services.simulation.stores.cache_server import CacheServer
from services.simulation.stores.server import CallFault, Conditions
from tests.services.simulation.stores.conftest import unix_time
from tests.storage.bound import in_default
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
ONE = a_report(1)


@pytest.fixture
def cache_server() -> Iterator[CacheServer]:
    server = CacheServer(rng=Random(1), now=unix_time)
    yield server
    assert server.connections == 0


def engine(server: CacheServer, client: str = "engine", *, size: int = 8) -> AbstractAsyncContextManager[RedisCache]:
    return in_default(open_cache, server, client=client, size=size)


async def test_engines_share_what_one_of_them_caches_until_its_time_to_live_ends(cache_server: CacheServer) -> None:
    async with engine(cache_server) as one, engine(cache_server, "other") as other:
        await one.put(ONE)
        assert await other.get(ONE.analysis_id) == ONE
        await trio.sleep(86_400)
        assert await other.get(ONE.analysis_id) is None


async def test_a_stopped_server_is_empty_and_grants_every_lease(cache_server: CacheServer) -> None:
    async with engine(cache_server) as cache:
        await cache.put(ONE)
        assert await cache.claim("k", token="one", seconds=60)
        cache_server.stop()
        assert await cache.get(ONE.analysis_id) is None
        await cache.put(ONE)
        assert await cache.claim("k", token="two", seconds=60)
        with pytest.raises(StoreUnavailable):
            await cache.ping()
        with pytest.raises(StoreUnavailable):
            await cache.erase([ONE.analysis_id])
        cache_server.start()
        await trio.sleep(6)
        await cache.ping()
        assert await cache.get(ONE.analysis_id) is None
        await cache.put(ONE)
        assert await cache.get(ONE.analysis_id) == ONE


async def test_a_frozen_server_is_a_miss_after_half_a_second_and_opens_the_circuit(cache_server: CacheServer) -> None:
    async with engine(cache_server) as cache:
        await cache.put(ONE)
        cache_server.freeze()
        began = trio.current_time()
        for _ in range(5):
            assert await cache.get(ONE.analysis_id) is None
        assert 2.5 <= trio.current_time() - began <= 5.5
        began = trio.current_time()
        for _ in range(20):
            assert await cache.get(ONE.analysis_id) is None
        assert trio.current_time() == began
        cache_server.thaw()
        await trio.sleep(6)
        assert await cache.get(ONE.analysis_id) == ONE


async def test_a_command_that_a_frozen_server_has_received_is_carried_out_once_it_resumes() -> None:
    happened = set[bool]()
    for seed in range(20):
        server = CacheServer(rng=Random(seed), now=unix_time)
        async with engine(server) as cache:
            await cache.ping()
            server.freeze()
            await cache.put(ONE)
            server.thaw()
            happened.add(await cache.get(ONE.analysis_id) is not None)
    assert happened == {False, True}


async def test_a_connection_that_ends_during_a_call_is_replaced_and_the_call_repeated(
    cache_server: CacheServer,
) -> None:
    async with engine(cache_server) as cache:
        for fault in (CallFault.DIES_BEFORE, CallFault.DIES_AFTER, CallFault.DIES_MIDWAY):
            cache_server.inject(fault)
            await cache.put(ONE)
            cache_server.inject(fault)
            assert await cache.get(ONE.analysis_id) == ONE
        cache_server.inject(CallFault.DIES_AFTER, CallFault.DIES_AFTER)
        assert await cache.get(ONE.analysis_id) is None


async def test_an_erasure_whose_acknowledgement_is_lost_is_reported_as_failed(cache_server: CacheServer) -> None:
    async with engine(cache_server) as cache:
        await cache.put(ONE)
        cache_server.inject(CallFault.DIES_AFTER, CallFault.DIES_AFTER)
        with pytest.raises(StoreUnavailable, match="may still hold"):
            await cache.erase([ONE.analysis_id])
        assert await cache.get(ONE.analysis_id) is None


async def test_a_cancelled_call_ends_within_the_time_of_a_socket_and_leaks_no_connection(
    cache_server: CacheServer,
) -> None:
    async with engine(cache_server, size=1) as cache:
        await cache.ping()
        cache_server.freeze()
        began = trio.current_time()
        with anyio.move_on_after(0.1) as scope:
            await cache.put(ONE)
        assert scope.cancelled_caught
        assert trio.current_time() - began <= 0.6
        assert cache.pool_use().used == 0
        cache_server.thaw()
        await cache.ping()
        assert cache_server.connections == 1


async def test_a_killed_engine_reaches_nothing_and_one_that_starts_after_it_does(cache_server: CacheServer) -> None:
    async with engine(cache_server) as dead:
        await dead.put(ONE)
        cache_server.hang_up("engine")
        assert await dead.get(ONE.analysis_id) is None
        assert await dead.claim("k", token="dead", seconds=60)
        async with engine(cache_server) as alive:
            assert await alive.get(ONE.analysis_id) == ONE
            assert await alive.claim("k", token="alive", seconds=60)


async def test_an_engine_that_is_cut_off_has_an_empty_cache(cache_server: CacheServer) -> None:
    async with engine(cache_server) as one, engine(cache_server, "other") as other:
        await one.put(ONE)
        cache_server.cut_off("engine")
        assert await one.get(ONE.analysis_id) is None
        assert await other.get(ONE.analysis_id) == ONE
        cache_server.reconnect("engine")
        assert await one.get(ONE.analysis_id) == ONE


async def test_a_server_that_cannot_persist_refuses_writes_only(cache_server: CacheServer) -> None:
    async with engine(cache_server) as cache:
        cache_server.inject(CallFault.DISK)
        await cache.put(ONE)
        assert await cache.get(ONE.analysis_id) is None
        await cache.put(ONE)
        cache_server.inject(CallFault.DISK)
        assert await cache.get(ONE.analysis_id) == ONE


async def test_calls_beyond_the_size_of_the_pool_wait(cache_server: CacheServer) -> None:
    pool, order = CachePool(cache_server, "engine", size=1), list[int]()
    cache_server.conditions = Conditions(least_seconds=0.1, most_seconds=0.1)

    async def call(number: int) -> None:
        await trio.sleep(number / 1000)
        await pool.run(lambda: order.append(number), interrupt=trio.lowlevel.checkpoint)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(call, number)
        await trio.sleep(0.15)
        assert (pool.use().used, pool.use().waiting, cache_server.connections) == (1, 4, 1)
    assert order == [0, 1, 2, 3, 4]
    pool.close()


async def _history(seed: int) -> list[object]:
    """Return what happens in one run with every fault."""
    rates = tuple((fault, 0.1) for fault in CallFault)
    server = CacheServer(rng=Random(seed), now=unix_time, conditions=Conditions(rates=rates), persistent=True)
    seen = list[object]()
    async with engine(server) as cache:
        for number in range(60):
            report = a_report(number % 3)
            if number % 20 == 15:
                server.stop()
                server.start()
            await cache.put(report)
            seen.append(await cache.get(report.analysis_id) is not None)
            seen.append(await cache.claim("k", token=str(number % 4), seconds=0.01))
            seen.append(trio.current_time())
    return seen


def test_the_same_seed_gives_the_same_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    runs = [trio.run(_history, seed, clock=trio.testing.MockClock(autojump_threshold=0)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert {True, False} <= {each for each in runs[0] if isinstance(each, bool)}
