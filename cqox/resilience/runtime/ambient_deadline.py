"""The ambient deadline of a call, and the rules of where it is in force.

A context variable reaches further than a cancel scope: into background tasks, threads and shielded clean-up. So a
deadline records where it was set, and is in force only where its scope would actually cancel the call. Code outside of
the scope that a task inside it awaits (`joined_tasks`) sees it as an advisory deadline, which cancels nothing.
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
from cqox.resilience.runtime.passing import passing
from cqox.resilience.runtime.queueing import ended_in_queue, seconds_in_queues
from cqox.resilience.runtime.scope_ids import UNKNOWN_SCOPE, ScopeId
from cqox.tasks import bind_to_group

__all__ = [
    "LONGEST_FAIR_SHARE",
    "PASSES",
    "TIMER_SLACK",
    "AmbientDeadline",
    "ambient",
    "in_force",
    "is_fair",
    "unexpired",
]

LONGEST_FAIR_SHARE: Final = 1.0
"""Upper bound of a callee's fair share of time, in seconds."""

TIMER_SLACK: Final = 1e-6
"""Seconds that a timer may fire early: the clock's resolution, and the rounding of sums of large floats."""


class AmbientDeadline:
    """One deadline and the place where it was set; entered and left once.

    Attributes:
        at: time of expiry, by `clock`.
        clock: its time source.
        seconds: its duration when it was set.
        attempt_seconds: the attempt timeout that it represents, infinite where it is a deadline.
        loop: event loop whose cancel scope enforces it; None where it is advisory.
        scope_id: identity of that scope, once it is known: where it `is_innermost`, the deadline is in force, as `here`
            would find at more cost.
    """

    __slots__ = (
        "_ended",
        "_groups",
        "_owner",
        "_scope",
        "_scope_at",
        "_thread",
        "_token",
        "at",
        "attempt_seconds",
        "clock",
        "loop",
        "scope_id",
        "seconds",
    )

    def __init__(
        self,
        seconds: float,
        loop: EventLoop | None,
        clock: TimeSource | None,
        attempt_seconds: float = math.inf,
        task: object = None,
        groups: tuple[object, ...] = (),
    ) -> None:
        """Args:
        seconds: its duration.
        loop: event loop whose scope enforces it; None for synchronous code of this thread, and of this task if there
            is one.
        clock: time source; by default that of the event loop, or the natural clock without one.
        attempt_seconds: the attempt timeout that it represents.
        task: the current task of `loop`, where it is known.
        groups: its open task groups, where it is.
        """
        self.seconds = seconds
        self.attempt_seconds = attempt_seconds
        self.loop = loop
        self._ended = False
        self.scope_id = UNKNOWN_SCOPE
        if loop is None:
            self._scope: CancelScope | None = None
            self.clock = clock or natural_time()
            self.at = self.clock() + seconds
            self._thread = get_ident()
            self._owner = task_or_loop()
        else:
            self._scope_at = at = loop.time() + seconds
            self.clock = clock or loop.time
            self.at = at if clock is None else clock() + seconds
            if task is None:
                task = loop.task()
                groups = loop.groups_of(task)
            self._owner = task
            self._groups = groups
            self._scope = loop.new_scope(deadline=at)

    def enter(self) -> None:
        """Put it in force."""
        if self._scope is not None:
            self._scope.__enter__()
        self._token: Token[AmbientDeadline | None] = ambient.set(self)

    def leave(self, error: BaseException | None) -> bool:
        """End it; return whether its scope cancelled the block."""
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
        """Return whether an inner deadline or scope is still open, so that it cannot be left yet."""
        if ambient.get() is not self:
            return True
        loop = self.loop
        return loop is not None and ((mark := self._known_mark(loop)) is None or loop.scope_id_of(self._owner) != mark)

    def disarm(self) -> bool:
        """Disarm it from now until it is left; return False where it has already started to cancel its block.

        It may be called from any task of the block.
        """
        scope = self._scope
        if scope is not None:
            if scope.cancel_called:
                return False
            scope.deadline = math.inf
        self.at = self.attempt_seconds = math.inf
        if ambient.get() is self:
            # The enclosing deadline is in force again while it stays open; in child tasks `in_force` looks further out.
            with suppress(ValueError):
                ambient.reset(self._token)
                self._token = ambient.set(ambient.get())
        return True

    @property
    def hidden(self) -> "AmbientDeadline | None":
        """The deadline that was innermost when it was entered."""
        old = self._token.old_value
        return old if isinstance(old, AmbientDeadline) else None

    def was_spent_queueing(self, error: BaseException | None) -> bool:
        """Return whether queues of this process used up the time before the callee had its fair share.

        Args:
            error: exception that ended the block.
        """
        queued = seconds_in_queues(self.clock, self.at - self.seconds - TIMER_SLACK)
        # The wait that ended it is among the recorded ones, unless another task waited.
        if queued == 0:
            return ended_in_queue(error)
        return not is_fair(self.seconds - queued, self.attempt_seconds)

    def remaining(self) -> float:
        """Return the seconds left, 0.0 once it has passed."""
        left = self.at - self.clock()
        return left if left > 0 else 0.0

    def passed(self, now: float) -> bool:
        """Return whether it has passed at `now`, by its own clock."""
        return now >= self.at - TIMER_SLACK

    def is_in_force_here(self) -> bool:
        """Return whether it is in force for the running code."""
        loop = self.loop
        if loop is not None:
            return loop.will_cancel_by(self._scope_at, self._owner, self._groups, self._known_mark(loop))
        return self._thread == get_ident() and (self._owner is None or task_or_loop() is self._owner)

    def here(self) -> "AmbientDeadline | None":
        """Return what is in force for the running code, even after it has passed: itself, its advisory form, or None.

        Before a call, `expired` follows where that has passed.
        """
        return self if self.scope_id.is_innermost() or self.is_in_force_here() else self.advisory_here()

    def _known_mark(self, loop: EventLoop) -> ScopeId | None:
        """Return the identity of its scope, looked up only once where it is exposed, as few scopes are asked for."""
        if self.scope_id is not UNKNOWN_SCOPE:
            return self.scope_id
        mark = None if self._scope is None else loop.id_of(self._scope, self._owner)
        if mark is not None:
            self.scope_id = mark
        return mark

    def expired(self) -> DeadlineExceeded:
        """Return the error of a call that must not be made, as the deadline has passed."""
        return DeadlineExceeded(self.seconds, before_call=True)

    def time_of_call(self) -> float:
        """Return the time by its clock, for a call that is made now.

        Raises:
            DeadlineExceeded: it has passed while the call waited, such as in a loop that was blocked meanwhile.
        """
        now = self.clock()
        if now >= self.at:
            raise self.expired()
        return now

    def advisory_here(self) -> "AmbientDeadline | None":
        """Return its advisory form where a task inside its scope awaits the running code, even after it has passed.

        None elsewhere.
        """
        if self._ended or not is_joined(self._scope):
            return None
        clock = self.clock
        if self.loop is not None and clock == self.loop.time:
            clock = clock_of(self._owner) or clock
        return _AdvisoryDeadline(self, clock)


class _AdvisoryDeadline(AmbientDeadline):
    """A deadline as seen by code outside of its scope; it cancels nothing."""

    __slots__ = ()

    def __init__(self, origin: AmbientDeadline, clock: TimeSource) -> None:
        self.seconds = origin.seconds
        self.attempt_seconds = origin.attempt_seconds
        self.at = origin.at
        self.clock = clock
        self.loop = None
        self.scope_id = UNKNOWN_SCOPE
        self._scope = None


def is_fair(seconds: float, attempt_timeout: float) -> bool:
    """Return whether `seconds` are a callee's fair share: half of the attempt timeout, at most one second."""
    return seconds >= min(attempt_timeout / 2, LONGEST_FAIR_SHARE) - TIMER_SLACK


ambient: ContextVar[AmbientDeadline | None] = bind_to_group(ContextVar("cqox_ambient_deadline", default=None), None)
"""The innermost deadline, in force or not; use `in_force` to check."""


PASSES: Final = object.__new__(AmbientDeadline)
"""The sign, in place of the deadline of a call, that the call passes without its parts."""

passing.install(ambient.get, lambda: PASSES)


def unexpired() -> AmbientDeadline | None:
    """Return the deadline in force before a call; None where there is none, or where calls pass without their parts.

    Raises:
        DeadlineExceeded: it has passed; the callee must not be called.
    """
    innermost = ambient.get()
    if innermost is None or passing.on:
        return None
    deadline = innermost.here()
    if deadline is not None and deadline.clock() >= deadline.at:
        raise deadline.expired()
    return deadline


def in_force() -> AmbientDeadline | None:
    """Return the deadline in force here; None where there is none."""
    innermost = ambient.get()
    while innermost is not None and innermost.at == math.inf and innermost.hidden is not None:
        innermost = innermost.hidden  # a disarmed deadline
    if innermost is None or innermost.is_in_force_here():
        return innermost
    return innermost.advisory_here()
