"""The connections of real pools, measured while calls have them and wait for them."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from cqox.storage.postgres import PostgresStore
from cqox.storage.redis import RedisCache
from cqox.tasks import open_task_group
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.pools import watch_pools
from cqox.telemetry.stores import CACHE_OPERATIONS, STORE_OPERATIONS, observed
from tests.servers import Postgres, Redis, running
from tests.storage.bound import a_cache, in_default
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    with running(Redis()) as server:
        yield server


def shown() -> dict[str, float]:
    values = {}
    for each in (metric_definitions.POOL_CONNECTIONS, metric_definitions.POOL_LIMIT, metric_definitions.POOL_WAITING):
        for value, labels in metrics.read(each):
            state = labels.get("db.client.connection.state") or each.name.rpartition(".")[2]
            values[f"{labels['db.client.connection.pool.name']} {state}"] = value
    return values


async def becomes(wanted: dict[str, float]) -> None:
    await until(lambda: shown() == wanted)


async def test_a_pool_of_postgresql_shows_what_is_used_idle_and_waited_for(postgres: Postgres) -> None:
    async with in_default(PostgresStore.open, postgres.fresh(), size=2) as store:
        end = watch_pools(observed(store, STORE_OPERATIONS))
        released = threading.Event()
        try:
            async with open_task_group() as group:
                for _ in range(5):
                    work = partial(store._connections.run, lambda _: released.wait(20), scope="")
                    group.start_soon(work)
                await becomes(
                    {"postgres used": 2, "postgres idle": 0, "postgres max": 2, "postgres pending_requests": 3}
                )
                released.set()
            await becomes({"postgres used": 0, "postgres idle": 2, "postgres max": 2, "postgres pending_requests": 0})
        finally:
            released.set()
            end()
    assert shown() == {}


async def test_a_pool_of_redis_shows_what_is_used_idle_and_waited_for(redis_server: Redis) -> None:
    async with in_default(RedisCache.open, redis_server.url, size=2) as cache:
        end = watch_pools(observed(cache, CACHE_OPERATIONS))
        released = threading.Event()

        def hold() -> None:
            pool = cache._client.connection_pool
            connection = pool.get_connection()
            released.wait(20)
            pool.release(connection)

        try:
            await becomes({"redis used": 0, "redis idle": 0, "redis max": 2, "redis pending_requests": 0})
            async with open_task_group() as group:
                for _ in range(5):
                    group.start_soon(cache._run, hold)
                await becomes({"redis used": 2, "redis idle": 0, "redis max": 2, "redis pending_requests": 3})
                released.set()
            await becomes({"redis used": 0, "redis idle": 2, "redis max": 2, "redis pending_requests": 0})
        finally:
            released.set()
            end()


async def test_a_store_without_a_pool_shows_nothing() -> None:
    end = watch_pools(observed(a_cache(), CACHE_OPERATIONS))
    assert shown() == {}
    end()
