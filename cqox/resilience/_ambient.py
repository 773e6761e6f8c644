"""The deadline that is in force around a call, and where it stops to be.

A context variable travels further than a scope does: into tasks of the app, into threads, into shielded clean-up. So a
deadline remembers where it was set, and is in force only where its scope really would end the call.
"""

from contextvars import ContextVar, Token
from threading import get_ident
from typing import Final

from cqox.errors import DeadlineExceeded
from cqox.resilience._clock import TimeSource
from cqox.resilience._scope import CancelScope, Loop, current_loop, place
from cqox.tasks import bind_to_group

__all__ = ["Ambient", "Narrowing", "ambient", "fail_if_passed", "in_force"]

# A timer may fire this much early: the resolution of the loop's clock, and the rounding of sums of large floats.
TIMER_SLACK: Final = 1e-6


class Ambient:
    """One deadline, where it was set.

    Attributes:
        at: when it passes, by `clock`.
        clock: the clock that it was measured by.
        seconds: what was given to whoever set it.
        attempt_seconds: the attempt timeout that it stands for, infinite where it is a deadline.
        enforced: True where a scope of the loop ends what runs past it; else it is a number to heed.
    """

    __slots__ = ("_groups", "_loop", "_place", "_scope_at", "_thread", "at", "attempt_seconds", "clock", "seconds")

    def __init__(self, at: float, clock: TimeSource, seconds: float, attempt_seconds: float) -> None:
        self.at = at
        self.clock = clock
        self.seconds = seconds
        self.attempt_seconds = attempt_seconds
        self._loop: Loop | None = None
        self._scope_at = 0.0
        self._groups: tuple[object, ...] = ()
        self._place: object = None
        self._thread = 0

    @property
    def enforced(self) -> bool:
        return self._loop is not None

    def remaining(self) -> float:
        """Seconds left, 0.0 once it has passed."""
        return max(0.0, self.at - self.clock())

    def passed(self, now: float) -> bool:
        """True where `now`, by its own clock, is at or after it."""
        return now >= self.at - TIMER_SLACK

    def settle_on_scope(self, loop: Loop, seconds: float) -> CancelScope:
        """Make a scope of `loop` enforce it, `seconds` from now."""
        self._loop = loop
        self._place = loop.task()
        self._groups = loop.groups_around()
        self._scope_at = loop.time() + seconds
        return loop.open_scope(self._scope_at)

    def settle_here(self) -> None:
        """Let it hold in the synchronous code of this thread, and of this task if there is one."""
        self._thread = get_ident()
        self._place = place()

    def holds_here(self) -> bool:
        """True where the running code is what it was set for."""
        if self._loop is not None:
            return current_loop() is self._loop and self._loop.will_cancel_by(self._scope_at, self._place, self._groups)
        return self._thread == get_ident() and (self._place is None or place() is self._place)


ambient: ContextVar[Ambient | None] = bind_to_group(ContextVar("cqox_ambient_deadline", default=None), None)
"""The innermost deadline, in force or not: ask `in_force`."""


def in_force() -> Ambient | None:
    """The deadline in force here, None where there is none."""
    innermost = ambient.get()
    return innermost if innermost is not None and innermost.holds_here() else None


def fail_if_passed(innermost: Ambient) -> Ambient | None:
    """What `in_force` answers, for a caller that has already found a deadline and is about to call.

    Raises:
        DeadlineExceeded: it has passed, so that nothing may be called.
    """
    if not innermost.holds_here():
        return None
    if innermost.remaining() <= 0:
        raise DeadlineExceeded(innermost.seconds, before_call=True)
    return innermost


class Narrowing:
    """A deadline while it is set: the context variable and, in a task, the scope."""

    __slots__ = ("_scope", "_token", "record")

    def __init__(self, record: Ambient, scope: CancelScope | None) -> None:
        self.record = record
        self._scope = scope
        self._token: Token[Ambient | None] | None = None

    def enter(self) -> None:
        if self._scope is not None:
            self._scope.__enter__()
        self._token = ambient.set(self.record)

    def leave(self, error: BaseException | None) -> bool:
        """End it; True where its scope ended the block."""
        if self._token is not None:
            ambient.reset(self._token)
        if self._scope is None:
            return False
        self._scope.__exit__(
            None if error is None else type(error), error, None if error is None else error.__traceback__
        )
        return self._scope.cancelled_caught
