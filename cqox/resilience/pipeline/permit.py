"""What an admitted call holds, and what a stage asks to get it."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from cqox.resilience.runtime.ambient_deadline import LONGEST_FAIR_SHARE, Ambient, is_fair
from cqox.resilience.runtime.queueing import ended_in_queue, seconds_in_queues

__all__ = ["LONGEST_FAIR_SHARE", "NO_RESULT", "Admission", "Permit", "TimeSpent", "seconds_at_work"]


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """The time that a callee had before its call ended.

    Attributes:
        deadline: the one that was in force.
        seconds: how long the callee was at work, without the time in queues of this process; 0 where it ended in one.
        attempt_timeout: how long an attempt may take, infinite where nothing says it.
    """

    deadline: Ambient
    seconds: float
    attempt_timeout: float

    @property
    def was_fair(self) -> bool:
        """True where the callee had its fair share: half of the attempt timeout, at most one second."""
        return is_fair(self.seconds, min(self.attempt_timeout, self.deadline.attempt_seconds))

    @property
    def is_over(self) -> bool:
        """True at and after the deadline."""
        return self.deadline.passed(self.deadline.clock())


def seconds_at_work(deadline: Ambient, began: float, error: BaseException) -> float:
    """Seconds for which a callee was at work that was called at `began`; 0.0 where `error` ended it in a queue."""
    if ended_in_queue(error):
        return 0.0
    return max(0.0, deadline.clock() - began - seconds_in_queues(deadline.clock, began))


class _NoResult:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_RESULT"


NO_RESULT: Final = _NoResult()
"""The value with which a permit succeeds where there is none to look at: a block, a stream, an opened context."""


class Permit:
    """What a gate hands to one admitted call. Exactly one of `succeed`, `fail` and `fail_within_deadline` is called,
    once.

    A gate that needs nothing to be remembered for one call may hand out the same permit to all.
    """

    __slots__ = ()

    lasting: ClassVar[bool] = False
    """True where a guarded context keeps it until its block ends: a slot does, a verdict on the opening does not."""

    contextual: ClassVar[bool] = False
    """True where it keeps something in force in the context of its call, in which it must be settled."""

    single_attempt: bool = False
    """True where the call may make one attempt only, as a probe."""

    def succeed(self, value: object) -> None:
        """The call returned `value`."""

    def fail(self, error: BaseException) -> None:
        """The call ended with `error`: an exception, a cancellation, or the rejection of a part further in."""

    def fail_within_deadline(self, spent: "TimeSpent", error: BaseException) -> None:
        """The same as `fail`, for a call that was under way in a deadline."""
        self.fail(error)

    def is_current(self) -> bool:
        """False once the gate has changed its mind since the admission; a retry then gives up at once."""
        return True


class Admission(Protocol):
    """What a stage asks at the start of a call. Most gates are their own admission."""

    def admit(self, deadline: Ambient | None) -> Permit | None:
        """Let the call in now.

        Args:
            deadline: the one in force, already looked up.

        Returns:
            The permit; None where the call would have to wait.

        Raises:
            Rejected: it may not go on.
        """
        ...

    async def admit_waiting(self, deadline: Ambient | None) -> Permit:
        """Let the call in, waiting for that; called after `admit` returned None.

        A cancellation while it waits leaves nothing behind.
        """
        ...

    def admit_blocking(self, deadline: Ambient | None) -> Permit:
        """The same for a thread, which waits no longer than the deadline."""
        ...
