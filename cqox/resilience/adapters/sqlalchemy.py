"""SQLAlchemy: transactions of engines and sessions under policies, on asyncio and in synchronous code."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast, overload

from cqox.resilience.adapters.given_policy import GivenPolicy
from cqox.resilience.adapters.transactions import BlockingTransactions, Transactions, statement_timeout_ms

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session, sessionmaker

__all__ = ["transactions"]

# An aborted transaction takes nothing but these, which take no time.
_SAVEPOINTS = ("ROLLBACK", "RELEASE", "SAVEPOINT")


@overload
def transactions(
    source: "AsyncEngine", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> "Transactions[AsyncConnection]": ...


@overload
def transactions[S: "AsyncSession"](
    source: "async_sessionmaker[S]", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> "Transactions[S]": ...


@overload
def transactions(
    source: "Engine", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> "BlockingTransactions[Connection]": ...


@overload
def transactions[S: "Session"](
    source: "sessionmaker[S]", policy: GivenPolicy, *, acquire: GivenPolicy | None = None
) -> "BlockingTransactions[S]": ...


def transactions(source: object, policy: GivenPolicy, *, acquire: GivenPolicy | None = None) -> object:
    """Return the transactions of an engine or of a maker of sessions, of either kind.

    With a deadline in force, PostgreSQL gets what is left as `statement_timeout` of the transaction: once on asyncio,
    where a scope ends the transaction in time, and before each statement in synchronous code, where no statement begins
    after the deadline.

    Args:
        source: an `AsyncEngine` or `async_sessionmaker` for `Transactions`, an `Engine` or `sessionmaker` for
            `BlockingTransactions`.
        policy: policy of whole transactions; its retry is one of `retry_transactions`.
        acquire: policy of acquiring a connection.

    Raises:
        ValueError: a policy is unsuitable; see `Transactions`. When it runs: the engine commits each statement.
    """
    from sqlalchemy import Engine
    from sqlalchemy.orm import sessionmaker

    begin = cast("Callable[[], Any]", getattr(source, "begin"))  # noqa: B009 - of four types
    # The asyncio part of SQLAlchemy is imported only where it is used: it needs greenlet.
    if isinstance(source, Engine | sessionmaker):
        return BlockingTransactions[Any](
            begin, policy, acquire=acquire, prepare=_prepare_blocking, limit=_limit_blocking
        )
    return Transactions[Any](begin, policy, acquire=acquire, prepare=_prepare, limit=_limit)


async def _connection_of(holder: Any) -> Any:  # noqa: ANN401 - a connection or a session
    from sqlalchemy.ext.asyncio import AsyncConnection

    # A session takes its connection from the pool at its first use.
    return holder if isinstance(holder, AsyncConnection) else await cast("Awaitable[Any]", holder.connection())


async def _prepare(holder: object) -> None:
    _refuse_autocommit((await _connection_of(holder)).sync_connection)


async def _limit(holder: object) -> None:
    connection = await _connection_of(holder)
    milliseconds = statement_timeout_ms()
    if milliseconds is not None and connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")


def _connection_in(holder: Any) -> Any:  # noqa: ANN401 - a connection or a session
    from sqlalchemy import Connection

    return holder if isinstance(holder, Connection) else holder.connection()


def _prepare_blocking(holder: object) -> None:
    _refuse_autocommit(_connection_in(holder))


def _limit_blocking(holder: object) -> None:
    from sqlalchemy import event

    event.listen(_connection_in(holder), "before_cursor_execute", _limit_statement)


def _limit_statement(connection: Any, cursor: object, statement: str, *more: object) -> None:  # noqa: ANN401
    if statement.lstrip().upper().startswith(_SAVEPOINTS):
        return
    milliseconds = statement_timeout_ms()
    if milliseconds is not None and connection.dialect.name == "postgresql":
        # A cursor of its own, as that of the statement may be one of the server.
        with connection.connection.dbapi_connection.cursor() as own:
            own.execute(f"SET LOCAL statement_timeout = {milliseconds}")


def _refuse_autocommit(connection: Any) -> None:  # noqa: ANN401 - a connection
    """Refuse what commits each statement, so that nothing could be rolled back."""
    autocommit = False
    with suppress(NotImplementedError):
        autocommit = connection.dialect.detect_autocommit_setting(connection.connection.dbapi_connection)
    if autocommit:
        raise ValueError("the engine has isolation_level AUTOCOMMIT, so that it has no transactions to repeat")
