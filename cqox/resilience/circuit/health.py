"""Health of a closed circuit: consecutive failures here, failure rates in `window`. Pure; time is an argument."""

import math
from dataclasses import dataclass

from cqox.resilience.runtime.ranges import check_count, check_seconds, check_share

__all__ = ["ConsecutiveFailures", "FailureRate", "Health"]


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def __post_init__(self) -> None:
        check_share("rate", self.rate)
        check_share("slow_call_rate", self.slow_call_rate)
        check_count("minimum_calls", self.minimum_calls)
        if self.window is not None:
            check_count("window", self.window)
            if self.seconds is not None:
                raise ValueError(
                    f"a window is counted in calls or in seconds, not in both: window={self.window!r}, "
                    f"seconds={self.seconds!r}"
                )
        if self.seconds is not None:
            check_seconds("seconds", self.seconds, zero=False)
        if self.slow_call_seconds is not None:
            check_seconds("slow_call_seconds", self.slow_call_seconds, zero=False)

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
        quiet_until: before this time a success cannot change the state, so that it is only counted.
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
        return True

    def reached(self) -> bool:
        """See `Health.reached`."""
        return self.failures >= self.threshold

    def reason(self) -> str:
        """See `Health.reason`."""
        return f"{self.failures} failures in a row"
