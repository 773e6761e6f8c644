"""The adapter for asyncpg; transactions of all drivers are tested in `test_transactions`."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from cqox.resilience import DeadlineExceeded, Policy, classify, deadline
from cqox.resilience.adapters.asyncpg import transactions
from cqox.resilience.adapters.transactions import retry_transactions
from tests.servers.postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("servers")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
