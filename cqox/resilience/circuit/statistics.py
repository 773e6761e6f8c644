"""How calls ended, counted, and what a circuit tells about itself."""

from dataclasses import dataclass
from enum import StrEnum

from cqox.resilience.circuit.state import CircuitState
from cqox.resilience.runtime.atomic_counter import AtomicCounter

__all__ = ["CircuitMode", "CircuitSnapshot", "Outcome", "Totals"]


class Outcome(StrEnum):
    """How a call ended, as a circuit sees it. Every call ends in exactly one of these ways."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"
    """An exception that says nothing about the dependency."""
    CANCELLED = "cancelled"
    """No verdict: it was ended from outside."""
    REJECTED = "rejected"
    """It was not let in."""
    STALE = "stale"
    """Its result came when the circuit had moved on."""


class CircuitMode(StrEnum):
    """Whether a circuit decides by itself."""

    NORMAL = "normal"
    ISOLATED = "isolated"
    DISABLED = "disabled"
    OBSERVE_ONLY = "observe_only"


class Totals:
    """Ends of calls since the circuit was made; the owner's lock guards all but `quiet`.

    Attributes:
        quiet: successes that changed nothing else, which are not among `success`.
    """

    __slots__ = ("cancelled", "failure", "ignored", "quiet", "rejected", "stale", "success")

    def __init__(self) -> None:
        self.quiet = AtomicCounter()
        self.success = self.failure = self.ignored = self.cancelled = self.rejected = self.stale = 0

    def count(self, outcome: Outcome) -> None:
        """One more call ended like this."""
        name = outcome.value
        setattr(self, name, getattr(self, name) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitSnapshot:
    """A circuit at one moment; the totals are those since it was made.

    Attributes:
        name: name of the circuit.
        state: whether calls go through.
        mode: whether it decides by itself.
        retry_after: seconds until a probe may go through, 0.0 where calls go through or none ever will.
        recent_calls: calls in its window; 0 where it counts failures in a row.
        recent_failures: failures in its window, or in a row.
        recent_slow: slow calls in its window.
        success: calls that succeeded.
        failure: calls that failed.
        ignored: calls that ended with an exception that does not count.
        cancelled: calls that were ended from outside.
        rejected: calls that were refused.
        stale: calls whose result came too late to count.
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
        """All calls that have ended: the sum of the six totals."""
        return self.success + self.failure + self.ignored + self.cancelled + self.rejected + self.stale
