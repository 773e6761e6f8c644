"""The contract of `ResultCache`, run on every backend."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import anyio
import pytest

from cqox.storage import ResultCache
from cqox.storage.redis import RedisCache
from services.simulation.stores.cache import open_cache
from services.simulation.stores.cache_server import CacheServer
from tests.storage.bound import a_cache, in_default
from tests.storage.records import a_report
from tests.waiting import until

pytestmark = pytest.mark.anyio
ONE = a_report(1)


@pytest.fixture(params=["memory", "simulated", pytest.param("redis", marks=pytest.mark.xdist_group("servers"))])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[ResultCache]:
    if request.param == "memory":
        yield a_cache()
    elif request.param == "simulated":
        async with in_default(open_cache, CacheServer(rng=Random(1), now=time.time), client="engine") as opened:
            yield opened
    else:
        async with in_default(RedisCache.open, request.getfixturevalue("redis_server").url) as opened:
            yield opened


@pytest.mark.parametrize(
    "report",
    [
        ONE,
        replace(ONE, verdict=None, primary=None, estimate=None),
        replace(ONE, primary="処置", report=b"\x00\xff" * 100, figures=b"", estimate=-1e-300),
    ],
)
async def test_a_cached_report_is_returned_unchanged(cache: ResultCache, report: object) -> None:
    await cache.put(report)
    assert await cache.get(ONE.analysis_id) == report
    await cache.ping()


async def test_a_missing_or_discarded_report_is_none(cache: ResultCache) -> None:
    for nothing in ("nothing", "", "\0", "\ud800", "x" * 10_000):
        assert await cache.get(nothing) is None
    await cache.put(ONE)
    await cache.discard(ONE.analysis_id)
    await cache.discard(ONE.analysis_id)
    assert await cache.get(ONE.analysis_id) is None


async def test_an_erased_report_is_a_miss_and_may_be_cached_again(cache: ResultCache) -> None:
    for number in range(3):
        await cache.put(a_report(number))
    await cache.erase([a_report(0).analysis_id, a_report(2).analysis_id, "nothing", "\ud800"])
    await cache.erase([])
    assert [await cache.get(a_report(number).analysis_id) for number in range(3)] == [None, a_report(1), None]
    await cache.put(a_report(0))
    assert await cache.get(a_report(0).analysis_id) == a_report(0)


async def test_a_lease_has_one_holder_until_it_is_released(cache: ResultCache) -> None:
    assert await cache.claim("a", token="one", seconds=60) is True
    assert await cache.claim("a", token="two", seconds=60) is False
    assert await cache.claim("a", token="one", seconds=60) is True
    assert await cache.claim("b", token="two", seconds=60) is True
    await cache.release("a", token="two")
    assert await cache.claim("a", token="two", seconds=60) is False
    await cache.release("a", token="one")
    assert await cache.claim("a", token="two", seconds=60) is True


async def test_a_lease_that_is_not_renewed_expires(cache: ResultCache) -> None:
    assert await cache.claim("a", token="one", seconds=0.05) is True
    await until(lambda: cache.claim("a", token="two", seconds=60))
    await cache.release("a", token="one")
    assert await cache.claim("a", token="one", seconds=60) is False


async def test_one_of_many_concurrent_claims_gets_the_lease(cache: ResultCache) -> None:
    had: list[bool] = []

    async def claim(number: int) -> None:
        had.append(await cache.claim("a", token=str(number), seconds=60))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(claim, number)
    assert sorted(had) == [False] * 19 + [True]
