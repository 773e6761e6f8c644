"""Permits of admitted calls, and the admissions that grant them."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from cqox.resilience.runtime.ambient_deadline import LONGEST_FAIR_SHARE, Ambient, is_fair
from cqox.resilience.runtime.queueing import ended_in_queue, seconds_in_queues

__all__ = ["LONGEST_FAIR_SHARE", "NO_RESULT", "Admission", "Permit", "TimeSpent", "seconds_at_work"]


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """The time that a callee had before its call ended.

    Attributes:
        deadline: the deadline that was in force.
        seconds: time in the callee, without the time in queues of this process; 0 where the call ended in a queue.
        attempt_timeout: timeout of one attempt in seconds, infinite where there is none.
    """

    deadline: Ambient
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


def seconds_at_work(deadline: Ambient, began: float, error: BaseException) -> float:
    """Return the seconds that a callee called at `began` took; 0.0 where `error` ended it in a queue."""
    if ended_in_queue(error):
        return 0.0
    return max(0.0, deadline.clock() - began - seconds_in_queues(deadline.clock, began))


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


class Admission(Protocol):
    """Grants permits at the start of a call. Most gates are their own admission."""

    def admit(self, deadline: Ambient | None) -> Permit | None:
        """Admit the call without waiting.

        Args:
            deadline: the deadline in force, already looked up.

        Returns:
            The permit; None where the call would have to wait.

        Raises:
            Rejected: the call is not admitted.
        """
        ...

    async def admit_waiting(self, deadline: Ambient | None) -> Permit:
        """Admit the call after waiting; called where `admit` returned None.

        A cancellation while it waits leaves no state behind.
        """
        ...

    def admit_blocking(self, deadline: Ambient | None) -> Permit:
        """Synchronous twin of `admit_waiting`; the thread waits no longer than the deadline."""
        ...
