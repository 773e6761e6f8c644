"""Faults of a Redis server: outage, latency, full memory, corrupt values."""

import random
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import anyio
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage.redis import RedisCache
from cqox.storage.redis.values import encode
from tests.servers import Redis, running
from tests.storage.bound import in_default
from tests.storage.records import a_report
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]
ONE = a_report(1)
KEY = f"cqox:2:default:report:{ONE.analysis_id}"


@pytest.fixture
async def cache(redis_server: Redis) -> AsyncIterator[RedisCache]:
    async with in_default(RedisCache.open, redis_server.url) as opened:
        yield opened


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A server for the tests that break it."""
    with running(Redis()) as server:
        yield server


async def test_a_report_is_cached_compressed_with_a_time_to_live(redis_server: Redis) -> None:
    large = a_report(1, body=b'{"text":"' + b"text " * 20_000 + b'"}')
    async with in_default(RedisCache.open, redis_server.url, ttl_seconds=100) as cache:
        await cache.put(large)
        assert await cache.get(large.analysis_id) == large
    with redis_server.client() as client:
        assert len(client.get(KEY)) < len(large.report) / 10
        assert 90_000 < client.pttl(KEY) <= 100_000


async def test_a_report_that_is_too_large_is_not_cached(redis_server: Redis) -> None:
    async with in_default(RedisCache.open, redis_server.url, max_bytes=1000) as cache:
        await cache.put(a_report(1, body=b'"' + b"x" * 600 + b'"'))
        assert await cache.get(ONE.analysis_id) is None
    with redis_server.client() as client:
        assert client.keys() == []


def _flipped(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"\x80\x04pickle",
        encode(ONE)[:30],
        encode(ONE)[:-1],
        _flipped(encode(ONE), 0),
        _flipped(encode(ONE), 4),
        _flipped(encode(ONE), 10),
        _flipped(encode(ONE), -1 + len(encode(ONE))),
        encode(a_report(2)),
    ],
)
async def test_a_value_that_is_not_this_report_is_a_miss_and_deleted(
    cache: RedisCache, redis_server: Redis, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server.client() as client:
        client.set(KEY, value)
        assert await cache.get(ONE.analysis_id) is None
        assert client.exists(KEY) == 0
    assert f"{ONE.analysis_id} is not a report and was deleted" in caplog.text
    await cache.put(ONE)
    assert await cache.get(ONE.analysis_id) == ONE


async def test_a_value_that_would_expand_beyond_the_bound_is_a_miss(redis_server: Redis) -> None:
    bomb = a_report(1, body=b'"' + b"x" * 1_000_000 + b'"')
    with redis_server.client() as client:
        client.set(KEY, encode(bomb))
    async with in_default(RedisCache.open, redis_server.url, max_bytes=100_000) as cache:
        assert await cache.get(bomb.analysis_id) is None


async def test_another_type_at_a_key_is_a_miss_and_grants_every_lease(cache: RedisCache, redis_server: Redis) -> None:
    with redis_server.client() as client:
        client.lpush(KEY, "a", "list")
        client.lpush(f"cqox:2:default:turn:{ONE.analysis_id}", "a", "list")
        assert await cache.get(ONE.analysis_id) is None
        assert client.exists(KEY) == 0
    assert await cache.claim(ONE.analysis_id, token="one", seconds=10) is True
    await cache.release(ONE.analysis_id, token="one")


async def test_calls_wait_for_a_connection_if_the_address_allows_few(redis_server: Redis) -> None:
    async with in_default(RedisCache.open, f"{redis_server.url}?max_connections=2") as cache:
        await cache.put(ONE)
        found = list[object]()

        async def get() -> None:
            found.append(await cache.get(ONE.analysis_id))

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(get)
        assert found == [ONE] * 40
        assert connections(redis_server) == 2


async def test_a_connection_closed_by_the_server_is_replaced_without_an_error(
    cache: RedisCache, redis_server: Redis
) -> None:
    await cache.put(ONE)
    with redis_server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert await cache.get(ONE.analysis_id) == ONE


async def test_a_full_server_caches_no_more_and_still_answers(own_redis: Redis) -> None:
    own_redis.stop()
    own_redis.start(maxmemory="2mb", maxmemory_policy="noeviction")
    async with in_default(RedisCache.open, own_redis.url) as cache:
        await cache.put(ONE)
        with own_redis.client() as client:
            client.config_set("maxmemory", "1kb")
        for number in range(10, 20):
            await cache.put(a_report(number))
            assert await cache.get(a_report(number).analysis_id) is None
        assert await cache.get(ONE.analysis_id) == ONE
        await cache.ping()


async def test_a_restarted_server_is_used_again(own_redis: Redis) -> None:
    async with in_default(RedisCache.open, own_redis.url, recovery_seconds=0.2) as cache:
        await cache.put(ONE)
        own_redis.stop(signal.SIGKILL)
        with anyio.fail_after(PATIENCE_SECONDS):
            assert await cache.get(ONE.analysis_id) is None
            await cache.put(ONE)
            assert await cache.claim(ONE.analysis_id, token="one", seconds=10) is True
            assert await cache.claim(ONE.analysis_id, token="two", seconds=10) is True
            await cache.release(ONE.analysis_id, token="one")
            with pytest.raises(StoreUnavailable):
                await cache.ping()
        own_redis.start()
        await _until_held(cache)


async def test_a_frozen_server_opens_the_circuit(own_redis: Redis) -> None:
    async with in_default(RedisCache.open, own_redis.url, recovery_seconds=2.0) as cache:
        await cache.put(ONE)
        with own_redis.frozen():
            with anyio.fail_after(PATIENCE_SECONDS):
                for _ in range(5):
                    assert await cache.get(ONE.analysis_id) is None
            # The circuit is open: no call waits for its timeout of a second.
            with anyio.fail_after(5):
                for _ in range(20):
                    assert await cache.get(ONE.analysis_id) is None
        await _until_held(cache)


async def test_a_server_unreachable_at_the_start_is_no_error() -> None:
    async with in_default(RedisCache.open, "redis://127.0.0.1:1/0") as cache:
        assert await cache.get("a") is None
        await cache.put(ONE)
        assert await cache.claim("a", token="one", seconds=1) is True


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://localhost:port"])
async def test_an_invalid_address_is_rejected_by_setting(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL cannot be read"):
        async with RedisCache.open(url):
            pass


def connections(server: Redis) -> int:
    with server.client() as client:
        return sum(one["name"] == "cqox" for one in client.client_list())


async def test_many_cancellations_mix_up_no_results_and_leak_no_connection(redis_server: Redis) -> None:
    reports = [a_report(number) for number in range(8)]
    wrong: list[str] = []
    rng = random.Random(5)
    async with in_default(RedisCache.open, redis_server.url, size=4) as cache:
        for report in reports:
            await cache.put(report)

        async def ask(number: int) -> None:
            for turn in range(128):
                report = reports[(number + turn) % len(reports)]
                with anyio.move_on_after(rng.uniform(0.0, 0.005)):
                    if await cache.get(report.analysis_id) != report:
                        wrong.append(report.analysis_id)

        with anyio.fail_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as group:
                for number in range(16):
                    group.start_soon(ask, number)
        assert wrong == []
        for report in reports:
            assert await cache.get(report.analysis_id) == report
        assert (cache.pool_use().used, cache.pool_use().waiting) == (0, 0)
        assert 0 < connections(redis_server) <= 4
    await until(lambda: not connections(redis_server))


async def test_connections_killed_during_use_mix_up_no_results(redis_server: Redis) -> None:
    reports = [a_report(number) for number in range(8)]
    wrong: list[str] = []
    async with in_default(RedisCache.open, redis_server.url, size=4, recovery_seconds=0.2) as cache:
        for report in reports:
            await cache.put(report)

        async def ask(number: int) -> None:
            for turn in range(60):
                report = reports[(number + turn) % len(reports)]
                found = await cache.get(report.analysis_id)
                if found not in (None, report):
                    wrong.append(report.analysis_id)

        async def kill() -> None:
            with redis_server.client() as client:
                while True:
                    client.client_kill_filter(_type="normal", skipme=True)
                    await anyio.sleep(0.005)

        with anyio.fail_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(kill)
                async with anyio.create_task_group() as asking:
                    for number in range(8):
                        asking.start_soon(ask, number)
                group.cancel_scope.cancel()
        assert wrong == []
        await _until_held(cache)


async def _until_held(cache: RedisCache) -> None:
    """Wait until the circuit has closed again and the report is cached."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            await cache.put(replace(ONE))
            if await cache.get(ONE.analysis_id) == ONE:
                return
            await anyio.sleep(0.2)


async def test_a_failed_erasure_is_reported_and_succeeds_once_the_server_is_back(own_redis: Redis) -> None:
    async with in_default(RedisCache.open, own_redis.url, recovery_seconds=0.1) as cache:
        await cache.put(a_report(1))
        with (
            own_redis.frozen(),
            pytest.raises(StoreUnavailable, match="may still hold reports that were to be deleted"),
        ):
            await cache.erase([a_report(1).analysis_id])
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                try:
                    await cache.erase([a_report(1).analysis_id])
                    break
                except StoreUnavailable:
                    await anyio.sleep(0.05)
        assert await cache.get(a_report(1).analysis_id) is None


async def test_an_erased_report_is_not_left_to_engines_of_the_previous_release(
    cache: RedisCache, redis_server: Redis
) -> None:
    previous = f"cqox:1:report:{ONE.analysis_id}"
    with redis_server.client() as client:
        client.set(previous, b"value")
        await cache.within("acme").erase([ONE.analysis_id])
        assert client.exists(previous) == 1
        await cache.erase([ONE.analysis_id])
        assert client.exists(previous) == 0
