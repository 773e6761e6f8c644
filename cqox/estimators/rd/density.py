"""The density of a score on each side of a cutoff by local polynomials, and the optimal bandwidths for its jump.

Cattaneo, Jansson and Ma 2020, JASA 115(531): the slope of a polynomial fitted to the empirical distribution function is
the density, with no bias of its own at a boundary; its variance is that of the rows' projections (the jackknife's).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np

from cqox.estimators.data import Vector
from cqox.estimators.rd.local_polynomial import Fit, Side, Window

__all__ = ["Densities", "densities", "density_bandwidths"]

ORDER = 2
"""Polynomial order of the optimal bandwidths; the test uses one more, so that its bias is of a higher order."""

_LEAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Densities:
    """The densities just below and just above the cutoff, per unit of the score.

    Attributes:
        values, errors: (2,) densities and their standard errors.
        bandwidths: (2,) of each side.
        within: number of rows within them.
        parts: of each side, contributions of the nearest rows to its density.
        curves: of each side, the density within its bandwidth, as coefficients of powers of the distance.
    """

    values: Vector
    errors: Vector
    bandwidths: Vector
    within: tuple[int, int]
    parts: tuple[Vector, Vector]
    curves: tuple[Vector, Vector]


def densities(sides: Sequence[Side], bandwidths: Vector, rows: int) -> Densities:
    """Return the densities by polynomials of one order more than that of the bandwidths.

    Args:
        sides: below and above the cutoff, with the distribution function as their only value.
        bandwidths: (2,) of each side.
        rows: of both sides.
    """
    values, errors, within, parts = np.zeros(2), np.zeros(2), list[int](), list[Vector]()
    curves = list[Vector]()
    for place, side in enumerate(sides):
        window = side.window(float(bandwidths[place]) * (1 + 1e-12))
        fit = window.fit(ORDER + 1)
        values[place], each = _derivative(window, fit, 1, above=place == 1, rows=rows)
        errors[place] = _norm(each)
        parts.append(each)
        slopes = np.array([float(fit.power(nu)[0]) * nu / window.bandwidth**nu for nu in range(1, ORDER + 2)])
        curves.append(slopes if place else -slopes)
        within.append(window.inside)
    return Densities(
        values=values, errors=errors, bandwidths=bandwidths, within=(within[0], within[1]), parts=(parts[0], parts[1]),
        curves=(curves[0], curves[1]),
    )  # fmt: skip


def _norm(parts: Vector) -> float:
    return math.sqrt(float(parts @ parts))


def _derivative(window: Window, fit: Fit, order: int, *, above: bool, rows: int) -> tuple[float, Vector]:
    """Return a derivative of the distribution function at the cutoff, in score direction, and the rows'
    contributions."""
    scale = math.factorial(order) / window.bandwidth**order
    value = float(fit.power(order)[0]) * scale * (1.0 if above or order % 2 == 0 else -1.0)
    estimator = window.estimator(fit, order)
    # A row contributes to the distribution function at every other row at or above it.
    starts = window.side.starts[: window.side.distinct(window.n)]
    groups = np.add.reduceat(estimator, starts)
    reached = np.cumsum(groups[::-1])[::-1] if above else np.cumsum(groups)
    reached = np.repeat(reached, np.diff(np.append(starts, window.n))) - estimator
    return value, reached * (scale / (rows - 1))


def density_bandwidths(sides: Sequence[Side], rows: int, mean: float, deviation: float) -> Vector:
    """Return (2,) the median of three bandwidths per side: optimal for its density, the difference, and the sum.

    Args:
        sides: below and above the cutoff, with the distribution function as their only value.
        rows: of both sides.
        mean, deviation: of the score, from the cutoff.
    """
    p = ORDER
    ends = [float(side.distance[-1]) for side in sides]
    farthest = max(ends)
    variance_pilot, bias_pilot = (min(each, farthest) for each in _pilots(rows, mean, deviation))
    variance_pilot = max(variance_pilot, *(_least(side, p) for side in sides))
    bias_pilot = max(bias_pilot, *(_least(side, p + 2) for side in sides))
    variances, biases = np.zeros(2), np.zeros(2)
    for place, side in enumerate(sides):
        above = place == 1
        window = side.window(variance_pilot * (1 + 1e-12))
        _, parts = _derivative(window, window.fit(p), 1, above=above, rows=rows)
        variances[place] = rows * variance_pilot * float(parts @ parts)
        wide = side.window(bias_pilot * (1 + 1e-12))
        slope, _ = _derivative(wide, wide.fit(p + 2), p + 1, above=above, rows=rows)
        # Below the cutoff the kernel's odd moments have the other sign.
        turned = 1.0 if above else (-1.0) ** p
        biases[place] = turned * slope * _constants(p, 1, triangular=True)[0] / math.factorial(p + 1)
    apart = [_best(variances[place], biases[place], rows) for place in (0, 1)]
    together = [_best(variances.sum(), bias, rows) for bias in (biases[1] - biases[0], biases[1] + biases[0])]
    least = [_least(side, p) for side in sides]
    together = [max(min(each, farthest), *least) for each in together]
    # A side's own bandwidth is limited to its range; a common one, to the longer range.
    apart = [max(min(each, end), low) for each, end, low in zip(apart, ends, least, strict=True)]
    return np.array([median([each, *together]) for each in apart])


def _best(variance: float, bias: float, rows: int) -> float:
    p = ORDER
    if not bias * bias > 0:
        return math.inf
    return float((variance / (2 * p * bias * bias * rows)) ** (1 / (2 * p + 1)))


def _least(side: Side, order: int) -> float:
    """Return the distance within which there are this many rows, and as many distinct values."""
    wanted = _LEAST + order + 1
    return max(float(side.distance[min(wanted, side.n) - 1]), side.reaching(wanted))


def _pilots(rows: int, mean: float, deviation: float) -> tuple[float, float]:
    """Return the optimal bandwidths for the variance and for the bias under a normal score."""
    p = ORDER
    z = mean / deviation
    normal = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    curves = []
    for derivative, order, target in ((p, p, 1), (p + 2, p + 2, p + 1)):
        bias, variance = _constants(order, target, triangular=False)
        ratio = variance / (bias / math.factorial(order + 1)) ** 2
        steepness = np.polynomial.hermite_e.hermeval(z, [0.0] * derivative + [1.0]) ** 2 * normal
        powers = 2 * (order + 1 - target)
        curve = (2 * target - 1) / powers * ratio / (max(float(steepness), 1e-300) * rows)
        curves.append(deviation * curve ** (1 / (powers + 2 * target - 1)))
    return curves[0], curves[1]


@cache
def _constants(order: int, target: int, *, triangular: bool) -> tuple[float, float]:
    """Return the boundary bias and variance of a coefficient of a polynomial fitted to a distribution function."""

    def moment(power: int) -> float:
        return 1 / ((power + 1) * (power + 2)) if triangular else 1 / (power + 1)

    nodes, weights = np.polynomial.legendre.leggauss(order + 4)
    nodes, weights = (nodes + 1) / 2, weights / 2
    places = range(order + 1)
    tails = np.array([(1 - nodes ** (place + 1)) / (place + 1) for place in range(order + 2)])
    tails = tails[:-1] - tails[1:] if triangular else tails[:-1]
    inverse = np.linalg.inv(np.array([[moment(i + j) for j in places] for i in places]))
    bias = inverse @ np.array([moment(i + order + 1) for i in places])
    variance = inverse @ (tails * weights) @ tails.T @ inverse
    return float(bias[target]), float(variance[target, target])
