"""Quantiles and tail probabilities of the normal, t, F and chi-square; scipy is imported at first use, as it is
slow."""

import math

__all__ = [
    "chi_square_survival",
    "critical_value",
    "f_quantile",
    "f_survival",
    "noncentral_quantile",
    "two_sided",
]


def critical_value(alpha: float, degrees: float | None) -> float:
    """Return the two-sided critical value at level 1 - alpha: normal, or t where degrees of freedom are given."""
    from scipy import special

    if degrees is None:
        return float(special.ndtri(1 - alpha / 2))
    return float(special.stdtrit(degrees, 1 - alpha / 2))


def two_sided(statistic: float, degrees: float | None) -> float:
    """Return the two-sided p-value of a z or t statistic."""
    from scipy import special

    if degrees is None:
        return math.erfc(abs(statistic) / math.sqrt(2))
    return float(2 * special.stdtr(degrees, -abs(statistic)))


def f_quantile(probability: float, numerator: float, denominator: float) -> float:
    """Return the quantile of an F distribution."""
    from scipy import special

    return float(special.fdtri(numerator, denominator, probability))


def f_survival(statistic: float, numerator: float, denominator: float) -> float:
    """Return the upper tail probability of an F statistic."""
    from scipy import special

    return float(special.fdtrc(numerator, denominator, statistic))


def chi_square_survival(statistic: float, degrees: float) -> float:
    """Return the upper tail probability of a chi-square statistic."""
    from scipy import special

    return float(special.chdtrc(degrees, statistic))


def noncentral_quantile(probability: float, degrees: float, noncentrality: float) -> float:
    """Return the quantile of a noncentral chi-square distribution."""
    from scipy import special

    return float(special.chndtrix(probability, degrees, noncentrality))
