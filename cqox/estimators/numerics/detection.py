"""Power of t and F tests, and the effects that they detect; scipy is imported at first use, as it is slow.

Exact for normal errors: the statistic under an effect is a noncentral t, its square a noncentral F (Johnson, Kotz and
Balakrishnan 1995, Continuous Univariate Distributions 2, chapters 30 and 31). A two-sided test rejects in both tails.
Checked against statsmodels `TTestIndPower` and R `pwr`.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from cqox.estimators.numerics.quantiles import critical_value, f_quantile

__all__ = ["DETECTED_POWER", "detectable_ratio", "f_noncentrality", "smallest", "t_power"]

DETECTED_POWER = 0.8
"""Power at which reports call an effect detectable."""

_HUGE = 1e4
"""Effect in standard errors beyond which the error of the estimate itself does not matter."""

_STEPS = 60
_MOST = 1e9
"""Noncentrality beyond which no search goes."""


def t_power(ratio: float, alpha: float, degrees: float | None, *, one_sided: bool = False) -> float:
    """Return the probability that a test of an effect rejects.

    Args:
        ratio: the effect in standard errors; negative for an effect against the direction of a one-sided test.
        alpha: level of the test, in (0, 1).
        degrees: degrees of freedom of the standard error; None for a normal statistic.
        one_sided: whether the test is of one direction.
    """
    from scipy import special

    critical = critical_value(2 * alpha if one_sided else alpha, degrees)
    if degrees is None:
        below = float(special.ndtr(-critical - ratio))
        above = float(special.ndtr(ratio - critical))
        return above if one_sided else above + below
    if abs(ratio) > _HUGE:
        # The estimate is known, and only its standard error varies; the time of `ncfdtr` grows with the ratio.
        times = ratio / critical
        both = float(special.chdtr(degrees, degrees * times * times))
    else:
        both = 1.0 - float(special.ncfdtr(1.0, degrees, ratio**2, critical**2))
    if not one_sided:
        return both
    # The tail on the other side of 0; scipy has no number for one that is too small.
    other = float(special.nctdtr(degrees, abs(ratio), -critical))
    other = other if math.isfinite(other) else 0.0
    return both - other if ratio >= 0 else other


@lru_cache(maxsize=256)
def detectable_ratio(
    alpha: float, degrees: float | None, *, power: float = DETECTED_POWER, one_sided: bool = False
) -> float:
    """Return the standard errors that an effect must be large to be found with a power; inf where none is.

    Args:
        alpha: level of the test, in (0, 1).
        degrees: degrees of freedom of the standard error; None for a normal statistic.
        power: probability of rejection, above alpha.
        one_sided: whether the test is of one direction.
    """
    return smallest(lambda ratio: t_power(ratio, alpha, degrees, one_sided=one_sided) >= power, 10.0)


def f_noncentrality(alpha: float, numerator: float, denominator: float, *, power: float = DETECTED_POWER) -> float:
    """Return the noncentrality at which an F test has a power."""
    from scipy import special

    critical = f_quantile(1.0 - alpha, numerator, denominator)
    return smallest(lambda size: bool(special.ncfdtr(numerator, denominator, size, critical) <= 1.0 - power), 10.0)


def smallest(holds: Callable[[float], bool], guess: float, *, most: float = _MOST) -> float:
    """Return the smallest positive number of which something holds, by bisection; inf where it holds of none.

    Args:
        holds: false up to some number, true from there on.
        guess: where to look first.
        most: where to give up.
    """
    low, high = 0.0, guess
    while not holds(high):
        if high >= most:
            return math.inf
        low, high = high, min(2.0 * high, most)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
