"""Transactions under policies, for any driver: which failure may repeat one, and how it ends.

A retry is around the whole function, never around one of its statements: after an error the statements before it are
rolled back as well. The drivers are in `sqlalchemy`, `asyncpg` and `psycopg`.
"""

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from enum import Enum, auto
from random import Random
from typing import Concatenate, Final

import anyio

from cqox.errors import DeadlineExceeded
from cqox.resilience.adapters.given_policy import GivenPolicy, given
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.retry.backoff import Jitter
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.classification import Kind, Sent, classify
from cqox.resilience.retry.hedge import Hedge
from cqox.resilience.retry.retry import Retry
from cqox.resilience.runtime.clock import Clock, TimeSource
from cqox.resilience.runtime.ranges import Seconds

__all__ = [
    "BlockingTransactions",
    "Transactions",
    "is_rolled_back",
    "is_uncommitted",
    "retry_transactions",
    "statement_timeout_ms",
]

ROLLBACK_SECONDS: Final = 5.0
"""Time for the rollback of a transaction that was cancelled; after it the driver drops the connection."""

_LONGEST_MS = 2**31 - 1


class _Step(Enum):
    ACQUIRE = auto()
    """The function has not begun."""
    WORK = auto()
    """The function runs; no commit has been sent."""
    COMMIT = auto()
    """The commit may have been sent."""


class _Progress:
    """Progress of the current attempt of one transaction."""

    __slots__ = ("step",)

    def __init__(self) -> None:
        self.step = _Step.ACQUIRE


_progress: ContextVar[_Progress | None] = ContextVar("cqox_transaction_progress", default=None)


def _is_statement_timeout(error: BaseException) -> bool:
    return classify(error).code == "57014"


def is_rolled_back(error: BaseException) -> bool:
    """Return whether the transaction certainly had no effect, as the server or the driver says.

    It is the `exceptions` of the retry of a policy file, as `is_uncommitted` is.
    """
    failure, progress = classify(error), _progress.get()
    if progress is not None and progress.step is _Step.ACQUIRE:
        return failure.transient
    return failure.transient and failure.kind is Kind.DATABASE and failure.sent is Sent.UNDONE


def is_uncommitted(error: BaseException) -> bool:
    """Return whether `is_rolled_back`, or whether the connection was lost before the commit was sent."""
    if is_rolled_back(error):
        return True
    failure, progress = classify(error), _progress.get()
    lost = failure.transient and failure.kind in (Kind.DATABASE, Kind.NETWORK)
    return lost and progress is not None and progress.step is _Step.WORK


def retry_transactions(
    max_attempts: int = 5,
    base_delay: Seconds = 0.02,
    max_delay: Seconds = 1.0,
    jitter: Jitter = True,
    *,
    lost_connections: bool = False,
    budget: RetryBudget | None = None,
    clock: Clock | TimeSource | None = None,
    rng: Random | None = None,
) -> Retry:
    """Return the retry for the policy of a transaction; it repeats the whole function.

    It repeats what the server has rolled back (serialization failures, deadlocks, locks that were not available), and
    what failed before the function began, such as a connection that could not be opened. A commit whose outcome is
    unknown is never repeated.

    Args:
        max_attempts: see `Retry`, as for the three that follow.
        base_delay: see `Retry`.
        max_delay: see `Retry`.
        jitter: see `Retry`.
        lost_connections: True to repeat a transaction whose connection was lost before the commit was sent too, which
            the server rolls back.
        budget: see `Retry`, as for all that follow.
        clock: see `Retry`.
        rng: see `Retry`.

    Raises:
        ValueError: a setting is out of its range.
    """
    return Retry(
        max_attempts,
        base_delay,
        max_delay,
        jitter,
        is_uncommitted if lost_connections else is_rolled_back,
        budget,
        idempotent=True,
        name="retry_transactions",
        clock=clock,
        rng=rng,
    )


def statement_timeout_ms() -> int | None:
    """Return the time left in whole milliseconds, at least 1, for a statement timeout; None without a deadline.

    Raises:
        DeadlineExceeded: no time is left.
    """
    seconds = remaining()
    if seconds == math.inf:
        return None
    if seconds <= 0:
        raise DeadlineExceeded(before_call=True)
    # Rounded up: the statement ends just after the deadline, which then is the error.
    return min(math.ceil(seconds * 1000), _LONGEST_MS)


class _Policies:
    """The policies of transactions, each the one that it is, or that its name has, at the time of a call."""

    def __init__(self, policy: GivenPolicy, acquire: GivenPolicy | None) -> None:
        self._policy = given(policy, _check)
        self._acquire = None if acquire is None else given(acquire, _check_acquire, name="acquire")

    @property
    def policy(self) -> Policy:
        """The policy around the whole function, its beginning and its commit.

        Raises:
            PolicyNotLoaded: it is given by a name that no policy has.
        """
        return self._policy()

    @property
    def acquire(self) -> Policy | None:
        """The policy around the beginning alone, None where there is none.

        Raises:
            PolicyNotLoaded: it is given by a name that no policy has.
        """
        return None if self._acquire is None else self._acquire()


class Transactions[C](_Policies):
    """Runs coroutine functions in transactions: `await transactions.run(function, ...)`.

    `function(connection, ...)` runs between the beginning and the commit. If it raises, the transaction is rolled back,
    and its own exception reaches the caller. It may run several times, so that its effects other than on the database
    must bear that.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[C]],
        policy: GivenPolicy,
        *,
        acquire: GivenPolicy | None = None,
        prepare: Callable[[C], Awaitable[None]] | None = None,
        limit: Callable[[C], Awaitable[None]] | None = None,
    ) -> None:
        """Args:
        begin: returns a context that acquires a connection, begins a transaction, and commits or rolls back at its end.
        policy: policy of the whole transaction; its retry is one of `retry_transactions`, or in a file one with
            `exceptions = "cqox.resilience.adapters.transactions.is_rolled_back"` or `is_uncommitted`.
        acquire: policy of `begin` and `prepare`. As they change nothing, its retry may be idempotent.
        prepare: called with the connection in `acquire`.
        limit: called with the connection before the function, to hand `remaining()` to the driver.

        Raises:
            ValueError: a policy has a `Hedge`, or `policy` a retry that is not one of `retry_transactions`. One that is
                given by its name is refused when it is loaded.
            TypeError: a policy is neither a policy nor `registry.policy(name)`.
        """
        super().__init__(policy, acquire)
        self._begin = begin
        self._prepare = prepare
        self._limit = limit

    async def run[**P, R](
        self, function: Callable[Concatenate[C, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call `function` in a transaction and return its result.

        A cancellation rolls back; it waits for that no longer than five seconds.
        """
        token = _progress.set(progress := _Progress())

        async def attempt() -> R:
            progress.step = _Step.ACQUIRE
            enter = self._enter
            context, connection = await (enter() if (acquire := self.acquire) is None else acquire.call(enter))
            try:
                if self._limit is not None:
                    await self._limit(connection)
                progress.step = _Step.WORK
                result = await function(connection, *args, **kwargs)
                progress.step = _Step.COMMIT
            except BaseException as error:
                await _leave(context, error)
                if _is_statement_timeout(error) and (expired := expired_deadline()) is not None:
                    raise expired from error
                raise
            await context.__aexit__(None, None, None)
            return result

        try:
            return await self.policy.call(attempt)
        finally:
            _progress.reset(token)

    async def _enter(self) -> tuple[AbstractAsyncContextManager[C], C]:
        context = self._begin()
        connection = await context.__aenter__()
        try:
            if self._prepare is not None:
                await self._prepare(connection)
        except BaseException as error:
            await _leave(context, error)
            raise
        return context, connection


async def _leave(context: AbstractAsyncContextManager[object], error: BaseException) -> None:
    """Roll back. A cancelled scope of AnyIO would cancel each wait of the rollback as well."""
    try:
        with anyio.move_on_after(ROLLBACK_SECONDS, shield=True):
            await context.__aexit__(type(error), error, error.__traceback__)
    except Exception as failure:  # noqa: BLE001 - the exception of the function is the one that counts
        _note(error, failure)


class BlockingTransactions[C](_Policies):
    """Synchronous twin of `Transactions`: `transactions.run(function, ...)`."""

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[C]],
        policy: GivenPolicy,
        *,
        acquire: GivenPolicy | None = None,
        prepare: Callable[[C], None] | None = None,
        limit: Callable[[C], None] | None = None,
    ) -> None:
        """Make it; the arguments are those of `Transactions`.

        Raises:
            ValueError: a policy has a `Hedge`, or `policy` a retry that is not one of `retry_transactions`. One that is
                given by its name is refused when it is loaded.
            TypeError: a policy is neither a policy nor `registry.policy(name)`.
        """
        super().__init__(policy, acquire)
        self._begin = begin
        self._prepare = prepare
        self._limit = limit

    def run[**P, R](self, function: Callable[Concatenate[C, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in a transaction and return its result."""
        token = _progress.set(progress := _Progress())

        def attempt() -> R:
            progress.step = _Step.ACQUIRE
            enter = self._enter
            context, connection = enter() if (acquire := self.acquire) is None else acquire.call(enter)
            try:
                if self._limit is not None:
                    self._limit(connection)
                progress.step = _Step.WORK
                result = function(connection, *args, **kwargs)
                progress.step = _Step.COMMIT
            except BaseException as error:
                _leave_blocking(context, error)
                if _is_statement_timeout(error) and (expired := expired_deadline()) is not None:
                    raise expired from error
                raise
            context.__exit__(None, None, None)
            return result

        try:
            return self.policy.call(attempt)
        finally:
            _progress.reset(token)

    def _enter(self) -> tuple[AbstractContextManager[C], C]:
        context = self._begin()
        connection = context.__enter__()
        try:
            if self._prepare is not None:
                self._prepare(connection)
        except BaseException as error:
            _leave_blocking(context, error)
            raise
        return context, connection


def _leave_blocking(context: AbstractContextManager[object], error: BaseException) -> None:
    try:
        context.__exit__(type(error), error, error.__traceback__)
    except Exception as failure:  # noqa: BLE001 - the exception of the function is the one that counts
        _note(error, failure)


def _note(error: BaseException, failure: BaseException) -> None:
    if failure is not error:
        error.add_note(f"the rollback failed: {failure!r}")


def _check(policy: Policy) -> None:
    _check_acquire(policy)
    for part in policy.parts:
        if isinstance(part, Retry) and part.settings.exceptions not in (is_rolled_back, is_uncommitted):
            raise ValueError(
                f"policy {policy.name} repeats transactions by {part.name}: use retry_transactions(), or in a file "
                f'exceptions = "{__name__}.{is_rolled_back.__name__}"'
            )


def _check_acquire(policy: Policy) -> None:
    if any(isinstance(part, Hedge) for part in policy.parts):
        raise ValueError(f"policy {policy.name} has a hedge, which would open a second transaction")
