"""One attempt, bounded in time.

What lives here: the limit of an attempt. What does not: the deadline of the whole (`deadline`), which is another knob;
what is in force is the smaller of the two.
"""

import math
from collections.abc import Callable
from types import TracebackType

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import TimedOut
from cqox.resilience.pipeline.part import Limit
from cqox.resilience.runtime.ambient_deadline import Ambient
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.event_loop import EventLoop, current_loop
from cqox.resilience.runtime.ranges import check_name, check_seconds

__all__ = ["Timeout"]


class Timeout(Limit):
    """Ends an awaited attempt after `seconds` with `AttemptTimeout`, or at the deadline if that comes first.

    In a task it is a cancel scope of the event loop; none is opened where that of an enclosing deadline fires no later.
    The callee's own `TimeoutError` goes through as it is, and so does a result that was there in time.

    Nothing interrupts a thread: a synchronous callee is told by `remaining()` how long it has, which a driver takes as
    its timeout, and its result is returned however late it comes.

    Attributes:
        limit: the limit, in seconds.
        given_clock: the clock that was given, None for the natural one.
    """

    __slots__ = ("_clock", "given_clock", "limit", "name")

    def __init__(self, seconds: float, *, name: str = "timeout", clock: Clock | TimeSource | None = None) -> None:
        """Set the limit of one attempt.

        Args:
            seconds: the limit, above 0; infinity sets none.
            name: what errors and the registry call it.
            clock: what measures the time that is left; the scope of a task goes by its loop.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self.limit = check_seconds("seconds", seconds, zero=False, infinite=True)
        self._clock = bind_clock(name, clock)
        self.given_clock = None if clock is None else self._clock.now

    @property
    def seconds(self) -> float:
        """The limit, in seconds."""
        return self.limit

    def reconfigure(self, *, seconds: float) -> None:
        """Bound attempts by other `seconds` from now on.

        Raises:
            ValueError: it is not above 0, or not below the `probe_timeout` of a circuit breaker around it.
        """
        change = self.prepare(seconds=seconds)
        self.check_beside({self: {"seconds": seconds}})
        change()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        limit = check_seconds("seconds", changes["seconds"], zero=False, infinite=True)

        def change() -> None:
            self.limit = limit

        return change

    def bound(self, deadline: Ambient | None, now: float) -> "_Bound | None":
        """See `Limit.bound`."""
        seconds = self.limit
        if deadline is not None:
            left = deadline.at - now
            if left <= seconds:
                if left <= 0:
                    raise DeadlineExceeded(deadline.seconds, before_call=True)
                if deadline.loop is not None:
                    return None
                seconds = left
        return None if seconds == math.inf else _Bound(self, seconds, current_loop(), deadline)

    def bound_blocking(self, deadline: Ambient | None, now: float) -> "_Bound | None":
        """See `Limit.bound_blocking`."""
        if deadline is not None and (left := deadline.at - now) <= self.limit:
            if left <= 0:
                raise DeadlineExceeded(deadline.seconds, before_call=True)
            return None
        return None if self.limit == math.inf else _Bound(self, self.limit, None, deadline)

    def describe(self) -> str:
        """See `Part.describe`."""
        return f"timeout: {self.limit:g} s for one attempt"

    def expired(self, seconds: float, *, before_call: bool) -> AttemptTimeout:
        """The error of an attempt that was ended, after telling listeners."""
        if events.listeners:
            events.emit(TimedOut(name=self.name, at=self._clock.peek(), seconds=seconds))
        return AttemptTimeout(seconds, policy=self.name, before_call=before_call)


class _Bound(Ambient):
    """An attempt under a limit of its own."""

    __slots__ = ("_outer", "_timeout")

    def __init__(self, timeout: Timeout, seconds: float, loop: EventLoop | None, outer: Ambient | None) -> None:
        super().__init__(seconds, loop, timeout.given_clock, timeout.limit)
        self._timeout = timeout
        self._outer = outer

    def __enter__(self) -> None:
        self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.leave(error):
            return
        if self._outer is not None and self.seconds < self.attempt_seconds:
            raise DeadlineExceeded(self._outer.seconds, before_call=self.was_spent_queueing(error)) from error
        raise self._timeout.expired(self.seconds, before_call=self.was_spent_queueing(error)) from error
