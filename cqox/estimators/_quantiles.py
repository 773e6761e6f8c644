"""Normal and t probabilities; scipy is loaded at the first use, for it takes longer than most analyses."""

import math

__all__ = ["critical_value", "f_quantile", "two_sided"]


def critical_value(alpha: float, degrees: float | None) -> float:
    """The two-sided critical value at level 1 - alpha: normal, or t where degrees of freedom are given."""
    from scipy import special

    if degrees is None:
        return float(special.ndtri(1 - alpha / 2))
    return float(special.stdtrit(degrees, 1 - alpha / 2))


def two_sided(statistic: float, degrees: float | None) -> float:
    """The two-sided p-value of a z or t statistic."""
    from scipy import special

    if degrees is None:
        return math.erfc(abs(statistic) / math.sqrt(2))
    return float(2 * special.stdtr(degrees, -abs(statistic)))


def f_quantile(probability: float, numerator: float, denominator: float) -> float:
    """The quantile of an F distribution."""
    from scipy import special

    return float(special.fdtri(numerator, denominator, probability))
