"""The deadline that is in force around a call, and where it stops to be.

A context variable travels further than a scope does: into tasks of the app, into threads, into shielded clean-up. So a
deadline remembers where it was set, and is in force only where its scope really would end the call. Where a task inside
its scope waits for what runs without one (`_joined`), it is a number to heed.
"""

import math
from contextlib import suppress
from contextvars import ContextVar, Token
from threading import get_ident
from typing import Final

from cqox.errors import DeadlineExceeded
from cqox.resilience.runtime.clock import TimeSource, natural_time
from cqox.resilience.runtime.event_loop import CancelScope, EventLoop, task_or_loop
from cqox.resilience.runtime.joined_tasks import clock_of, is_joined
from cqox.resilience.runtime.queueing import ended_in_queue, seconds_in_queues
from cqox.tasks import bind_to_group

__all__ = ["LONGEST_FAIR_SHARE", "TIMER_SLACK", "Ambient", "ambient", "in_force", "is_fair"]

LONGEST_FAIR_SHARE: Final = 1.0
"""Seconds after which a callee had a fair chance, however long it might have taken."""

TIMER_SLACK: Final = 1e-6
"""Seconds that a timer may fire early: the resolution of a loop's clock, and the rounding of sums of large floats."""


class Ambient:
    """One deadline, where it was set; entered and left once.

    Attributes:
        at: when it passes, by `clock`.
        clock: the clock that it is measured by.
        seconds: how long it was when it was set.
        attempt_seconds: the attempt timeout that it stands for, infinite where it is a deadline.
        loop: whose scope ends what runs past it; None where it is only a number to heed.
    """

    __slots__ = (
        "_ended",
        "_groups",
        "_mark",
        "_owner",
        "_scope",
        "_scope_at",
        "_thread",
        "_token",
        "at",
        "attempt_seconds",
        "clock",
        "loop",
        "seconds",
    )

    def __init__(
        self, seconds: float, loop: EventLoop | None, clock: TimeSource | None, attempt_seconds: float = math.inf
    ) -> None:
        """Args:
        seconds: how long it is.
        loop: whose scope enforces it; None for one that holds in the synchronous code of this thread, and of this
            task if there is one.
        clock: what measures it; by default that of the loop, and without one the natural clock.
        attempt_seconds: the attempt timeout that it stands for.
        """
        self.seconds = seconds
        self.attempt_seconds = attempt_seconds
        self.loop = loop
        self._ended = False
        self._scope: CancelScope | None = None
        if loop is None:
            self.clock = clock or natural_time()
            self.at = self.clock() + seconds
            self._thread = get_ident()
            self._owner = task_or_loop()
        else:
            self._scope_at = at = loop.time() + seconds
            self.clock = clock or loop.time
            self.at = at if clock is None else clock() + seconds
            self._owner = task = loop.task()
            self._groups = loop.groups_of(task)
            self._scope = loop.open_scope(at)

    def enter(self) -> None:
        """Put it in force."""
        if self._scope is not None:
            assert self.loop is not None
            self._scope.__enter__()
            self._mark = self.loop.scope_id_of(self._owner)
        self._token: Token[Ambient | None] = ambient.set(self)

    def leave(self, error: BaseException | None) -> bool:
        """End it; True where its scope ended the block."""
        ambient.reset(self._token)
        self._ended = True
        scope = self._scope
        if scope is None:
            return False
        if error is None:
            scope.__exit__(None, None, None)
        else:
            scope.__exit__(type(error), error, error.__traceback__)
        return scope.cancelled_caught

    def has_open_inside(self) -> bool:
        """True where a deadline or a scope that was opened after it is open still, so that it cannot be left yet."""
        if ambient.get() is not self:
            return True
        return self.loop is not None and (self._mark is None or self.loop.scope_id_of(self._owner) != self._mark)

    def disarm(self) -> bool:
        """End nothing any more, from now until it is left; False where it has begun to end its block.

        It may be called from any task of the block.
        """
        scope = self._scope
        if scope is not None:
            if scope.cancel_called:
                return False
            scope.deadline = math.inf
        self.at = self.attempt_seconds = math.inf
        if ambient.get() is self:
            # What it hides is in force again while it stays open; in a task of the block, `in_force` looks further out.
            with suppress(ValueError):
                ambient.reset(self._token)
                self._token = ambient.set(ambient.get())
        return True

    @property
    def hidden(self) -> "Ambient | None":
        """The deadline that was innermost when it was entered."""
        old = self._token.old_value
        return old if isinstance(old, Ambient) else None

    def was_spent_queueing(self, error: BaseException | None) -> bool:
        """True where it was over before the callee had its fair share, as a queue of this process took the time.

        Args:
            error: what ended the block.
        """
        if ended_in_queue(error):
            return True
        queued = seconds_in_queues(self.clock, self.at - self.seconds - TIMER_SLACK)
        return queued > 0 and not is_fair(self.seconds - queued, self.attempt_seconds)

    def remaining(self) -> float:
        """Seconds left, 0.0 once it has passed."""
        left = self.at - self.clock()
        return left if left > 0 else 0.0

    def passed(self, now: float) -> bool:
        """True where `now`, by its own clock, is at or after it."""
        return now >= self.at - TIMER_SLACK

    def is_in_force_here(self) -> bool:
        """True where the running code is what it was set for."""
        loop = self.loop
        if loop is not None:
            return loop.will_cancel_by(self._scope_at, self._owner, self._groups, self._mark)
        return self._thread == get_ident() and (self._owner is None or task_or_loop() is self._owner)

    def or_raise(self) -> "Ambient | None":
        """Itself where it holds, None where it does not; for a caller that is about to call.

        Raises:
            DeadlineExceeded: it has passed, so that nothing may be called.
        """
        loop = self.loop
        # What `is_in_force_here` answers, without a call in between: every call under a deadline comes through here.
        if loop is None:
            holds = self.is_in_force_here()
        else:
            holds = loop.will_cancel_by(self._scope_at, self._owner, self._groups, self._mark)
        if not holds:
            return self.as_advisory()
        if self.clock() >= self.at:
            raise DeadlineExceeded(self.seconds, before_call=True)
        return self

    def as_advisory(self) -> "Ambient | None":
        """It as a number to heed, where what runs here is waited for by what it was set for; None elsewhere.

        Raises:
            DeadlineExceeded: it has passed, so that nothing may be called.
        """
        number = self.advisory_here()
        if number is not None and number.clock() >= number.at:
            raise DeadlineExceeded(self.seconds, before_call=True)
        return number

    def advisory_here(self) -> "Ambient | None":
        """The same where it may have passed."""
        if self._ended or not is_joined(self._scope):
            return None
        clock = self.clock
        if self.loop is not None and clock == self.loop.time:
            clock = clock_of(self._owner) or clock
        return _AdvisoryDeadline(self, clock)


class _AdvisoryDeadline(Ambient):
    """A deadline seen from where its scope does not reach."""

    __slots__ = ()

    def __init__(self, origin: Ambient, clock: TimeSource) -> None:
        self.seconds = origin.seconds
        self.attempt_seconds = origin.attempt_seconds
        self.at = origin.at
        self.clock = clock
        self.loop = None
        self._scope = None


def is_fair(seconds: float, attempt_timeout: float) -> bool:
    """True where a callee that had `seconds` had its fair share: half of the attempt timeout, at most one second."""
    return seconds >= min(attempt_timeout / 2, LONGEST_FAIR_SHARE) - TIMER_SLACK


ambient: ContextVar[Ambient | None] = bind_to_group(ContextVar("cqox_ambient_deadline", default=None), None)
"""The innermost deadline, in force or not: ask `in_force`."""


def in_force() -> Ambient | None:
    """The deadline in force here, None where there is none."""
    innermost = ambient.get()
    while innermost is not None and innermost.at == math.inf and innermost.hidden is not None:
        innermost = innermost.hidden  # one that was disarmed
    if innermost is None or innermost.is_in_force_here():
        return innermost
    return innermost.advisory_here()
