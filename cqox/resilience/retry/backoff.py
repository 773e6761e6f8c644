"""Exponential backoff with jitter: pure arithmetic; the random generator is an argument."""

from random import Random
from typing import Literal

__all__ = ["Jitter", "backoff", "plain_delay"]

type Jitter = bool | Literal["full", "decorrelated"]
"""True: 0.5 to 1.5 times the delay. "full": uniform from 0 to the delay. "decorrelated": uniform from the base delay to
three times the previous delay, at most `max_delay`. False: the delay itself."""

# 2 to this power is near the largest float; every realistic delay has reached its cap long before.
_LARGEST_EXPONENT = 1023


def backoff(
    attempt: int, *, base_delay: float, max_delay: float, jitter: Jitter, rng: Random, previous: float = 0.0
) -> float:
    """Return the seconds between attempt `attempt`, counted from 0, and the next; finite for any attempt.

    Args:
        attempt: number of the attempt that failed, from 0.
        base_delay: the first delay before jitter, in seconds, from 0.
        max_delay: cap of the delay before jitter, in seconds, from 0.
        jitter: randomisation of the delay.
        rng: draws the jitter.
        previous: the previous delay in seconds, 0.0 where there was none; only used by "decorrelated".
    """
    delay = plain_delay(attempt, base_delay, max_delay)
    if jitter is True:
        return delay * (0.5 + rng.random())
    if jitter == "full":
        return delay * rng.random()
    if jitter == "decorrelated":
        highest = 3.0 * max(previous, base_delay)
        return min(max_delay, base_delay + (highest - base_delay) * rng.random())
    return delay


def plain_delay(attempt: int, base_delay: float, max_delay: float) -> float:
    """Return the delay before jitter: the base delay doubled `attempt` times, at most `max_delay`, in seconds."""
    return min(base_delay * 2.0 ** min(attempt, _LARGEST_EXPONENT), max_delay)
