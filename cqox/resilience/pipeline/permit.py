"""Permits of admitted calls, and the admissions that grant them."""

import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, Protocol, cast

from cqox.errors import DeadlineExceeded, Rejected
from cqox.resilience.pipeline.results import UnwantedResult
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline, is_fair
from cqox.resilience.runtime.queueing import ended_in_queue, seconds_in_queues

__all__ = [
    "NO_RESULT",
    "NO_STANDING_PERMIT",
    "Admission",
    "Permit",
    "StandingPermit",
    "StandingRefusal",
    "TimeSpent",
    "TimedGrant",
    "fail_permits",
    "is_timeout_or_cancellation",
    "time_of_call",
    "time_spent",
]


class TimeSpent(NamedTuple):
    """The time that a callee had before its call ended.

    Attributes:
        deadline: the deadline that was in force.
        seconds: time in the callee, without the time in queues and pauses of this process.
        attempt_timeout: timeout of one attempt in seconds, infinite where there is none.
    """

    deadline: AmbientDeadline
    seconds: float
    attempt_timeout: float

    @property
    def was_fair(self) -> bool:
        """True if the callee had its fair share: half of the attempt timeout, at most one second."""
        return is_fair(self.seconds, min(self.attempt_timeout, self.deadline.attempt_seconds))

    @property
    def is_over(self) -> bool:
        """True once the deadline has passed."""
        return self.deadline.passed(self.deadline.clock())


def time_of_call(deadline: AmbientDeadline, permit: "Permit") -> float:
    """Return the time at which an admitted call is made; where its deadline has passed meanwhile, settle `permit`.

    Raises:
        DeadlineExceeded: the call must not be made.
    """
    try:
        return deadline.time_of_call()
    except DeadlineExceeded as error:
        permit.fail(error)
        raise


def time_spent(
    deadline: AmbientDeadline | None, began: float | None, attempt_timeout: float, error: BaseException
) -> TimeSpent | None:
    """Return the time that a callee called at `began` took until it raised `error`, without queues and pauses inside.

    None where it was not called or no deadline is in force.
    """
    if deadline is None or began is None:
        return None
    queued = seconds_in_queues(deadline.clock, began)
    # The wait that `error` ended is among the recorded ones, unless another task waited.
    nothing = queued == 0 and ended_in_queue(error)
    seconds = 0.0 if nothing else max(0.0, deadline.clock() - began - queued)
    return TimeSpent(deadline, seconds, attempt_timeout)


def is_timeout_or_cancellation(error: BaseException) -> bool:
    """Return whether `error` is a cancellation of asyncio or Trio, a deadline, or a group of only these."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_timeout_or_cancellation, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    if isinstance(error, DeadlineExceeded):
        return True
    # Neither loop is imported here; who raises the cancellation of asyncio has imported it.
    asyncio: Any = sys.modules.get("asyncio.exceptions")
    if asyncio is not None and isinstance(error, asyncio.CancelledError):
        return True
    kind = type(error)
    return kind.__name__ == "Cancelled" and kind.__module__.partition(".")[0] == "trio"


class _NoResult:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_RESULT"


NO_RESULT: Final = _NoResult()
"""Placeholder value for a permit that succeeds without a result: a block, a stream, an opened context."""


class Permit:
    """A gate's permit for one admitted call. Exactly one of its outcome methods is called, exactly once.

    The outcome methods are `succeed`, `fail` and `fail_within_deadline`. A gate that keeps no state per call may hand
    the same permit to all calls.
    """

    __slots__ = ()

    lasting: ClassVar[bool] = False
    """True if a guarded context keeps the permit until its block ends, as for a slot."""

    contextual: ClassVar[bool] = False
    """True if the permit sets context variables, so that it must be settled in the context of its call."""

    single_attempt: bool = False
    """True if the call may make only one attempt, as a probe."""

    def succeed(self, value: object) -> None:
        """Record that the call returned `value`."""

    def fail(self, error: BaseException) -> None:
        """Record that the call ended with `error`: an exception, a cancellation, or an inner part's rejection."""

    def fail_within_deadline(self, spent: "TimeSpent", error: BaseException) -> None:
        """Record a failure of a call that ran under a deadline."""
        self.fail(error)

    def is_current(self) -> bool:
        """Return False once the gate has changed its state since the admission; a retry then gives up."""
        return True


class StandingRefusal:
    """Rejects every call for some time.

    Attributes:
        now: the clock of `until`.
        until: time from which the gate decides about each call again.
    """

    __slots__ = ("now", "until")

    now: Callable[[], float]
    until: float

    def rejection(self, now: float) -> Rejected:
        """Count a call that is rejected at `now`, and build a new exception for it."""
        raise NotImplementedError


class TimedGrant:
    """Admits every call, whose outcome depends on when the call began; the caller keeps that time.

    Attributes:
        now: the clock by which a call begins.
    """

    __slots__ = ("now",)

    now: Callable[[], float]

    def permit(self, began: float) -> Permit:
        """Return the permit of a call that began at `began`."""
        raise NotImplementedError

    def succeed(self, began: float, value: object) -> None:
        """Record that a call returned `value`, as its permit would, without making one."""
        raise NotImplementedError


class StandingPermit:
    """A place for what a gate says to every call at present; a stage looks here before it asks the gate.

    Attributes:
        permit: the permit that all calls share, None where there is none.
        grant: admits calls that need their times, None where the gate decides.
        refusal: how it rejects calls, None where it does not; the gate alone emits events.
    """

    __slots__ = ("grant", "permit", "refusal")

    def __init__(self) -> None:
        self.permit: Permit | None = None
        self.grant: TimedGrant | None = None
        self.refusal: StandingRefusal | None = None

    def clear(self) -> None:
        """Let the gate decide about each call from now on."""
        self.permit = self.grant = self.refusal = None


NO_STANDING_PERMIT: Final = StandingPermit()
"""That of the gates that decide about each call; it stays empty."""


def fail_permits(held: list[Permit], base: int, error: BaseException, spent: TimeSpent | None = None) -> None:
    """Settle the permits above `base` as failed, all of them even if one raises; an `UnwantedResult` is a success.

    Args:
        held: permits of the call; it is truncated to `base`.
        base: number of permits that stay.
        error: exception that ended the call or the attempt.
        spent: time that the callee had, where a deadline is in force.
    """
    try:
        while len(held) > base:
            permit = held.pop()
            if isinstance(error, UnwantedResult):
                permit.succeed(error.value)
            elif spent is None:
                permit.fail(error)
            else:
                permit.fail_within_deadline(spent, error)
    finally:
        if len(held) > base:
            fail_permits(held, base, error, spent)


class Admission(Protocol):
    """Grants permits at the start of a call. Most gates are their own admission."""

    @property
    def standing(self) -> StandingPermit:
        """The place of its answer to every call, as long as there is one: what `admit` would return or raise."""
        ...

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """Admit the call without waiting.

        Args:
            deadline: the deadline in force, already looked up.

        Returns:
            The permit; None where the call would have to wait.

        Raises:
            Rejected: the call is not admitted.
        """
        ...

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """Admit the call after waiting; called where `admit` returned None.

        A cancellation while it waits leaves no state behind.
        """
        ...

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """Synchronous twin of `admit_waiting`; the thread waits no longer than the deadline."""
        ...
