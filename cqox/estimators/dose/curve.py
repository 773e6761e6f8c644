"""A curve through pseudo-outcomes: local fits with Epanechnikov's kernel, their bandwidth and their covariance.

The bandwidth is that of local lines. The reported value is that of a local parabola, whose bias is of a higher order,
so that intervals need no undersmoothing; the line's value is reported too.

Rows are sorted by dose, so that each local fit is of a slice of them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.numerics.gram import independent, solve

__all__ = ["Curve", "Local", "covariance_of_curve", "local_lines", "plug_in_bandwidth"]

_RANGE = (1.2, 7.0)
"""Smallest and largest bandwidth, in standard deviations of the dose over the fifth root of the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Pseudo-outcomes in the order of the dose.

    Attributes:
        order: (n,) positions of the rows.
        dose, outcome, weights: (n,) in that order.
    """

    order: NDArray[np.intp]
    dose: Vector
    outcome: Vector
    weights: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A local line and a local parabola at a dose.

    Attributes:
        at: the dose.
        value: of the parabola there, without the first-order bias of the line.
        line: of the line there.
        start, stop: bounds of its rows.
        contributions: (stop - start,) of these rows to the value.
        effective: effective number of rows, by its weights.
    """

    at: float
    value: float
    line: float
    start: int
    stop: int
    contributions: Vector
    effective: float


def local_lines(curve: Curve, grid: Vector, bandwidth: float) -> list[Local]:
    """Return the local fit at each dose of a grid.

    Raises:
        UnusableData: too few distinct doses are near one of them.
    """
    found = []
    starts = np.searchsorted(curve.dose, grid - bandwidth, side="right")
    stops = np.searchsorted(curve.dose, grid + bandwidth, side="left")
    for at, start, stop in zip(grid.tolist(), starts.tolist(), stops.tolist(), strict=True):
        u = (curve.dose[start:stop] - at) / bandwidth
        square, outcome = u * u, curve.outcome[start:stop]
        kernel = curve.weights[start:stop] * (1.0 - square)
        tilted, bent = kernel * u, kernel * square
        s0, s1, s2, s3, s4 = kernel.sum(), tilted.sum(), bent.sum(), bent @ u, bent @ square
        moments = np.array([[s0, s1, s2], [s1, s2, s3], [s2, s3, s4]])
        if len(independent(moments)) < 3:
            raise UnusableData(Message("dose.sparse-doses"))
        inverse, reached = np.linalg.inv(moments), np.array([kernel @ outcome, tilted @ outcome, bent @ outcome])
        coefficients = inverse @ reached
        share = kernel * _polynomial(inverse[0], u)
        within = [inverse[0, 0], 2 * inverse[0, 1], 2 * inverse[0, 2] + inverse[1, 1], 2 * inverse[1, 2], inverse[2, 2]]
        kept = np.maximum(1.0 - kernel * _polynomial(np.array(within), u), 0.1)
        found.append(
            Local(
                at=at,
                value=float(coefficients[0]),
                line=float(np.linalg.solve(moments[:2, :2], reached[:2])[0]),
                start=start,
                stop=stop,
                contributions=share * (outcome - _polynomial(coefficients, u)) / kept,
                effective=float(1.0 / (share @ share)),
            )
        )
    return found


def _polynomial(coefficients: Vector, at: Vector) -> Vector:
    value = np.full(len(at), coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= at
        value += coefficient
    return value


def plug_in_bandwidth(curve: Curve, low: float, high: float) -> float:
    """Return the MSE-optimal bandwidth of lines between two doses under a global quartic fit.

    Fan and Gijbels 1996, Local Polynomial Modelling, equation 4.3. It is bounded around the rule for a density, because
    a quartic that happens to be straight would give no finite bandwidth.
    """
    total = float(curve.weights.sum())
    centre = float(curve.weights @ curve.dose) / total
    spread = math.sqrt(float(curve.weights @ np.square(curve.dose - centre)) / total)
    z = (curve.dose - centre) / spread
    powers = np.ones((5, len(z)))
    for power in range(1, 5):
        np.multiply(powers[power - 1], z, out=powers[power])
    weighted = powers * curve.weights
    fit = solve(weighted @ powers.T, (weighted @ curve.outcome)[:, None]).coefficients[:, 0]
    residual = curve.outcome - fit @ powers
    noise = float(curve.weights @ (residual * residual)) / total
    inside = slice(*np.searchsorted(curve.dose, [low, high]).tolist())
    curved = _polynomial(np.array([2 * fit[2], 6 * fit[3], 12 * fit[4]]), z[inside])
    rule: float = spread * float(len(curve.dose)) ** -0.2
    least, most = _RANGE[0] * rule, _RANGE[1] * rule
    bend = float(curve.weights[inside] @ (curved * curved))
    if not bend > 0:
        return most
    found: float = 1.719 * spread * float((noise * (high - low) / spread / bend) ** 0.2)
    return min(max(found, least), most)


def covariance_of_curve(
    lines: list[Local], base: Matrix, tilt: Matrix, clusters: Clusters, order: NDArray[np.intp]
) -> Matrix:
    """Return the (g, g) covariance of the local values.

    Args:
        lines: the g lines.
        base: (2, n) contributions of the rows to every local value, in dose order: the first unscaled, the second times
            its factor.
        tilt: (g,) these factors.
        clusters: of the rows, in the sample's order.
        order: (n,) positions of the rows in the order of the dose.
    """
    count = len(lines)
    if clusters.codes:
        codes, groups = clusters.codes[0][order], clusters.counts[0]
        flat, steep = (np.bincount(codes, row, groups) for row in base)
        sums = flat + tilt[:, None] * steep
        for row, each in zip(sums, lines, strict=True):
            row += np.bincount(codes[each.start : each.stop], each.contributions, groups)
        return np.asarray(sums @ sums.T * (groups / max(groups - 1, 1)))
    factors = np.column_stack([np.ones(count), tilt])
    covariance = factors @ (base @ base.T) @ factors.T
    touched = np.array([base[:, each.start : each.stop] @ each.contributions for each in lines])
    crossed = touched @ factors.T
    covariance += crossed + crossed.T
    for place, each in enumerate(lines):
        for later in range(place, count):
            other = lines[later]
            start, stop = max(each.start, other.start), min(each.stop, other.stop)
            if start >= stop:
                continue
            shared = float(
                each.contributions[start - each.start : stop - each.start]
                @ other.contributions[start - other.start : stop - other.start]
            )
            covariance[place, later] += shared
            if later > place:
                covariance[later, place] += shared
    return np.asarray(covariance)
