"""Variance of the change of a unit, from before a start to after it, under serial correlation.

The estimators are those of McKenzie (2012, doi 10.1016/j.jdeveco.2012.01.002, equations 2 to 4; Frison and Pocock 1992,
doi 10.1002/sim.4780111304): the change, ANCOVA on the mean before, and the mean after alone. The correlation may
depend on the distance of the periods, as Burlig, Preonas and Woerman (2020, doi 10.1016/j.jdeveco.2020.102458,
equation 5) require: a constant one overstates the power of short panels. Each is a comparison of one number per unit,
so that its standard error is robust to any serial correlation and t has units less two degrees of freedom.
"""

from typing import Literal, NamedTuple

import numpy as np

from cqox.estimators.data import Matrix

__all__ = ["Moments", "PanelEstimator", "contrast_variance", "correlations", "moments", "weight_of_before"]

type PanelEstimator = Literal["did", "ancova", "post"]
"""Change from before to after, mean after given the mean before, or mean after."""


class Moments(NamedTuple):
    """Variances of a unit's mean before and after a start, and their covariance; 0 before where there is no before."""

    before: float
    after: float
    covariance: float


def correlations(periods: int, autocorrelation: float, serial_correlation: float = 0.0) -> Matrix:
    """Return the (periods, periods) correlations ρ + (1 − ρ)γʰ of outcomes h periods apart.

    Args:
        periods: how many.
        autocorrelation: ρ, the correlation that does not fade: the share of what is constant in a unit.
        serial_correlation: γ, the first-order autoregression of the rest.
    """
    distance = np.abs(np.subtract.outer(np.arange(periods), np.arange(periods)))
    rest = np.where(distance == 0, 1.0, serial_correlation ** np.maximum(distance, 1))
    return np.asarray(autocorrelation + (1.0 - autocorrelation) * rest, np.float64)


def moments(covariance: Matrix, before: int) -> Moments:
    """Return the moments of means over periods.

    Args:
        covariance: (periods, periods) of a unit's outcomes; those before the start come first.
        before: how many are before.
    """
    after = float(covariance[before:, before:].mean())
    if not before:
        return Moments(0.0, after, 0.0)
    return Moments(float(covariance[:before, :before].mean()), after, float(covariance[:before, before:].mean()))


def weight_of_before(estimator: PanelEstimator, found: Moments) -> float:
    """Return how much of the mean before an estimator takes off the mean after."""
    match estimator:
        case "did":
            return 1.0
        case "ancova":
            return found.covariance / found.before
        case "post":
            return 0.0


def contrast_variance(found: Moments, weight: float) -> float:
    """Return the variance of the mean after less a part of the mean before."""
    return found.after - 2.0 * weight * found.covariance + weight**2 * found.before
