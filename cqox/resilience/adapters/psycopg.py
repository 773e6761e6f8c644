"""psycopg: transactions of a pool under policies, on asyncio and in synchronous code."""

import math
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, cast, overload

from cqox.resilience.adapters.given_policy import GivenPolicy
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.adapters.transactions import BlockingTransactions, Transactions, statement_timeout_ms
from cqox.resilience.deadlines.deadline import remaining

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

__all__ = ["transactions"]


@overload
def transactions[C: "AsyncConnection[object]"](
    pool: "AsyncConnectionPool[C]", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> Transactions[C]: ...


@overload
def transactions[C: "Connection[object]"](
    pool: "ConnectionPool[C]", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> BlockingTransactions[C]: ...


def transactions(pool: object, policy: GivenPolicy, *, acquire: GivenPolicy | None = None) -> object:
    """Return the transactions of `pool`.

    With a deadline in force, the pool gets what is left as its timeout, and PostgreSQL as `statement_timeout` of the
    transaction: a transaction of several statements in synchronous code may take longer.

    Args:
        pool: an `AsyncConnectionPool` for `Transactions`, a `ConnectionPool` for `BlockingTransactions`.
        policy: policy of whole transactions; its retry is one of `retry_transactions`.
        acquire: policy of acquiring a connection and beginning the transaction.

    Raises:
        ValueError: a policy is unsuitable; see `Transactions`.
    """
    from psycopg_pool import AsyncConnectionPool, PoolTimeout

    source = cast("Any", pool)

    @asynccontextmanager
    async def begin() -> AsyncGenerator[Any]:
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(source.connection(timeout=_seconds()))
            except PoolTimeout as error:
                raise expired_deadline() or error from error
            async with connection.transaction():
                yield connection

    @contextmanager
    def begin_blocking() -> Generator[Any]:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(source.connection(timeout=_seconds()))
            except PoolTimeout as error:
                raise expired_deadline() or error from error
            with connection.transaction():
                yield connection

    if isinstance(pool, AsyncConnectionPool):
        return Transactions[Any](begin, policy, acquire=acquire, limit=_limit)
    return BlockingTransactions[Any](begin_blocking, policy, acquire=acquire, limit=_limit_blocking)


def _seconds() -> float | None:
    seconds = remaining()
    return None if seconds == math.inf else seconds


async def _limit(connection: Any) -> None:  # noqa: ANN401 - a connection
    milliseconds = statement_timeout_ms()
    if milliseconds is not None:
        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")


def _limit_blocking(connection: Any) -> None:  # noqa: ANN401 - a connection
    milliseconds = statement_timeout_ms()
    if milliseconds is not None:
        connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
