"""Hedged calls: a second attempt starts before the first has ended, to cut tail latency.

Attempts overlap and the first result wins; sequential attempts are those of `retry`.
"""

import itertools
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Self, cast

import anyio

from cqox.resilience.pipeline.part import StageContext, Wrapper
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.pipeline.plan import enclosing
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.runtime.ambient_deadline import unexpired
from cqox.resilience.runtime.call_context import attempt_made, call_safety, serves_a_retry
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.passing import passing
from cqox.resilience.runtime.queueing import ended_in_queue, mark_ended_in_queue, waits
from cqox.resilience.runtime.ranges import Seconds, check_count, check_kind, check_name, check_seconds
from cqox.tasks import TaskGroup, open_task_group

__all__ = ["Hedge"]


class Hedge(Wrapper):
    """A hedge: it starts another attempt after every `delay` seconds without a result; the first result wins.

    The other attempts are then cancelled and awaited. A failed attempt is not replaced; once no attempt is running, the
    exception of the first that failed reaches the caller. Use it only for awaited calls that are idempotent. A further
    attempt is charged to `budget`. None is started for a request that is itself a retry, for a probe of an enclosing
    circuit, or once that circuit has changed its state.

    Attributes:
        max_attempts: limit on the number of attempts, including the first.
    """

    __slots__ = ("_budget", "_clock", "_delay", "max_attempts", "name")

    def __init__(
        self,
        delay: Seconds,
        max_attempts: int = 2,
        *,
        budget: RetryBudget | None = None,
        name: str = "hedge",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a hedge.

        Args:
            delay: seconds (or a `timedelta`) without a result after which another attempt starts, above 0, such as
                the 95th percentile.
            max_attempts: limit on the number of attempts, including the first, at least 2.
            budget: budget of further attempts, shared by all callers of the dependency.
            name: its name in explanations.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self._delay = check_seconds("delay", delay, zero=False)
        self.max_attempts = check_count("max_attempts", max_attempts, least=2)
        check_kind("budget", budget, RetryBudget)
        self._budget = budget
        self._clock = bind_clock(f"Hedge {name!r}", clock)

    def for_key(self, key: Hashable) -> Self:
        """Return the hedge of `key`, which has a budget of its own; itself where it has none. See `Part.for_key`."""
        return self if self._budget is None else super().for_key(key)

    def renew(self) -> None:
        """See `Part.renew`."""
        assert self._budget is not None
        self._budget = self._budget.for_key(self.key)

    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: StageContext) -> Callable[..., Awaitable[Any]]:
        """See `Wrapper.wrap_async`."""

        async def hedged(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            if passing.on:
                return await call(*args, **kwargs)
            unexpired()
            if self._budget is not None:
                self._budget.first_attempt()
            outer = () if facts.outermost else tuple(itertools.chain(*enclosing.get()))
            safety = call_safety.get()
            if any(permit.single_attempt for permit in outer) or not (safety is None or safety.may_repeat(None)):
                # A permit of a half-open circuit covers one attempt, and so does a request that is not idempotent.
                return await call(*args, **kwargs)
            return await _Race(self, lambda: call(*args, **kwargs), outer).run()

        return hedged

    def wrap_blocking(self, call: Callable[..., Any], facts: StageContext) -> Callable[..., Any]:
        """See `Wrapper.wrap_blocking`."""
        raise TypeError(f"{self.name}: a hedge guards awaited calls only, as nothing can cancel the slower thread")

    def describe(self) -> str:
        """See `Part.describe`."""
        return f"hedge: another attempt after every {self._delay:g} s without a result, {self.max_attempts} in all"

    def may_start_another(self, outer: tuple[Permit, ...]) -> bool:
        """Return whether a further attempt may start; if so, it is charged to the budget.

        Args:
            outer: permits of the call from the gates around the hedge.
        """
        if serves_a_retry() or not all(permit.is_current() for permit in outer):
            return False
        return self._budget is None or self._budget.may_retry()

    async def pause(self) -> None:
        """Wait before another attempt."""
        await self._clock.sleep_async(self._delay)


class _Race:
    """Concurrent attempts of one call."""

    __slots__ = (
        "_all_ended_in_queues",
        "_call",
        "_error",
        "_hedge",
        "_outer",
        "_over",
        "_result",
        "_running",
        "_waits",
        "_won",
    )

    def __init__(self, hedge: Hedge, call: Callable[[], Awaitable[Any]], outer: tuple[Permit, ...]) -> None:
        self._call = call
        self._outer = outer
        self._hedge = hedge
        self._over = anyio.Event()
        self._running = 0
        self._waits = waits.get()
        self._all_ended_in_queues = True
        self._won = False
        self._result: Any = None
        self._error: BaseException | None = None

    async def run(self) -> Any:  # noqa: ANN401 - the callee's result
        try:
            await self._race()
        except BaseException as ended:
            if self._all_ended_in_queues:
                mark_ended_in_queue(ended)
            raise
        finally:
            # The queue waits of the first attempt, which ran in its own task, belong to this call.
            waits.set(self._waits)
        error, self._error = self._error, None
        if error is None or (self._won and isinstance(error, Exception)):
            return self._result
        try:
            raise error
        finally:
            del error  # its traceback references this frame

    async def _race(self) -> None:
        async with open_task_group(self._hedge.name) as group:
            group.start_soon(self._start_further, group, name=f"{self._hedge.name}: delay")
            self._start(group, 0)
            await self._over.wait()
            # All running attempts are cancelled now. A later cancellation could end nothing more and would discard the
            # result.
            group.cancel_scope.shield = True
            group.cancel_scope.cancel()

    def _start(self, group: TaskGroup, attempt: int) -> None:
        self._running += 1
        group.start_soon(self._attempt, attempt, name=f"{self._hedge.name}: attempt {attempt + 1}")

    async def _start_further(self, group: TaskGroup) -> None:
        attempt = 1
        while attempt < self._hedge.max_attempts:
            await self._hedge.pause()
            if self._over.is_set() or not self._hedge.may_start_another(self._outer):
                return
            self._start(group, attempt)
            attempt += 1

    async def _attempt(self, attempt: int) -> None:
        if attempt:
            attempt_made.set(attempt_made.get() + attempt)
        try:
            result = await self._call()
        except BaseException as error:
            self._all_ended_in_queues = self._all_ended_in_queues and ended_in_queue(error)
            cancellation = _cancellation_in(error)
            if cancellation is None:
                self._failed(error)
            elif self._won:
                # Exceptions that a losing attempt raises with its cancellation are dropped, as those instead of it are.
                raise cancellation  # noqa: B904 - a part of the error in hand
            else:
                raise
            return
        finally:
            if not attempt:
                self._waits = waits.get()
        self._all_ended_in_queues = False
        if not self._won:
            self._won, self._result = True, result
            self._over.set()

    def _failed(self, error: BaseException) -> None:
        """Record a failure: it is raised once no attempt is running, or at once where it is not an `Exception`."""
        self._running -= 1
        if self._error is None or not isinstance(error, Exception):
            self._error = error
        if not self._running or not isinstance(error, Exception):
            self._over.set()


def _cancellation_in(error: BaseException) -> BaseException | None:
    """Return the part of `error` that is the cancellation of an enclosing scope, which ends this task.

    On asyncio a callee may also raise the cancellation of a task that it awaited. The task group would drop it
    silently, so it is treated as any other exception.
    """
    if isinstance(error, Exception | GeneratorExit):
        return error if isinstance(error, GeneratorExit) else None
    if anyio.current_effective_deadline() > -math.inf:
        return None
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).subgroup(cancelled)
    return error if isinstance(error, cancelled) else None
