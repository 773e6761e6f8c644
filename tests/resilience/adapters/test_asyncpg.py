"""The adapter for asyncpg; transactions of all drivers are tested in `test_transactions`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from cqox.resilience import CircuitBreaker, DeadlineExceeded, Policy, classify, deadline
from cqox.resilience.adapters.asyncpg import transactions
from cqox.resilience.adapters.transactions import retry_transactions
from cqox.resilience.testing import FakeClock
from tests.resilience.adapters.real_time import anyio_backend  # noqa: F401 - the fixture of this module
from tests.servers.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


@pytest.fixture
async def pool(postgres: Postgres) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(postgres.url, min_size=0, max_size=1) as pool:
        yield pool


@pytest.fixture
def policy() -> Policy:
    return Policy("transactions of asyncpg", retry_transactions(2, 0.001))


async def test_the_transaction_has_the_isolation_that_was_asked_for(pool: Any, policy: Policy) -> None:
    async def show(connection: Any) -> tuple[str, str]:
        return await connection.fetchval("SHOW transaction_isolation"), await connection.fetchval(
            "SHOW transaction_read_only"
        )

    shown = await transactions(pool, policy, isolation="serializable", readonly=True).run(show)
    assert shown == ("serializable", "on")


async def test_the_wait_for_a_connection_ends_at_the_deadline(pool: Any, policy: Policy) -> None:
    async def never(connection: Any) -> None:
        raise AssertionError("there is no connection for it")

    async with pool.acquire():
        with pytest.raises((DeadlineExceeded, TimeoutError)):
            with deadline(0.05):
                await transactions(pool, policy).run(never)


async def test_errors_of_asyncpg_are_classified_by_their_sqlstate(pool: Any) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.PostgresError) as killed:
            await connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
    failure = classify(killed.value)
    # Whether the server's last words are read depends on which comes first, they or the end of the connection.
    assert failure.code in ("57P01", "08003")
    assert (failure.sent, failure.transient) == ("maybe", True)
    lost = classify(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"))
    assert (lost.code, lost.sent, lost.transient) == ("08003", "maybe", True)
    refused = classify(asyncpg.CannotConnectNowError())
    assert (refused.code, refused.sent, refused.transient) == ("57P03", "never", True)


class Late:
    """A pool whose own timer fires before the scope of the deadline does."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Any]:
        self.clock.advance(timeout or 0.0)
        raise TimeoutError
        yield


async def test_a_pool_that_gives_up_at_the_deadline_is_not_to_blame() -> None:
    clock = FakeClock()
    policy = Policy("late", CircuitBreaker("late", 1, clock=clock))
    with deadline(0.5, clock=clock), pytest.raises(DeadlineExceeded) as caught:
        await transactions(Late(clock), policy).run(lambda connection: connection)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert policy.is_settled()
    with pytest.raises(TimeoutError) as own:
        await transactions(Late(clock), policy).run(lambda connection: connection)
    assert type(own.value) is TimeoutError
