"""Rate limit with a burst, to keep to the rate that a dependency allows.

Limits on concurrency are in `bulkhead`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import NoReturn

from cqox.errors import RateLimited
from cqox.resilience.limits.gcra import Gcra
from cqox.resilience.pipeline.part import Gate, Permit
from cqox.resilience.pipeline.tally import AdmissionTally, Tally
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.event_loop import task_or_loop
from cqox.resilience.runtime.queueing import QueueWait
from cqox.resilience.runtime.ranges import Seconds, check_count, check_name, check_seconds
from cqox.resilience.runtime.token_bucket import check_rate

__all__ = ["RateLimit", "RateLimitSnapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSnapshot:
    """Snapshot of a rate limit; the totals cover its lifetime.

    Attributes:
        name: name of the limit.
        available: calls that it would admit now, including fractions; below 0 where calls wait.
        admitted: admitted calls.
        rejected: rejected calls.
        abandoned: calls that were cancelled while they waited.
    """

    name: str
    available: float
    admitted: int
    rejected: int
    abandoned: int


class RateLimit(Gate):
    """A rate limit: it admits `calls` per `seconds`, evenly spaced, with a burst of `burst`, full at the start.

    An early call waits for its turn if that takes at most `max_wait` seconds and no longer than the deadline; otherwise
    it is rejected with `RateLimited`, whose `retry_after` is the time to its turn. Turns are reserved in order of
    arrival. A cancellation of a waiting call cancels its turn, which the next arrival takes; calls that already wait
    keep their turns.
    """

    __slots__ = ("_clock", "_gcra", "_lock", "_max_wait", "_tally", "name")

    def __init__(
        self,
        calls: int,
        seconds: Seconds = 1.0,
        *,
        burst: int | None = None,
        max_wait: Seconds = 0.0,
        name: str = "rate limit",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a limit.

        Args:
            calls: calls per period, at least 1.
            seconds: length of the period in seconds or as a `timedelta`, above 0.
            burst: calls admitted at once after an idle time, at least 1; `calls` by default.
            max_wait: the longest wait of a call for its turn, likewise, from 0.
            name: its name in rejections.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        rate = _rate_per_second(calls, seconds)
        capacity = _burst(calls if burst is None else burst)
        self.name = check_name(name)
        self._max_wait = check_seconds("max_wait", max_wait, infinite=True)
        self._clock = bind_clock(f"RateLimit {name!r}", clock)
        self._lock = Lock()
        self._gcra = Gcra(rate, capacity)
        self._tally = AdmissionTally()

    def renew(self) -> None:
        """See `Part.renew`."""
        self._clock = self._clock.unbound()
        self._lock = Lock()
        self._gcra = Gcra(self._gcra.rate, self._gcra.capacity)
        self._tally = AdmissionTally()

    def tally(self) -> Tally:
        """See `Part.tally`."""
        return self._tally

    def admit(self, deadline: AmbientDeadline | None) -> Permit | None:
        """Admit the call if a turn is available now; return None where it may wait for one.

        Raises:
            RateLimited: no turn is available and the call may not wait.
        """
        now = self._clock.checked_now()
        with self._lock:
            if self._gcra.take(now):
                self._tally.admitted += 1
                return _PERMIT
        if self._max_wait == 0:
            self._refuse(now)
        return None

    async def admit_waiting(self, deadline: AmbientDeadline | None) -> Permit:
        """Wait for the turn of this call.

        Raises:
            RateLimited: the turn would come too late.
        """
        turn, wait = self._reserve(deadline)
        if wait > 0:
            try:
                with QueueWait(self._clock, None if deadline is None else deadline.clock):
                    await self._clock.sleep_async(wait)
            except BaseException:
                self._cancel_turn(turn)
                raise
        return _PERMIT

    def admit_blocking(self, deadline: AmbientDeadline | None) -> Permit:
        """Block this thread until the turn of this call, unless the thread runs an event loop.

        Raises:
            RateLimited: as for `admit_waiting`, or this thread runs an event loop.
        """
        if task_or_loop() is not None:
            self._refuse(self._clock.checked_now())
        turn, wait = self._reserve(deadline)
        if wait > 0:
            try:
                with QueueWait(self._clock, None if deadline is None else deadline.clock):
                    self._clock.sleep(wait)
            except BaseException:
                self._cancel_turn(turn)
                raise
        return _PERMIT

    def reconfigure(
        self,
        *,
        calls: int | None = None,
        seconds: Seconds | None = None,
        burst: int | None = None,
        max_wait: Seconds | None = None,
    ) -> None:
        """Change the rate; `calls` and `seconds` go together, and None leaves any other setting unchanged.

        Raises:
            ValueError: a setting is out of its range, or one of `calls` and `seconds` is missing; none is changed.
        """
        self.prepare(calls=calls, seconds=seconds, burst=burst, max_wait=max_wait)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        calls, seconds, burst, wait = (changes.get(name) for name in ("calls", "seconds", "burst", "max_wait"))
        if (calls is None) != (seconds is None):
            raise ValueError(f"calls and seconds must be given together, not {calls!r} and {seconds!r}")
        rate, capacity = self._gcra.rate, self._gcra.capacity
        if calls is not None:
            rate = _rate_per_second(calls, seconds)
        if burst is not None:
            capacity = _burst(burst)
        longest = self._max_wait if wait is None else check_seconds("max_wait", wait, infinite=True)
        # A clock that cannot be used here must fail before any other part is changed.
        self._clock.checked_now()

        def change() -> None:
            self._resize(longest, rate, capacity)
            for limit in self.with_twins()[1:]:
                limit._resize(longest, rate, capacity)

        return change

    def snapshot(self) -> RateLimitSnapshot:
        """Return the available calls and the totals."""
        now = self._clock.peek()
        with self._lock:
            return RateLimitSnapshot(
                name=self.name,
                available=self._gcra.level(now),
                admitted=self._tally.admitted,
                rejected=self._tally.rejected,
                abandoned=self._tally.abandoned,
            )

    def describe(self) -> str:
        """See `Part.describe`."""
        gcra = self._gcra
        return (
            f"rate limit: {gcra.rate:g} calls per second, {gcra.capacity:g} at once, "
            f"each waiting up to {self._max_wait:g} s"
        )

    def _resize(self, longest: float, rate: float, capacity: float) -> None:
        now = self._clock.checked_now()
        with self._lock:
            self._max_wait = longest
            self._gcra.resize(now, rate=rate, capacity=capacity)

    def _reserve(self, deadline: AmbientDeadline | None) -> tuple[float, float]:
        now = self._clock.checked_now()
        longest = self._max_wait if deadline is None else min(self._max_wait, deadline.remaining())
        with self._lock:
            turn = self._gcra.reserve(now, longest)
            self._tally.admitted += turn is not None
        if turn is None:
            self._refuse(now)
        return turn, turn - now

    def _refuse(self, now: float) -> NoReturn:
        with self._lock:
            self._tally.rejected += 1
            retry_after = self._gcra.seconds_until(now)
        self.refuse(RateLimited(self.name, retry_after=retry_after), self._clock.peek)

    def _cancel_turn(self, turn: float) -> None:
        now = self._clock.now()
        with self._lock:
            self._gcra.cancel(now, turn)
            self._tally.admitted -= 1
            self._tally.abandoned += 1


def _rate_per_second(calls: object, seconds: object) -> float:
    return check_rate("calls", check_count("calls", calls)) / check_seconds("seconds", seconds, zero=False)


def _burst(calls: object) -> float:
    return check_rate("burst", check_count("burst", calls))


_PERMIT = Permit()
"""Permit of an admitted call; nothing is released when the call ends."""
