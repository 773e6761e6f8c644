"""States, modes and outcomes as an operator sees them, their totals, and the snapshot of a circuit."""

from dataclasses import dataclass
from enum import StrEnum

from cqox.resilience.runtime.atomic_counter import AtomicCounter

__all__ = ["CircuitMode", "CircuitSnapshot", "CircuitState", "Outcome", "Totals"]


class CircuitState(StrEnum):
    """State of a circuit."""

    CLOSED = "closed"
    """Calls pass. A disabled circuit reports this too."""
    OPEN = "open"
    """Calls are rejected until the recovery timeout is over. An isolated circuit reports this too."""
    HALF_OPEN = "half_open"
    """Probes pass."""


class Outcome(StrEnum):
    """Outcome of a call, as classified by a circuit. Every call has exactly one outcome."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"
    """An exception that says nothing about the dependency."""
    CANCELLED = "cancelled"
    """Neither success nor failure: the call was cancelled from outside."""
    REJECTED = "rejected"
    """The call was not admitted."""
    STALE = "stale"
    """The result arrived after the circuit had changed its state."""


class CircuitMode(StrEnum):
    """Mode of a circuit: automatic, or forced by an operator."""

    NORMAL = "normal"
    ISOLATED = "isolated"
    DISABLED = "disabled"
    OBSERVE_ONLY = "observe_only"


class Totals:
    """Lifetime totals of outcomes; the owner's lock guards all but `quiet` and `turned_away`.

    Attributes:
        quiet: successes counted without the lock, as they could not change the state; not included in `success`.
        turned_away: rejections counted without the lock; not included in `rejected`.
    """

    __slots__ = ("cancelled", "failure", "ignored", "quiet", "rejected", "stale", "success", "turned_away")

    def __init__(self) -> None:
        self.quiet = AtomicCounter()
        self.turned_away = AtomicCounter()
        self.success = self.failure = self.ignored = self.cancelled = self.rejected = self.stale = 0

    def count(self, outcome: Outcome) -> None:
        """Count one call with this outcome."""
        if outcome is Outcome.SUCCESS:
            self.success += 1
        elif outcome is Outcome.FAILURE:
            self.failure += 1
        elif outcome is Outcome.IGNORED:
            self.ignored += 1
        elif outcome is Outcome.CANCELLED:
            self.cancelled += 1
        elif outcome is Outcome.REJECTED:
            self.rejected += 1
        else:
            self.stale += 1

    def of(self, outcome: Outcome) -> int:
        """Return the number of calls with this outcome, those counted without the lock included."""
        counted: int = getattr(self, outcome.value)
        if outcome is Outcome.SUCCESS:
            return counted + self.quiet.value()
        return counted + self.turned_away.value() if outcome is Outcome.REJECTED else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitSnapshot:
    """Snapshot of a circuit; the totals cover its lifetime.

    Attributes:
        name: name of the circuit.
        state: its state.
        mode: automatic, or forced by an operator.
        retry_after: seconds until a probe may pass, 0.0 where calls pass or no probe ever will.
        recent_calls: calls in its window; 0 where it counts consecutive failures.
        recent_failures: failures in its window, or consecutive failures.
        recent_slow: slow calls in its window.
        success: calls that succeeded.
        failure: calls that failed.
        ignored: calls that raised an exception that does not count.
        cancelled: calls that were cancelled from outside.
        rejected: calls that were rejected.
        stale: calls whose result arrived after a change of state.
    """

    name: str
    state: CircuitState
    mode: CircuitMode
    retry_after: float
    recent_calls: int
    recent_failures: int
    recent_slow: int
    success: int
    failure: int
    ignored: int
    cancelled: int
    rejected: int
    stale: int

    @property
    def calls(self) -> int:
        """Number of all ended calls: the sum of the six totals."""
        return self.success + self.failure + self.ignored + self.cancelled + self.rejected + self.stale
