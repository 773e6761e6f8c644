"""Rejection of calls by an open circuit until its recovery timeout is over, without a look at its state or its lock."""

from typing import Final

from cqox.errors import CircuitOpen
from cqox.resilience.circuit.statistics import Totals
from cqox.resilience.runtime.clock import TimeSource

__all__ = ["ROUNDING", "OpenUntil"]

ROUNDING: Final = 1e-9
"""Rounding of sums in seconds: a clock advanced ten times by 0.1 s must have reached 1 s."""


class OpenUntil:
    """The standing refusal of an open circuit."""

    __slots__ = ("_at", "_count", "_name", "_now")

    def __init__(self, name: str, now: TimeSource, at: float, totals: Totals) -> None:
        """Args:
        name: name of the circuit.
        now: its clock, which needs no check.
        at: end of the recovery timeout, by that clock.
        totals: count the rejections.
        """
        self._name = name
        self._now = now
        self._at = at
        self._count = totals.turned_away.add

    def seconds_left(self) -> float:
        """See `StandingRefusal.seconds_left`."""
        left = self._at - self._now()
        if left <= ROUNDING:
            return 0.0
        self._count()
        return left

    def rejection(self, seconds_left: float) -> CircuitOpen:
        """See `StandingRefusal.rejection`."""
        # What the constructor does, at half of its cost: an outage makes a great many of them.
        rejection = CircuitOpen.__new__(CircuitOpen, self._name)
        rejection.policy = self._name
        rejection.retry_after = seconds_left
        return rejection
