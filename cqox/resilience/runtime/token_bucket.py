"""Token bucket: pure arithmetic; time is an argument."""

import sys

__all__ = ["TokenBucket", "check_rate"]

# Tolerance for rounding: a fifth added five times must make one whole token.
_ROUNDING = 1e-9


class TokenBucket:
    """A bucket that refills at a constant rate up to its capacity; it starts full.

    Attributes:
        rate: tokens per second.
        capacity: maximum number of tokens.
    """

    __slots__ = ("_at", "_tokens", "capacity", "rate")

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._tokens = capacity
        self._at: float | None = None

    @property
    def full(self) -> bool:
        """True if the bucket was full at the last update."""
        return self._tokens >= self.capacity

    def add(self, tokens: float) -> None:
        """Add `tokens`; any excess over the capacity is lost."""
        tokens += self._tokens
        self._tokens = tokens if tokens < self.capacity else self.capacity

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take `tokens` if all of them are available; return whether they were."""
        self._refill(now)
        if self._tokens + _ROUNDING < tokens:
            return False
        self._tokens = max(0.0, self._tokens - tokens)
        return True

    def spend(self, now: float) -> None:
        """Take one token even if none is available; the deficit refills first."""
        self._refill(now)
        self._tokens -= 1.0

    def seconds_until(self, now: float, tokens: float = 1.0) -> float:
        """Return the seconds until `tokens` are available if none are taken; infinite where that never happens."""
        self._refill(now)
        missing = tokens - self._tokens
        if missing <= _ROUNDING:
            return 0.0
        return float("inf") if self.rate == 0.0 or tokens > self.capacity + _ROUNDING else missing / self.rate

    def level(self, now: float) -> float:
        """Return the number of tokens, at most `capacity`; below 0 after overspending.

        It changes no state, so that another clock or NaN does no harm.
        """
        if self._at is None or not now > self._at:
            return self._tokens
        return min(self.capacity, self._tokens + (now - self._at) * self.rate)

    def resize(self, now: float, *, rate: float, capacity: float) -> None:
        """Change the rate and capacity; tokens over the new capacity are lost."""
        self._refill(now)
        self.rate, self.capacity = rate, capacity
        self._tokens = min(self._tokens, capacity)

    def _refill(self, now: float) -> None:
        self._tokens = self.level(now)
        if self._at is None or now > self._at:
            self._at = now


def check_rate(name: str, value: object) -> float:
    """Return `value` as a rate or share of at least 0.

    Raises:
        ValueError: it is not a number, negative, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
    return float(value)
