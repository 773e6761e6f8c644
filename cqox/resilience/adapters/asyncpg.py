"""asyncpg: transactions of a pool under policies, on asyncio.

asyncpg itself is not imported: the pool that is handed in has all that is needed.
"""

import math
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Literal, Protocol

from cqox.resilience.adapters.given_policy import GivenPolicy
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.adapters.transactions import Transactions, statement_timeout_ms
from cqox.resilience.deadlines.deadline import remaining

__all__ = ["AsyncpgConnection", "AsyncpgPool", "transactions"]

type Isolation = Literal["read_committed", "repeatable_read", "serializable"]


class AsyncpgConnection(Protocol):
    """The part of `asyncpg.Connection` that is used."""

    async def execute(self, query: str, /) -> str:
        """Run a statement."""
        ...

    def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, deferrable: bool = False
    ) -> AbstractAsyncContextManager[object]:
        """Return the context of a transaction."""
        ...


class AsyncpgPool[C: AsyncpgConnection](Protocol):
    """The part of `asyncpg.Pool` that is used."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[C]:
        """Return the context of a connection."""
        ...


def transactions[C: AsyncpgConnection](
    pool: AsyncpgPool[C],
    policy: GivenPolicy,
    *,
    acquire: GivenPolicy | None = None,
    isolation: Isolation | None = None,
    readonly: bool = False,
    deferrable: bool = False,
) -> Transactions[C]:
    """Return the transactions of `pool`.

    With a deadline in force, the pool gets what is left as its timeout, and PostgreSQL as `statement_timeout` of the
    transaction.

    Args:
        pool: pool of connections.
        policy: policy of whole transactions; its retry is one of `retry_transactions`.
        acquire: policy of acquiring a connection and beginning the transaction.
        isolation: isolation level; the server's default where it is None.
        readonly: True for transactions that only read.
        deferrable: True to wait for a safe snapshot, where the transaction is serializable and reads only.

    Raises:
        ValueError: a policy is unsuitable; see `Transactions`.
    """

    @asynccontextmanager
    async def begin() -> AsyncGenerator[C]:
        seconds = remaining()
        async with AsyncExitStack() as stack:
            limit = None if seconds == math.inf else seconds
            try:
                connection = await stack.enter_async_context(pool.acquire(timeout=limit))
            except TimeoutError as error:
                raise expired_deadline() or error from error
            async with connection.transaction(isolation=isolation, readonly=readonly, deferrable=deferrable):
                yield connection

    return Transactions[C](begin, policy, acquire=acquire, limit=_limit)


async def _limit(connection: AsyncpgConnection) -> None:
    milliseconds = statement_timeout_ms()
    if milliseconds is not None:
        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
