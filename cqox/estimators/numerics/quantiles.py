"""Normal and t probabilities; scipy is loaded at the first use, for it takes longer than most analyses."""

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


def f_survival(statistic: float, numerator: float, denominator: float) -> float:
    """The probability of an F statistic at least this large."""
    from scipy import special

    return float(special.fdtrc(numerator, denominator, statistic))


def chi_square_survival(statistic: float, degrees: float) -> float:
    """The probability of a chi-square statistic at least this large."""
    from scipy import special

    return float(special.chdtrc(degrees, statistic))


def noncentral_quantile(probability: float, degrees: float, noncentrality: float) -> float:
    """The quantile of a noncentral chi-square distribution."""
    from scipy import special

    return float(special.chndtrix(probability, degrees, noncentrality))
