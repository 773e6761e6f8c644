"""Commands of the simulated cache, its bounds, and what it loses."""

from random import Random

import pytest
import redis

from cqox.storage.redis.cache import CLAIM, RELEASE
from services.simulation.stores.cache_server import CacheServer
from services.simulation.stores.server import CallFault, Conditions

pytestmark = pytest.mark.anyio


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def a_server(clock: Clock | None = None, *, max_bytes: int = 10_000, persistent: bool = False) -> CacheServer:
    return CacheServer(rng=Random(1), now=clock or Clock(), max_bytes=max_bytes, persistent=persistent)


async def test_a_value_expires_on_the_clock_of_the_server() -> None:
    clock = Clock()
    server = a_server(clock)
    server.set(b"k", b"v", px=1500)
    assert server.get(b"k") == b"v"
    clock.seconds += 1.5
    assert server.get(b"k") is None
    assert server.size_bytes == 0
    assert server.delete(b"k") == 0


async def test_the_least_recently_used_values_give_way() -> None:
    server = a_server(max_bytes=3 * 1101)
    for name in (b"a", b"b", b"c"):
        server.set(name, b"x" * 1000, px=1000)
    assert server.get(b"a") is not None
    server.set(b"d", b"x" * 1000, px=1000)
    assert [server.get(name) is None for name in (b"a", b"b", b"c", b"d")] == [False, True, False, False]
    assert server.size_bytes <= 3 * 1101


async def test_a_value_without_room_is_refused() -> None:
    server = a_server(max_bytes=1000)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.set(b"k", b"x" * 1000, px=1000)
    server.conditions = Conditions(disk_full=True)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.set(b"k", b"x", px=1000)


async def test_a_lease_has_one_holder_and_is_renewed_by_it() -> None:
    clock = Clock()
    server = a_server(clock)
    assert server.eval(CLAIM, 1, b"k", "one", "1000") == 1
    assert server.eval(CLAIM, 1, b"k", "two", "1000") == 0
    clock.seconds += 0.9
    assert server.eval(CLAIM, 1, b"k", "one", "1000") == 1
    clock.seconds += 0.9
    assert server.eval(RELEASE, 1, b"k", "two") == 0
    assert server.eval(CLAIM, 1, b"k", "two", "1000") == 0
    assert server.eval(RELEASE, 1, b"k", "one") == 1
    assert server.eval(CLAIM, 1, b"k", "two", "1000") == 1


async def test_another_script_is_refused() -> None:
    with pytest.raises(ValueError, match="no script"):
        a_server().eval("return 1", 1, b"k", "one")


async def test_a_restart_loses_everything_without_a_file() -> None:
    server = a_server()
    server.set(b"k", b"v", px=10_000)
    server.stop()
    server.start()
    assert server.get(b"k") is None
    assert server.size_bytes == 0


async def test_a_restart_loses_the_writes_of_the_last_second_with_a_file() -> None:
    clock = Clock()
    server = a_server(clock, persistent=True)
    server.set(b"old", b"1", px=60_000)
    server.set(b"gone", b"1", px=60_000)
    size = server.size_bytes
    clock.seconds += 1.1
    server.set(b"old", b"2", px=60_000)
    server.set(b"new", b"1", px=60_000)
    server.delete(b"gone")
    server.stop()
    server.start()
    assert [server.get(name) for name in (b"old", b"new", b"gone")] == [b"1", None, b"1"]
    assert server.size_bytes == size
    server.set(b"new", b"1", px=60_000)
    clock.seconds += 1.1
    server.stop()
    server.start()
    assert server.get(b"new") == b"1"


async def test_writes_are_refused_while_the_server_cannot_persist_them() -> None:
    server = a_server()
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        server.perform(lambda: server.set(b"k", b"v", px=1000), fault=CallFault.DISK)
    assert server.perform(lambda: server.get(b"k"), fault=CallFault.DISK) is None
    server.perform(lambda: server.set(b"k", b"v", px=1000))
    assert server.get(b"k") == b"v"
