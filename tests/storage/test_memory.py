import pytest

from cqox.storage import MemoryCache
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio
SIZE = 1000


def sized(number: int) -> bytes:
    return b'"' + str(number).encode() * (SIZE - 14) + b'"'


async def test_the_report_used_longest_ago_makes_room() -> None:
    cache = MemoryCache(max_bytes=3 * SIZE)
    one, two, three, four = (a_report(number, body=sized(number)) for number in (1, 2, 3, 4))
    for report in (one, two, three):
        await cache.put(report)
    assert await cache.get(one.analysis_id) == one
    await cache.put(four)
    assert await cache.get(two.analysis_id) is None
    assert await cache.get(one.analysis_id) == one
    assert cache.size_bytes <= 3 * SIZE


async def test_a_report_larger_than_the_cache_is_not_held() -> None:
    cache = MemoryCache(max_bytes=10)
    await cache.put(a_report(1))
    assert await cache.get(a_report(1).analysis_id) is None
    assert cache.size_bytes == 0


async def test_a_discarded_report_gives_its_room_back() -> None:
    cache = MemoryCache(max_bytes=10 * SIZE)
    await cache.put(a_report(1))
    await cache.put(a_report(1))
    await cache.discard(a_report(1).analysis_id)
    await cache.discard(a_report(1).analysis_id)
    assert cache.size_bytes == 0


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, not -1"):
        MemoryCache(max_bytes=-1)


async def test_what_is_of_an_earlier_epoch_of_the_store_is_held_no_longer() -> None:
    epoch = [0]
    cache = MemoryCache(epoch=lambda: epoch[0])
    await cache.put(a_report(1))
    assert await cache.get(a_report(1).analysis_id) is not None
    epoch[0] = 1
    assert await cache.get(a_report(1).analysis_id) is None
    assert cache.size_bytes == 0
    await cache.put(a_report(2))
    assert await cache.get(a_report(2).analysis_id) is not None
