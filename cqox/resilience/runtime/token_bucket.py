"""A token bucket: pure arithmetic, handed its time."""

import sys

__all__ = ["TokenBucket", "check_rate"]

# A fifth added five times must make one whole token, whatever the sums round to.
_ROUNDING = 1e-9


class TokenBucket:
    """Tokens that trickle in at a rate, never more than the bucket holds; it starts full.

    Attributes:
        rate: tokens per second.
        capacity: the most that it holds.
    """

    __slots__ = ("_at", "_tokens", "capacity", "rate")

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._tokens = capacity
        self._at: float | None = None

    @property
    def full(self) -> bool:
        """True where nothing more would fit, as of the last look."""
        return self._tokens >= self.capacity

    def add(self, tokens: float) -> None:
        """Put `tokens` in; what does not fit is lost."""
        tokens += self._tokens
        self._tokens = tokens if tokens < self.capacity else self.capacity

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take `tokens` out if all of them are there."""
        self._trickle(now)
        if self._tokens + _ROUNDING < tokens:
            return False
        self._tokens = max(0.0, self._tokens - tokens)
        return True

    def spend(self, now: float) -> None:
        """Take one token whether it is there or not; what is owed trickles in first."""
        self._trickle(now)
        self._tokens -= 1.0

    def seconds_until(self, now: float, tokens: float = 1.0) -> float:
        """Seconds until `tokens` will be there if nobody takes any; infinite where that never happens."""
        self._trickle(now)
        missing = tokens - self._tokens
        if missing <= _ROUNDING:
            return 0.0
        return float("inf") if self.rate == 0.0 or tokens > self.capacity + _ROUNDING else missing / self.rate

    def level(self, now: float) -> float:
        """The tokens in the bucket, at most `capacity`; below 0 where more were spent than there were.

        It changes nothing, so that a clock which is not the bucket's, or NaN, does no harm.
        """
        if self._at is None or not now > self._at:
            return self._tokens
        return min(self.capacity, self._tokens + (now - self._at) * self.rate)

    def resize(self, now: float, *, rate: float, capacity: float) -> None:
        """Go on with another rate and size, and with the tokens that still fit."""
        self._trickle(now)
        self.rate, self.capacity = rate, capacity
        self._tokens = min(self._tokens, capacity)

    def _trickle(self, now: float) -> None:
        self._tokens = self.level(now)
        if self._at is None or now > self._at:
            self._at = now


def check_rate(name: str, value: object) -> float:
    """Return `value` as a rate or share of at least 0.

    Raises:
        ValueError: it is no number, negative, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
    return float(value)
