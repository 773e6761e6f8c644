"""Clocks of the parts: reading the time and sleeping.

The default is `time.monotonic`, or the simulated clock in effect: that of a Trio run with another clock than the
system's, or that of an asyncio loop with virtual time (`cqox.resilience.testing`). An explicit clock takes precedence.
"""

import math
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import anyio

from cqox.resilience.runtime.event_loop import natural_time

__all__ = ["BoundClock", "Clock", "TimeSource", "bind_clock", "natural_time"]

type TimeSource = Callable[[], float]
"""Returns the time in seconds; only differences mean anything, and it never goes back."""


@runtime_checkable
class Clock(Protocol):
    """A clock that also sleeps, such as `cqox.resilience.testing.FakeClock`."""

    def now(self) -> float:
        """Return the time in seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds`."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Pause this task for `seconds`."""
        ...


class BoundClock:
    """The clock of one stateful object, bound on first use.

    Attributes:
        now: returns the time; replaced by the time source itself once bound, so that reading costs one call.
        is_certain: True where a time needs no check: of an explicit clock, or of the system's, which never stops.
    """

    __slots__ = ("_clock", "_owner", "_source", "is_certain", "now")

    def __init__(self, owner: str, clock: Clock | TimeSource | None = None) -> None:
        """Args:
        owner: the stateful object, for messages.
        clock: its explicit clock; None for the default one.
        """
        self._owner = owner
        self._clock = clock
        self._source: TimeSource | None = None
        self.is_certain = clock is not None
        self.now: TimeSource = self.checked_now
        if clock is not None:
            self._source = self.now = clock.now if isinstance(clock, Clock) else clock

    def checked_now(self) -> float:
        """Return the time after checking that the clock in effect is the one bound on first use.

        Raises:
            RuntimeError: it is another clock, so that stored times would be meaningless.
        """
        source = self._source
        if self._clock is None:
            natural = natural_time()
            if natural is not source:
                self._bind(source, natural)
            return natural()
        # Not `now`: a thread that binds or releases it at this moment may have left this very method there.
        assert source is not None
        return source()

    def _bind(self, source: TimeSource | None, natural: TimeSource) -> None:
        if source is None:
            self._source = self.now = natural
            self.is_certain = natural is time.monotonic
        elif source != natural:
            raise RuntimeError(
                f"{self._owner} is bound to {_name(source)} since its first use and cannot be used under "
                f"{_name(natural)}: make one for each clock, pass clock=, or reset() it"
            )

    def peek(self) -> float:
        """Return the time without binding the clock; NaN where the bound clock cannot be read here."""
        try:
            return (self._source or natural_time())()
        except RuntimeError:
            return math.nan

    def source(self) -> TimeSource:
        """Return its time source, without binding it."""
        return self._source or natural_time()

    def unbound(self) -> "BoundClock":
        """Return the clock of another object of the same owner, not bound yet unless it is an explicit one."""
        return BoundClock(self._owner, self._clock)

    def release(self) -> None:
        """Unbind a clock that was bound on first use, after a reset of its owner."""
        if self._clock is None:
            self._source, self.now, self.is_certain = None, self.checked_now, False

    def sleep(self, seconds: float) -> None:
        """Block this thread for `seconds` of this clock."""
        if isinstance(self._clock, Clock):
            self._clock.sleep(seconds)
        else:
            time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Pause this task for `seconds` of this clock; a cancellation ends the pause."""
        if isinstance(self._clock, Clock):
            await self._clock.sleep_async(seconds)
        else:
            await anyio.sleep(seconds)


def bind_clock(owner: str, clock: Clock | TimeSource | None) -> BoundClock:
    """Create the clock of `owner`.

    Raises:
        ValueError: `clock` is neither a clock nor a function that returns the time, or the class of a clock.
    """
    if isinstance(clock, type):
        raise ValueError(f"clock must be an object, not the class {clock.__name__}: write {clock.__name__}()")
    if clock is not None and not isinstance(clock, Clock) and not callable(clock):
        raise ValueError(f"clock must have now() or be a function that returns seconds, not {clock!r}")
    return BoundClock(owner, clock)


def _name(source: TimeSource) -> str:
    owner = getattr(source, "__self__", None)
    name = getattr(source, "__name__", repr(source))
    if owner is None or type(owner).__name__ == "module":
        return f"{getattr(source, '__module__', None) or 'time'}.{name}"
    return f"{type(owner).__name__}.{name} of {owner!r}"
