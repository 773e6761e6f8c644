"""Health of a closed circuit: consecutive failures, and failure rates over sliding windows of calls or seconds.

Pure, with time as an argument, O(1) per outcome.
"""

import math
from collections import deque
from dataclasses import dataclass

from cqox.resilience.runtime.atomic_counter import AtomicCounter
from cqox.resilience.runtime.ranges import Seconds, check_count, check_seconds, check_share

__all__ = ["ConsecutiveFailures", "CountWindow", "FailureRate", "Health", "TimeWindow", "Window", "new_window"]


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class FailureRate:
    """A failure rate over a sliding window that opens a circuit when too many calls failed or were slow.

    Attributes:
        rate: failure rate that opens the circuit, above 0 and at most 1; compared with ≥.
        window: size of the window in calls, at least 1; 100 where `seconds` is not given either.
        seconds: size of the window in seconds instead, above 0.
        minimum_calls: calls in the window before the rate is evaluated, at least 1; capped at `window`.
        slow_call_seconds: duration from which a call is slow, failed or not; None counts no slow calls. A slow probe
            opens the circuit again.
        slow_call_rate: rate of slow calls that opens the circuit, above 0 and at most 1; compared with ≥.

    Raises:
        ValueError: a setting is out of its range, or both kinds of window are given.
    """

    rate: float = 0.5
    window: int | None = None
    seconds: float | None = None
    minimum_calls: int = 20
    slow_call_seconds: float | None = None
    slow_call_rate: float = 1.0

    def __init__(
        self,
        *,
        rate: float = 0.5,
        window: int | None = None,
        seconds: Seconds | None = None,
        minimum_calls: int = 20,
        slow_call_seconds: Seconds | None = None,
        slow_call_rate: float = 1.0,
    ) -> None:
        """Make a rate; each argument is described with the attribute of its name, and durations may be `timedelta`."""
        check_share("rate", rate)
        check_share("slow_call_rate", slow_call_rate)
        check_count("minimum_calls", minimum_calls)
        if window is not None:
            check_count("window", window)
            if seconds is not None:
                raise ValueError(
                    f"a window is counted in calls or in seconds, not in both: window={window!r}, seconds={seconds!r}"
                )
        values = {
            "rate": rate,
            "window": window,
            "seconds": None if seconds is None else check_seconds("seconds", seconds, zero=False),
            "minimum_calls": minimum_calls,
            "slow_call_seconds": None
            if slow_call_seconds is None
            else check_seconds("slow_call_seconds", slow_call_seconds, zero=False),
            "slow_call_rate": slow_call_rate,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def window_calls(self) -> int:
        """Size of the window in calls."""
        return 100 if self.window is None else self.window

    @property
    def calls_to_judge(self) -> int:
        """Calls in the window from which the rate is evaluated."""
        return self.minimum_calls if self.seconds is not None else min(self.minimum_calls, self.window_calls)


class Health:
    """Recorded outcomes of one closed circuit.

    Attributes:
        needs_time: True where `record` depends on the time.
        quiet_until: before this time a success cannot change the state, so that it is only counted; minus infinity
            once the circuit has left the state.
    """

    __slots__ = ("needs_time", "quiet_until")

    def __init__(self, *, needs_time: bool, quiet_until: float) -> None:
        self.needs_time = needs_time
        self.quiet_until = quiet_until

    def record(self, now: float, failed: bool, slow: bool) -> bool:
        """Record one outcome; return whether `reached` has to be checked."""
        raise NotImplementedError

    def reached(self) -> bool:
        """Return whether the recorded outcomes open the circuit."""
        raise NotImplementedError

    def reason(self) -> str:
        """Describe the threshold that was reached, in words."""
        raise NotImplementedError

    def recent(self, now: float) -> tuple[int, int, int]:
        """Return the calls, failed calls and slow calls that it remembers at `now`."""
        raise NotImplementedError


class ConsecutiveFailures(Health):
    """Consecutive failures, without a success in between."""

    __slots__ = ("failures", "threshold")

    def __init__(self, threshold: int, failures: int = 0) -> None:
        super().__init__(needs_time=False, quiet_until=math.inf if failures == 0 else -math.inf)
        self.threshold = threshold
        self.failures = failures

    def record(self, now: float, failed: bool, slow: bool) -> bool:
        """See `Health.record`."""
        if not failed:
            self.failures = 0
            self.quiet_until = math.inf
            return False
        self.failures += 1
        self.quiet_until = -math.inf
        return self.failures >= self.threshold

    def reached(self) -> bool:
        """See `Health.reached`."""
        return self.failures >= self.threshold

    def reason(self) -> str:
        """See `Health.reason`."""
        return f"{self.failures} failures in a row"

    def recent(self, now: float) -> tuple[int, int, int]:
        """See `Health.recent`; it counts no calls."""
        return 0, self.failures, 0


class Window(Health):
    """Recent outcomes and their failure rate.

    Successes that cannot change the state are only counted, by an atomic counter (`quiet_until`): while the window has
    no failed or slow call, or once it has enough calls and the last recorded outcome did not open the circuit. A
    success never increases a failure rate.

    Attributes:
        failures: failed calls in the window.
        slow: slow calls in the window, failed or not.
    """

    __slots__ = ("_calls_to_judge", "_quiet", "_rate", "_recorded", "_slow_rate", "failures", "slow")

    def __init__(self, settings: FailureRate, quiet: AtomicCounter) -> None:
        super().__init__(needs_time=settings.seconds is not None, quiet_until=-math.inf)
        self._quiet = quiet
        self._recorded = -quiet.value()
        self._calls_to_judge = settings.calls_to_judge
        self._rate = settings.rate
        self._slow_rate = settings.slow_call_rate if settings.slow_call_seconds is not None else float("inf")
        self.failures = self.slow = 0

    @property
    def calls(self) -> int:
        """Number of outcomes in the window."""
        raise NotImplementedError

    def reached(self) -> bool:
        """See `Health.reached`."""
        calls = self.calls
        return calls >= self._calls_to_judge and (
            self.failures / calls >= self._rate or self.slow / calls >= self._slow_rate
        )

    def reason(self) -> str:
        """See `Health.reason`."""
        if self.failures / self.calls >= self._rate:
            return f"{self.failures} of {self.calls} calls failed"
        return f"{self.slow} of {self.calls} calls were slow"

    def recent(self, now: float) -> tuple[int, int, int]:
        """See `Health.recent`; a time that is NaN, of a clock that does not run here, drops nothing."""
        if not math.isnan(now):
            self.expire(now)
        return self.calls, self.failures, self.slow

    def expire(self, now: float) -> None:
        """Drop outcomes that have left the window by `now`."""
        raise NotImplementedError

    def under(self, settings: FailureRate) -> "Window":
        """Convert to a window with other settings; a window of another kind starts empty."""
        raise NotImplementedError

    def _seen(self) -> int:
        """Return the number of all outcomes since construction, including those only counted."""
        return self._recorded + self._quiet.value()


class CountWindow(Window):
    """Count-based window. Only failed and slow outcomes are stored, with their sequence numbers."""

    __slots__ = ("_bad", "_size")

    def __init__(self, settings: FailureRate, quiet: AtomicCounter | None = None) -> None:
        super().__init__(settings, quiet or AtomicCounter())
        self._size = settings.window_calls
        self.quiet_until = math.inf
        self._bad: deque[tuple[int, bool, bool]] = deque()

    @property
    def calls(self) -> int:
        """See `Window.calls`."""
        return min(self._seen(), self._size)

    def record(self, now: float, failed: bool, slow: bool) -> bool:
        """See `Health.record`; the time is ignored."""
        self._recorded += 1
        seen = self._seen()
        if failed or slow:
            self._count(seen, failed, slow)
        self._forget(seen - self._size)
        quiet = not self._bad or seen >= self._calls_to_judge
        self.quiet_until = math.inf if quiet else -math.inf
        return bool(self._bad)

    def expire(self, now: float) -> None:
        """Drop outcomes that have left the window by count; the time is ignored."""
        self._forget(self._seen() - self._size)

    def under(self, settings: FailureRate) -> Window:
        """See `Window.under`; the newest outcomes are kept."""
        other = new_window(settings, self._quiet)
        if isinstance(other, CountWindow):
            kept = min(self.calls, other._size)
            other._recorded += kept
            forgotten = self._seen() - kept
            for number, failed, slow in self._bad:
                if number > forgotten:
                    other._count(number - forgotten, failed, slow)
            other.quiet_until = -math.inf if other._bad else math.inf
        return other

    def _forget(self, gone: int) -> None:
        bad = self._bad
        while bad and bad[0][0] <= gone:
            _, was_failure, was_slow = bad.popleft()
            self.failures -= was_failure
            self.slow -= was_slow

    def _count(self, number: int, failed: bool, slow: bool) -> None:
        self._bad.append((number, failed, slow))
        self.failures += failed
        self.slow += slow


class _Slice:
    """One bucket of a time-based window: its failures, and the number of calls before it."""

    __slots__ = ("failures", "seen_before", "slow", "tick")

    def __init__(self, tick: int, seen_before: int) -> None:
        self.tick = tick
        self.seen_before = seen_before
        self.failures = self.slow = 0


class TimeWindow(Window):
    """Time-based window, divided into 500 slices.

    An outcome expires at the age of the window, or up to one slice earlier.
    """

    __slots__ = ("_bad", "_forgotten", "_newest_until", "_slices", "_width")

    SLICES = 500

    def __init__(self, settings: FailureRate, quiet: AtomicCounter | None = None) -> None:
        super().__init__(settings, quiet or AtomicCounter())
        assert settings.seconds is not None
        self._width = settings.seconds / self.SLICES
        self._slices: deque[_Slice] = deque()
        self._newest_until = -math.inf
        self._forgotten = self._bad = 0

    @property
    def calls(self) -> int:
        """See `Window.calls`."""
        return self._seen() - self._forgotten

    def record(self, now: float, failed: bool, slow: bool) -> bool:
        """See `Health.record`. A time before the previous one, as threads may report, counts as equal to it."""
        if now >= self._newest_until:
            self.expire(now)
            self._begin_slice(int(now // self._width))
        self._recorded += 1
        if failed or slow:
            self._count(failed, slow)
        quiet = not self._bad or self.calls >= self._calls_to_judge
        self.quiet_until = self._newest_until if quiet else -math.inf
        return self._bad != 0

    def expire(self, now: float) -> None:
        """See `Window.expire`."""
        slices = self._slices
        oldest_kept = now // self._width - self.SLICES + 1
        while slices and slices[0].tick < oldest_kept:
            gone = slices.popleft()
            self.failures -= gone.failures
            self.slow -= gone.slow
            self._bad -= gone.failures + gone.slow
        if slices:
            self._forgotten = slices[0].seen_before
        else:
            self._forgotten, self._newest_until = self._seen(), -math.inf
            self.quiet_until = -math.inf

    def under(self, settings: FailureRate) -> Window:
        """See `Window.under`; a longer window does not recover dropped outcomes."""
        other = new_window(settings, self._quiet)
        if isinstance(other, TimeWindow):
            ends = [*(later.seen_before for later in self._slices), self._seen()][1:]
            for old, end in zip(self._slices, ends, strict=True):
                other._begin_slice(int((old.tick + 0.5) * self._width // other._width))
                other._recorded += end - old.seen_before
                other._count(old.failures, old.slow)
        return other

    def _begin_slice(self, tick: int) -> None:
        if not self._slices or tick > self._slices[-1].tick:
            self._slices.append(_Slice(tick, self._seen()))
        self._newest_until = (tick + 1) * self._width

    def _count(self, failures: int, slow: int) -> None:
        newest = self._slices[-1]
        newest.failures += failures
        newest.slow += slow
        self.failures += failures
        self.slow += slow
        self._bad += failures + slow


def new_window(settings: FailureRate, quiet: AtomicCounter) -> Window:
    """Create an empty window as configured by `settings`; `quiet` counts the successes that are not recorded."""
    return CountWindow(settings, quiet) if settings.seconds is None else TimeWindow(settings, quiet)
