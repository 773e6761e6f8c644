"""MSE-optimal bandwidths of a jump at a cutoff, as Calonico, Cattaneo and Titiunik choose them.

Three steps, each with the plug-in rule h = (V / (B² + R))^(1/(2p+3)), of an estimate by polynomials of order p: a
bandwidth for derivative p+2 from a fit to the whole range, with it one for derivative p+1 (b), with that one for the
jump (h). Variances are estimated
within a rule-of-thumb bandwidth; R, three variances of the estimated bias, regularises a small bias.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import solve
from cqox.estimators.rd.local_polynomial import Fit, Residual, Side, Window, clustered_by_side

__all__ = ["Bandwidths", "mse_bandwidths"]

_RULE_OF_THUMB = {"triangular": 2.576, "epanechnikov": 2.34, "uniform": 1.843}
"""Constants of the rule-of-thumb bandwidth by kernel."""

_REGULARISED = 3.0

_BEYOND = 1 + math.sqrt(np.finfo(np.float64).eps)
"""Margin of a window beyond its last row, as in rdrobust: a polynomial of few rows is sensitive to the weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidths:
    """The chosen bandwidths, in units of the running variable.

    Attributes:
        h: of the estimate.
        b: of its bias.
        pilot: bandwidth of the variance estimates; None where the bandwidth was given.
        third: bandwidth of derivative p+2, the third of lines, from which `b` was chosen; None likewise.
    """

    h: float
    b: float
    pilot: float | None = None
    third: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """The terms of the mean squared error of one side's derivative."""

    variance: float
    bias: float
    regularisation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The combination of a side's values whose mean squared error is minimised.

    Attributes:
        ratio: True if the second value divides the first.
        covariates: number of adjusted covariates.
        residual: how variances are estimated.
    """

    ratio: bool
    covariates: int
    residual: Residual


def mse_bandwidths(
    sides: Sequence[Side],
    *,
    spread: float,
    rows: int,
    ratio: bool,
    covariates: int,
    residual: Residual,
    distinct: int,
    order: int = 1,
) -> Bandwidths:
    """Return the bandwidths of a jump by local polynomials with a correction of one order more.

    Args:
        sides: below and above the cutoff.
        spread: of the running variable, the smaller of its standard deviation and its interquartile range over 1.349.
        rows: number of distinct values of the running variable: the number of rows if none repeats.
        ratio: True for a ratio of jumps, of the first value and the second.
        covariates: number of the last values that are covariates.
        residual: how variances are estimated.
        distinct: distinct values that the preliminary windows must hold on each side, 0 for no bound.
        order: of the polynomials, 1 for lines.
    """
    rule = _Rule(ratio=ratio, covariates=covariates, residual=residual)
    ranges = [float(side.distance[-1]) for side in sides]
    least = max(side.reaching(distinct) * _BEYOND for side in sides) if distinct else 0.0

    def within(bandwidth: float, values: int) -> float:
        """Limit a bandwidth to the range of the data, and to enough distinct values for a polynomial of this order."""
        found = min(bandwidth, max(ranges))
        short = [side for side in sides if side.distinct(side.within(found)) < values]
        return max([found, *(side.holding(values) for side in short)])

    p, q = order, order + 1
    rule_of_thumb = _RULE_OF_THUMB[sides[0].kernel] * spread * rows ** (-1 / 5)
    pilot = max(within(rule_of_thumb, q + 2), least)
    windows = [side.window(pilot) for side in sides]
    whole = [side.window(reach * _BEYOND) for side, reach in zip(sides, ranges, strict=True)]
    third = max(within(_bandwidth(windows, whole, rule, q + 1, q + 1, 0.0), q + 2), least)
    b = within(_bandwidth(windows, [side.window(third) for side in sides], rule, q, q, _REGULARISED), q + 1)
    h = within(_bandwidth(windows, [side.window(b) for side in sides], rule, p, 0, _REGULARISED), p + 1)
    return Bandwidths(h=h, b=b, pilot=pilot, third=third)


def _bandwidth(
    windows: Sequence[Window], wides: Sequence[Window], rule: _Rule, order: int, nu: int, regularised: float
) -> float:
    """Return the bandwidth that is optimal for the difference of a derivative of both sides' polynomials."""
    fits = [window.fit(order) for window in windows]
    mixtures = _mixtures(fits, rule, nu)
    left, right = (_error(*each, rule, nu, regularised) for each in zip(windows, fits, wides, mixtures, strict=True))
    # Distances reverse the sign of odd derivatives below the cutoff, but not that of a ratio of two of them.
    turned = -1.0 if nu % 2 and not rule.ratio else 1.0
    bias = right.bias - turned * left.bias
    square = bias * bias + left.regularisation + right.regularisation
    variance = left.variance + right.variance
    if not square > 0 or not variance > 0:
        return math.inf
    return float((variance / square) ** (1 / (2 * order + 3)))


def _error(window: Window, fit: Fit, wide: Window, mixture: Vector, rule: _Rule, nu: int, regularised: float) -> _Error:
    """Return the MSE terms of a derivative of a combination of a side's values."""
    order = fit.order
    estimator = window.estimator(fit, nu)
    variance = _variance(window, estimator, mixture, rule, fit)
    constant = float(estimator @ window.t ** (order + 1))
    further = wide.fit(order + 1)
    slope = float(further.power(order + 1) @ mixture) / wide.bandwidth ** (order + 1)
    uncertain = 0.0
    if regularised:
        weights = wide.estimator(further, order + 1)
        uncertain = _variance(wide, weights, mixture, rule, further) / wide.bandwidth ** (2 * order + 2)
    degree = 2 * (order + 1 - nu)
    return _Error(
        variance=(2 * nu + 1) * window.bandwidth * variance,
        bias=math.sqrt(degree) * constant * slope,
        regularisation=degree * regularised * constant * constant * uncertain,
    )


def _variance(window: Window, estimator: Vector, mixture: Vector, rule: _Rule, fit: Fit) -> float:
    contributions = estimator * window.residuals(rule.residual, mixture, fit)
    codes = window.side.codes
    if codes is None:
        return float(contributions @ contributions)
    return clustered_by_side(contributions, codes[: window.n], window.n, fit.order + 1)


def _mixtures(fits: Sequence[Fit], rule: _Rule, nu: int) -> list[Vector]:
    """Return (k,) weights of each side's values in its quantity: net of covariates, and a ratio to first order.

    The ratio of jumps is linearised at the jumps, so that neither the level of the outcome nor the coding of the
    treatment matters; that of derivatives at those of the side.
    """
    parts = [_parts(fit, rule.covariates) for fit in fits]
    if not rule.ratio:
        return [part[0] for part in parts]
    values = [part @ fit.power(nu) for part, fit in zip(parts, fits, strict=True)]
    if nu == 0:
        values = [values[1] - values[0]] * 2
    return [
        part[0] / treatment - outcome / treatment**2 * part[1] if treatment else part[0]
        for part, (outcome, treatment) in zip(parts, values, strict=True)
    ]


def _parts(fit: Fit, covariates: int) -> Matrix:
    """Return (m, k) weights of a side's values in each that is no covariate: itself, net of the covariates."""
    k = fit.coefficients.shape[1]
    heads = k - covariates
    parts = np.eye(heads, k)
    if covariates:
        parts[:, heads:] = -solve(fit.partialled[heads:, heads:], fit.partialled[heads:, :heads]).coefficients.T
    return parts
