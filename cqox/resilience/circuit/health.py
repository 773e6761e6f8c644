"""When a closed circuit has seen enough: failures in a row; a rate is watched by a `window`. Pure, handed its time."""

import math
from dataclasses import dataclass

from cqox.resilience.runtime.ranges import check_count, check_seconds, check_share

__all__ = ["ConsecutiveFailures", "FailureRate", "Health"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRate:
    """Opens a circuit when too large a share of the calls in a sliding window failed, or was slow.

    Attributes:
        rate: share of failures that opens, above 0 and at most 1; reached at ≥.
        window: how many calls are looked at, at least 1; 100 where `seconds` is not given either.
        seconds: how many seconds are looked at instead, above 0.
        minimum_calls: calls that must be in the window before it is judged, at least 1. At most `window` are asked for.
        slow_call_seconds: a call that took this long is slow, whether it failed or not; None counts none. A slow probe
            opens the circuit again.
        slow_call_rate: share of slow calls that opens, above 0 and at most 1; reached at ≥.

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
        """Size of a window that is counted in calls."""
        return 100 if self.window is None else self.window

    @property
    def calls_to_judge(self) -> int:
        """Calls from which on the window is judged."""
        return self.minimum_calls if self.seconds is not None else min(self.minimum_calls, self.window_calls)


class Health:
    """What one closed circuit has seen.

    Attributes:
        needs_time: True where `record` looks at the time.
        quiet_until: before this time a success decides nothing, so that it need only be counted in a tally.
    """

    __slots__ = ("needs_time", "quiet_until")

    def __init__(self, *, needs_time: bool, quiet_until: float) -> None:
        self.needs_time = needs_time
        self.quiet_until = quiet_until

    def record(self, now: float, failed: bool, slow: bool) -> bool:
        """Take one outcome in; True where `reached` has to be asked."""
        raise NotImplementedError

    def reached(self) -> bool:
        """True where what was seen opens the circuit."""
        raise NotImplementedError

    def reason(self) -> str:
        """What reached its bound, in words."""
        raise NotImplementedError


class ConsecutiveFailures(Health):
    """Failures in a row, without a success between them."""

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
