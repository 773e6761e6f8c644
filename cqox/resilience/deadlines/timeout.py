"""Timeout of one attempt, as a part of a policy.

The deadline of the whole call (`deadline`) is a separate setting; the shorter of the two is in force.
"""

import math
from collections.abc import Callable
from types import TracebackType

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience.pipeline import events
from cqox.resilience.pipeline.events import TimedOut
from cqox.resilience.pipeline.part import Limit
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, ambient
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.event_loop import current_place
from cqox.resilience.runtime.ranges import Seconds, check_name, check_seconds

__all__ = ["Timeout"]


class Timeout(Limit):
    """A timeout: it ends an awaited attempt after `seconds` with `AttemptTimeout`, or earlier at the deadline.

    In a task it is a cancel scope of the event loop; none is opened where an enclosing deadline expires no later. The
    callee's own `TimeoutError` passes through unchanged, and so does a result that was ready in time.

    A thread cannot be interrupted: `remaining()` gives a synchronous callee its time limit, which a driver takes as its
    timeout, and a late result is still returned.

    Attributes:
        seconds: the limit, in seconds.
        given_clock: the explicit clock, None for the default one.
    """

    __slots__ = ("_clock", "given_clock", "name", "seconds")

    def __init__(self, seconds: Seconds, *, name: str = "timeout", clock: Clock | TimeSource | None = None) -> None:
        """Set the limit of one attempt.

        Args:
            seconds: the limit in seconds or as a `timedelta`, above 0; infinity sets none.
            name: its name in errors and the registry.
            clock: clock of the remaining time; the cancel scope of a task uses its event loop's clock.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self.seconds = check_seconds("seconds", seconds, zero=False, infinite=True)
        self._clock = bind_clock(name, clock)
        self.given_clock = None if clock is None else self._clock.now

    def reconfigure(self, *, seconds: Seconds) -> None:
        """Change the limit for attempts from now on.

        Raises:
            ValueError: it is not above 0, or not below the `probe_timeout` of a circuit breaker around it.
        """
        change = self.prepare(seconds=seconds)
        self.check_dependencies({self: {"seconds": seconds}})
        change()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        limit = check_seconds("seconds", changes["seconds"], zero=False, infinite=True)

        def change() -> None:
            self.seconds = limit

        return change

    def bound(self, deadline: AmbientDeadline | None, now: float) -> "_Bound | None":
        """See `Limit.bound`."""
        seconds = self.seconds
        if deadline is not None:
            left = deadline.at - now
            if left <= seconds:
                if left <= 0:
                    raise DeadlineExceeded(deadline.seconds, before_call=True)
                if deadline.loop is not None:
                    return None
                seconds = left
        if seconds == math.inf:
            return None
        loop, task, groups = current_place()
        bound = _Bound(seconds, loop, self.given_clock, self.seconds, task, groups)
        bound.timeout, bound.outer = self, deadline
        return bound

    def bound_blocking(self, deadline: AmbientDeadline | None, now: float) -> "_Bound | None":
        """See `Limit.bound_blocking`."""
        if deadline is not None and (left := deadline.at - now) <= self.seconds:
            if left <= 0:
                raise DeadlineExceeded(deadline.seconds, before_call=True)
            return None
        if self.seconds == math.inf:
            return None
        bound = _Bound(self.seconds, None, self.given_clock, self.seconds)
        bound.timeout, bound.outer = self, deadline
        return bound

    def describe(self) -> str:
        """See `Part.describe`."""
        return f"timeout: {self.seconds:g} s for one attempt"

    def expired(self, seconds: float, *, before_call: bool) -> AttemptTimeout:
        """Emit the timeout event and return the error of the attempt."""
        if events.listeners:
            events.emit(TimedOut(name=self.name, at=self._clock.peek(), seconds=seconds))
        return AttemptTimeout(seconds, policy=self.name, before_call=before_call)


class _Bound(AmbientDeadline):
    """The scope of one attempt under its own timeout.

    Attributes:
        timeout: that timeout, which sets both attributes.
        outer: the deadline around the call, None without one.
    """

    __slots__ = ("outer", "timeout")

    timeout: Timeout
    outer: AmbientDeadline | None

    # It has no constructor and no frame of its own here, as most calls of a policy with a timeout pass.
    __enter__ = AmbientDeadline.enter

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and (scope := self._scope) is not None:
            # What `leave` does, without its frame: most calls succeed.
            ambient.reset(self._token)
            self._ended = True
            scope.__exit__(None, None, None)
            return
        if not self.leave(error):
            return
        if self.outer is not None and self.seconds < self.attempt_seconds:
            raise DeadlineExceeded(self.outer.seconds, before_call=self.was_spent_queueing(error)) from error
        raise self.timeout.expired(self.seconds, before_call=self.was_spent_queueing(error)) from error
