"""Rejection of calls by an open circuit until its recovery timeout is over, without a look at its state or its lock."""

from typing import Final

from cqox.errors import CircuitOpen
from cqox.resilience.circuit.statistics import Totals
from cqox.resilience.pipeline.permit import StandingRefusal
from cqox.resilience.runtime.clock import TimeSource

__all__ = ["ROUNDING", "OpenUntil"]

_new = CircuitOpen.__new__

ROUNDING: Final = 1e-9
"""Rounding of sums in seconds: a clock advanced ten times by 0.1 s must have reached 1 s."""


class OpenUntil(StandingRefusal):
    """The standing refusal of an open circuit."""

    __slots__ = ("_at", "_count", "_name")

    def __init__(self, name: str, now: TimeSource, at: float, totals: Totals) -> None:
        """Args:
        name: name of the circuit.
        now: its clock, which needs no check.
        at: end of the recovery timeout, by that clock.
        totals: count the rejections.
        """
        self._name = name
        self.now = now
        self._at = at
        self.until = at - ROUNDING
        self._count = totals.turned_away.add

    def rejection(self, now: float) -> CircuitOpen:
        """See `StandingRefusal.rejection`."""
        self._count()
        name = self._name
        # What the constructor does, at half of its cost: an outage makes a great many of them.
        rejection = _new(CircuitOpen, name)
        rejection.policy = name
        rejection.retry_after = self._at - now
        return rejection
