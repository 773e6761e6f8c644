import tracemalloc
from dataclasses import replace

import pytest

from tests.storage.bound import a_cache
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
SIZE = 100_000
THREE = 3 * SIZE + SIZE // 2
"""Room for three reports of that size with what goes with them, and not for four."""


def sized(number: int) -> bytes:
    return b'"' + str(number).encode() * SIZE + b'"'


async def test_the_report_used_longest_ago_makes_room() -> None:
    cache = a_cache(max_bytes=THREE)
    one, two, three, four = (a_report(number, body=sized(number)) for number in (1, 2, 3, 4))
    for report in (one, two, three):
        await cache.put(report)
    assert await cache.get(one.analysis_id) == one
    await cache.put(four)
    assert await cache.get(two.analysis_id) is None
    assert await cache.get(one.analysis_id) == one
    assert cache.size_bytes <= THREE


async def test_a_report_larger_than_the_cache_is_not_held() -> None:
    cache = a_cache(max_bytes=10)
    await cache.put(a_report(1))
    assert await cache.get(a_report(1).analysis_id) is None
    assert cache.size_bytes == 0


async def test_a_discarded_report_gives_its_room_back() -> None:
    cache = a_cache(max_bytes=10 * SIZE)
    await cache.put(a_report(1))
    await cache.put(a_report(1))
    await cache.discard(a_report(1).analysis_id)
    await cache.erase([a_report(1).analysis_id])
    assert cache.size_bytes == 0


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, not -1"):
        a_cache(max_bytes=-1)


async def test_what_is_of_an_earlier_epoch_of_the_store_is_held_no_longer() -> None:
    epoch = [0]
    cache = a_cache(epoch=lambda: epoch[0])
    await cache.put(a_report(1))
    assert await cache.get(a_report(1).analysis_id) is not None
    epoch[0] = 1
    assert await cache.get(a_report(1).analysis_id) is None
    assert cache.size_bytes == 0
    await cache.put(a_report(2))
    assert await cache.get(a_report(2).analysis_id) is not None


@pytest.mark.parametrize(("reports", "body"), [(3_000, 20), (1_000, 2_000), (100, 120_000)])
async def test_what_is_counted_is_what_is_held(reports: int, body: int) -> None:
    cache = a_cache()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(reports):
            # Nothing that two of them share.
            names = {name: f"{name} {number}" for name in ("dataset_id", "created_at", "status", "verdict", "primary")}
            bodies = {"provenance": bytes(300 + number % 3), "figures": bytes(body + number % 3)}
            await cache.put(replace(a_report(number, body=bytes(body)), **names, **bodies))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held <= cache.size_bytes <= 1.3 * held


async def test_the_memory_bound_holds_for_small_reports() -> None:
    cache = a_cache(max_bytes=1_000_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5_000):
            await cache.put(a_report(number))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held <= 1_000_000


async def test_expired_leases_are_dropped() -> None:
    cache = a_cache()
    for number in range(20_000):
        assert await cache.claim(f"{number}", token="one", seconds=-1.0)
    await cache.claim("mine", token="one", seconds=60)
    assert len(cache._shared.claims) < 5_000
    assert await cache.claim("mine", token="two", seconds=60) is False
