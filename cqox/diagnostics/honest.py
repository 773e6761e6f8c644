"""Honest bounds: confidence intervals for effects under bounded departures from parallel trends.

Relative magnitudes: a step-to-step departure is at most M times the largest one before treatment; the interval is the
union, over which pre-treatment change was the largest and its sign, of the intervals under the implied bound, which is
valid and slightly conservative. Smoothness: the slope of the differential trend changes by at most M per step; the
interval extrapolates the pre-treatment slope and has fixed length (Rambachan and Roth 2023, doi 10.1093/restud/rdad018,
sections 2.4 and 3).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Matrix, Vector
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["honest_bounds"]

_RELATIVE = (0.0, 0.5, 1.0, 1.5, 2.0)
_SMOOTH = (0.0, 0.25, 0.5, 1.0)
_MOST = 64.0


def honest_bounds(
    changes: tuple[Vector, Matrix],
    target: tuple[float, Vector, float],
    reach: Sequence[int],
    *,
    alpha: float,
    degrees: float | None,
    minimum: float = 0.0,
) -> dict[str, Json]:
    """Return the intervals of one effect under increasing departures from parallel trends.

    `breakdown` is the largest M of relative magnitudes at which the interval excludes the minimum effect; 0 if it never
    does, null above 64.

    Args:
        changes: (k,) step-to-step differential trends before treatment, the last one last, and their (k, k) covariance.
        target: the effect, its (k,) covariances with the changes, and its variance.
        reach: steps from the last period before treatment to each period that the effect averages.
        alpha: one minus the confidence level.
        degrees: degrees of freedom of the t distribution; None for the normal.
        minimum: the smallest relevant effect, signed, that the breakdown refers to.
    """
    deltas, covariance = changes
    value, across, variance = target
    steps = float(np.mean(reach))
    critical = critical_value(alpha, degrees)

    def relative(m: float) -> tuple[float, float]:
        factors = np.concatenate([m * steps * np.ones(len(deltas)), -m * steps * np.ones(len(deltas))])
        twice, across_twice, own = np.tile(deltas, 2), np.tile(across, 2), np.tile(np.diag(covariance), 2)
        centres = value - factors * twice
        spreads = critical * np.sqrt(np.maximum(variance - 2 * factors * across_twice + factors**2 * own, 0.0))
        return float((centres - spreads).min()), float((centres + spreads).max())

    bend = float(np.mean([step * (step + 1) / 2 for step in reach]))
    unit = math.sqrt(variance)
    smooth: list[Json] = []
    for share in _SMOOTH:
        m = share * unit
        centre, half = _smooth(m, steps, bend, deltas, covariance, target, alpha, critical)
        smooth.append({"m": number(m), "lower": number(centre - half), "upper": number(centre + half)})
    bounds: list[Json] = []
    for m in _RELATIVE:
        low, high = relative(m)
        bounds.append({"m": m, "lower": number(low), "upper": number(high)})
    breakdown = _breakdown(relative, minimum)
    return {
        "estimate": number(value),
        "relative_magnitudes": bounds,
        "breakdown": None if math.isinf(breakdown) else breakdown,
        "smoothness": smooth,
    }


def _breakdown(interval: Callable[[float], tuple[float, float]], minimum: float) -> float:
    """Return the largest M at which the interval excludes the minimum effect; 0 if it never does."""

    def excludes(m: float) -> bool:
        low, high = interval(m)
        return bool(low > minimum or high < minimum)

    if not excludes(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while excludes(high):
        low, high = high, 2 * high
        if high > _MOST:
            return math.inf
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    return low


def _smooth(
    m: float,
    steps: float,
    bend: float,
    deltas: Vector,
    covariance: Matrix,
    target: tuple[float, Vector, float],
    alpha: float,
    critical: float,
) -> tuple[float, float]:
    """Return centre and half-length of the shortest interval among those that average the last few changes."""
    value, across, variance = target
    best: tuple[float, float] | None = None
    for pooled in range(1, len(deltas) + 1):
        weights = np.zeros(len(deltas))
        weights[-pooled:] = 1.0 / pooled
        away = float(weights @ np.arange(len(deltas) - 1, -1, -1))
        bias = m * (bend + steps * away)
        spread = variance - 2 * steps * float(weights @ across) + steps**2 * float(weights @ covariance @ weights)
        error = math.sqrt(max(spread, 0.0))
        half = _folded_normal(bias, error, alpha) * critical / critical_value(alpha, None) if error > 0 else bias
        if best is None or half < best[1]:
            best = value - steps * float(weights @ deltas), half
    assert best is not None
    return best


def _folded_normal(bias: float, error: float, alpha: float) -> float:
    """Return the half-length that covers at level 1 - alpha for this bias and standard error (folded normal)."""
    from scipy import special

    ratio = bias / error
    low, high = ratio, ratio + critical_value(alpha, None)
    for _ in range(60):
        middle = (low + high) / 2
        inside = float(special.ndtr(middle - ratio) - special.ndtr(-middle - ratio))
        low, high = (middle, high) if inside < 1 - alpha else (low, middle)
    return high * error
