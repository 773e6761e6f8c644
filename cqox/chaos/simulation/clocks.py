"""Clocks of simulated processes: each can be off, drift, and step."""

from contextvars import ContextVar

import trio

__all__ = ["SimulatedTime", "Skew", "current_skew"]

_EPOCH = 1_767_225_600.0
"""Time of day at the start of each run: 2026-01-01 UTC, in seconds since 1970."""


class Skew:
    """The clock of one process: its time of day may be off the true one, and its monotonic time only drifts.

    Attributes:
        offset: seconds by which it is ahead.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.offset = 0.0
        self._rate = 1.0
        self._since = now
        self._elapsed = now

    def drift(self, rate: float, now: float) -> None:
        """Let time pass at this rate from now on, in seconds of the process per true second.

        Raises:
            ValueError: the rate is not positive.
        """
        if rate <= 0:
            raise ValueError(f"time passes at a positive rate, not {rate}")
        self._elapsed, self._since, self._rate = self.elapsed(now), now, rate

    def step(self, seconds: float) -> None:
        """Set the time of day forward by these seconds, or back if they are negative."""
        self.offset += seconds

    def elapsed(self, now: float) -> float:
        """Return the seconds that the process counts since the start of the run."""
        return self._elapsed + (now - self._since) * self._rate


current_skew: ContextVar[Skew | None] = ContextVar("current_skew", default=None)
"""The clock of the process that the running task belongs to."""


class SimulatedTime:
    """The time source of a run, for `cqox.clock`: each process reads its own clock.

    Args:
        began: Trio's time at the start of the run.
    """

    def __init__(self, began: float) -> None:
        self._began = began

    def elapsed(self) -> float:
        """Return the true seconds since the start of the run."""
        return trio.current_time() - self._began

    def monotonic(self) -> float:
        """Return the seconds since the start, as the running process counts them."""
        skew = current_skew.get()
        return self.elapsed() if skew is None else skew.elapsed(self.elapsed())

    def time(self) -> float:
        """Return the time of day, as the running process reads it, in seconds since 1970."""
        skew = current_skew.get()
        now = self.elapsed()
        return _EPOCH + (now if skew is None else skew.elapsed(now) + skew.offset)
