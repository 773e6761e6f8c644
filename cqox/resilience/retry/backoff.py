"""How long to wait before the next attempt: pure arithmetic, handed its randomness."""

from random import Random
from typing import Literal

__all__ = ["Jitter", "backoff"]

type Jitter = bool | Literal["full", "decorrelated"]
"""True: half to one and a half times the delay. "full": anything up to the delay. "decorrelated": between the base and
three times the delay before, at most `max_delay`. False: the delay itself."""

# 2 to this power is near the largest float. Any base above 0 has met its cap long before.
_LARGEST_EXPONENT = 1023


def backoff(
    attempt: int, *, base_delay: float, max_delay: float, jitter: Jitter, rng: Random, previous: float = 0.0
) -> float:
    """Seconds between attempt number `attempt`, counted from 0, and the next one; finite for any attempt.

    Args:
        attempt: number of the attempt that failed, from 0.
        base_delay: the first delay before jitter, in seconds, from 0.
        max_delay: cap of the delay before jitter, in seconds, from 0.
        jitter: how the delay is spread.
        rng: draws the jitter.
        previous: the delay before this one, in seconds; 0.0 where there was none. Only "decorrelated" looks at it.
    """
    delay = min(base_delay * 2.0 ** min(attempt, _LARGEST_EXPONENT), max_delay)
    if jitter is True:
        return delay * (0.5 + rng.random())
    if jitter == "full":
        return delay * rng.random()
    if jitter == "decorrelated":
        highest = 3.0 * max(previous, base_delay)
        return min(max_delay, base_delay + (highest - base_delay) * rng.random())
    return delay
