"""One attempt, bounded in time.

What lives here: the limit of an attempt. What does not: the deadline of the whole (`deadline`), which is another knob;
what is in force is the smaller of the two.
"""

from types import TracebackType
from typing import Final

from cqox.errors import AttemptTimeout, DeadlineExceeded
from cqox.resilience import _events
from cqox.resilience._ambient import Ambient, Narrowing
from cqox.resilience._clock import Clock, TimeSource, bind_clock
from cqox.resilience._events import TimedOut
from cqox.resilience._part import Limit
from cqox.resilience._ranges import check_seconds
from cqox.resilience.deadline import narrow

__all__ = ["Timeout"]


class Timeout(Limit):
    """Ends an awaited attempt after `seconds` with `AttemptTimeout`, or at the deadline if that comes first.

    In a task it is a cancel scope of the event loop; none is opened where that of an enclosing deadline fires no later.
    The callee's own `TimeoutError` goes through as it is, and so does a result that was there in time.

    Nothing interrupts a thread: a synchronous callee is told by `remaining()` how long it has, which a driver takes as
    its timeout, and its result is returned however late it comes.
    """

    __slots__ = ("_clock", "_given_clock", "_seconds", "name")

    def __init__(self, seconds: float, *, name: str = "timeout", clock: Clock | TimeSource | None = None) -> None:
        """Set the limit of one attempt.

        Args:
            seconds: the limit, above 0; infinity sets none.
            name: what errors and the registry call it.
            clock: what measures the time that is left; the scope of a task goes by its loop.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = name
        self._seconds = check_seconds("seconds", seconds, zero=False, infinite=True)
        self._clock = bind_clock(name, clock)
        self._given_clock = None if clock is None else self._clock.now

    @property
    def seconds(self) -> float:
        """The limit, in seconds."""
        return self._seconds

    def reconfigure(self, *, seconds: float) -> None:
        """Bound attempts by other `seconds` from now on.

        Raises:
            ValueError: it is not above 0.
        """
        self._seconds = check_seconds("seconds", seconds, zero=False, infinite=True)

    def bound(self, deadline: Ambient | None) -> "_Bound | _Unbound":
        """See `Limit.bound`."""
        return self._bound(deadline, cooperative=False)

    def bound_blocking(self, deadline: Ambient | None) -> "_Bound | _Unbound":
        """See `Limit.bound_blocking`."""
        return self._bound(deadline, cooperative=True)

    def describe(self) -> str:
        """See `Part.describe`."""
        return f"timeout: {self._seconds:g} s for one attempt"

    def expired(self, seconds: float) -> AttemptTimeout:
        """The error of an attempt that was ended, after telling listeners."""
        if _events.listeners:
            _events.emit(TimedOut(name=self.name, at=self._clock.peek(), seconds=seconds))
        return AttemptTimeout(seconds, policy=self.name)

    def _bound(self, deadline: Ambient | None, *, cooperative: bool) -> "_Bound | _Unbound":
        seconds = self._seconds
        if deadline is not None:
            left = deadline.remaining()
            if left <= 0:
                raise DeadlineExceeded(deadline.seconds, before_call=True)
            if left <= seconds and (cooperative or deadline.enforced):
                return _unbound
        narrowing = narrow(seconds, deadline, clock=self._given_clock, attempt_seconds=seconds, cooperative=cooperative)
        return _unbound if narrowing is None else _Bound(self, narrowing, deadline)


class _Unbound:
    """No scope: there is no limit, or an enclosing deadline ends the attempt no later."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


_unbound: Final = _Unbound()


class _Bound:
    """An attempt under its own scope."""

    __slots__ = ("_deadline", "_narrowing", "_timeout")

    def __init__(self, timeout: Timeout, narrowing: Narrowing, deadline: Ambient | None) -> None:
        self._timeout = timeout
        self._narrowing = narrowing
        self._deadline = deadline

    def __enter__(self) -> None:
        self._narrowing.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._narrowing.leave(error):
            return
        record = self._narrowing.record
        if record.seconds < record.attempt_seconds and self._deadline is not None:
            raise DeadlineExceeded(self._deadline.seconds) from error
        raise self._timeout.expired(record.seconds) from error
