"""The deadline of a block or a call, shared by all calls and attempts inside it.

`ambient_deadline` defines where it is in force (not in background tasks, other threads or shielded clean-up), and
`propagation.http` sends it over HTTP.
"""

import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, cast, overload

from cqox.errors import DeadlineExceeded
from cqox.resilience.pipeline.awaitables import Awaiting, must_be_awaited
from cqox.resilience.pipeline.part import StageContext, Wrapper
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, in_force
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock, natural_time
from cqox.resilience.runtime.event_loop import EventLoop, current_loop
from cqox.resilience.runtime.passing import passing
from cqox.resilience.runtime.ranges import Seconds, check_seconds
from cqox.resilience.runtime.scope_deadline import ScopeDeadline

__all__ = ["deadline", "remaining"]


def remaining() -> float:
    """Return the seconds left, for a driver that takes a timeout: 0.0 after the deadline, `math.inf` without one.

    It is the minimum of the deadlines and attempt timeouts in force. None is in force in a task that was started
    outside of the block, in another thread, or under a shield.
    """
    innermost = in_force()
    return math.inf if innermost is None else innermost.remaining()


class deadline(Wrapper):
    """A deadline for the block, `seconds` after its start: `with deadline(2.0):`, in async and sync code alike.

    As a decorator (`@deadline(2.0)`) and as a part of a `Policy` it gives each call a deadline of its own, for all
    attempts and pauses further in.

    In a task it is a cancel scope of the event loop. On expiry the block ends with `DeadlineExceeded`, unless it has
    already produced its result; a cancellation from outside stays a cancellation. Synchronous code cannot be
    interrupted: policies inside the block check the deadline, `remaining()` reports it to drivers, and a block that
    overruns keeps its result.

    An inner deadline can only shorten the outer one.

    Attributes:
        seconds: time limit of the block; with `at` and `from_scope` it is known from the start of the block.
    """

    __slots__ = ("_at", "_clock", "_entered", "_follows_scopes", "_given_clock", "_record", "seconds")

    name = "deadline"

    @overload
    def __init__(self, seconds: Seconds, *, clock: Clock | TimeSource | None = None) -> None: ...

    @overload
    def __init__(self, *, at: float | None, clock: Clock | TimeSource | None = None) -> None: ...

    def __init__(
        self,
        seconds: Seconds | None = None,
        *,
        at: float | None = math.nan,
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a deadline; the time of `seconds` starts with the block.

        Args:
            seconds: time limit of the block in seconds or as a `timedelta`, from 0; infinity sets none.
            at: instead of `seconds`, the time at which the block ends, by the clock of the event loop in a task, by
                `clock` where it is given and by `time.monotonic` elsewhere: `deadline(at=timeout.when())` in
                `asyncio.timeout`. None sets none.
            clock: clock of the remaining time; the cancel scope of a task uses its event loop's clock.

        Raises:
            ValueError: a setting is out of its range.
            TypeError: both `seconds` and `at` are given.
        """
        given = cast("object", at)
        if isinstance(given, bool) or not isinstance(given, int | float | None):
            raise ValueError(f"at must be a time as a number, or None, not {given!r}")
        absolute = at is None or not math.isnan(at)
        if absolute and seconds is not None:
            raise TypeError("a deadline takes seconds or at, not both")
        self._at = at if absolute else None
        self._follows_scopes = False
        self.seconds = check_seconds("seconds", math.inf if absolute else seconds, infinite=True)
        self._given_clock = clock
        self._clock = None if clock is None else bind_clock("deadline", clock).now
        self._record: AmbientDeadline | None = None
        self._entered = False

    @classmethod
    def from_scope(cls, *, clock: Clock | TimeSource | None = None) -> Self:
        """Make a deadline from the cancel scopes of AnyIO or Trio around the block, such as `anyio.fail_after`.

        `remaining()` and all parts inside the block then see the time that the scopes leave, read once at its start.
        When it has passed, the scope ends the block as it does without. Without a scope that has a deadline, and in
        synchronous code, it sets none. It costs half of what a `deadline` with a scope of its own costs.

        Args:
            clock: clock of the remaining time.
        """
        made = cls(math.inf, clock=clock)
        made._follows_scopes = True
        return made

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a deadline serves one block: make a new one for each")
        self._entered = True
        if passing.on:
            return self
        outer, loop = in_force(), current_loop()
        left = math.inf if outer is None else outer.remaining()
        if self._follows_scopes:
            self._follow(loop, left)
            return self
        if self._at is not None:
            now = self._clock or (natural_time() if loop is None else loop.time)
            self.seconds = max(self._at - now(), 0.0)
        # An outer deadline that expires no later is enough, unless it has no scope and one can be opened here.
        if self.seconds < left or (outer is not None and loop is not None and outer.loop is None):
            self._record = AmbientDeadline(min(self.seconds, left), loop, self._clock or natural_time())
            self._record.enter()
        return self

    def _follow(self, loop: EventLoop | None, left: float) -> None:
        at = math.inf if loop is None else loop.effective_deadline()
        # Minus infinity is a cancellation, which the next checkpoint delivers.
        if loop is not None and math.isfinite(at):
            record = ScopeDeadline(at, loop, self._clock or natural_time())
            self.seconds = record.seconds
            if self.seconds < left:
                self._record = record
                record.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._record is not None and self._record.leave(error):
            raise DeadlineExceeded(self.seconds, before_call=self._record.was_spent_queueing(error)) from error

    async def __aenter__(self) -> Self:
        """Enter as `with` does, for those used to `async with asyncio.timeout(...)`; there is nothing to wait for."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def block(self) -> "deadline":
        """See `Wrapper.block`."""
        if self._follows_scopes:
            return deadline.from_scope(clock=self._given_clock)
        if self._at is not None:
            return deadline(at=self._at, clock=self._given_clock)
        return deadline(self.seconds, clock=self._given_clock)

    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: StageContext) -> Callable[..., Awaitable[Any]]:
        """See `Wrapper.wrap_async`."""

        async def in_time(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            with self.block():
                return await call(*args, **kwargs)

        return in_time

    def wrap_blocking(self, call: Callable[..., Any], facts: StageContext) -> Callable[..., Any]:
        """See `Wrapper.wrap_blocking`."""

        def in_time(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            with self.block():
                result = call(*args, **kwargs)
            if must_be_awaited(result, self.name):
                return Awaiting(self.wrap_async(lambda: result, facts), self.name)
            return result

        return in_time

    def describe(self) -> str:
        """See `Part.describe`."""
        if self._follows_scopes:
            return "deadline: that of the enclosing cancel scopes, for the call with all its attempts and pauses"
        if self._at is not None:
            return f"deadline: at {self._at:g} s of the clock, for the call with all its attempts and pauses"
        return f"deadline: {self.seconds:g} s for the call, with all its attempts and pauses"

    def disarm(self) -> bool:
        """Disarm the deadline: the rest of the block runs without it, in every task of the block.

        Returns:
            False where it has already expired, or where only an enclosing deadline is in force.
        """
        return self._record is not None and self._record.disarm()
