"""The joint test that several estimates before treatment are all 0, which of them it can hold, and what it would find.

The Wald statistic is read as Hotelling's T², for with few clusters chi-square rejects far too often. Its degrees of
freedom are those of the groups of units that the estimates rest on, weighed by what each adds to the variance
(Krishnamoorthy and Yu 2004, doi 10.1016/j.spl.2003.10.012, where all units vary alike): a cohort of three has two,
however many units it is compared with.
"""

import math

import numpy as np

from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Matrix, Vector

__all__ = ["joint_test", "supported"]

_MOST_LEADS = 12
_PER_LEAD = 2.0
"""Degrees of freedom that there must be for each estimate that is tested."""

_LEVEL, _POWER = 0.05, 0.8
_DETECTED = 2.8
"""Standard errors at which a two-sided 5% test rejects in 80% of samples."""


def supported(support: Matrix, group_degrees: Vector) -> tuple[int, float]:
    """How many of the last estimates can be tested together, and the degrees of freedom that the test has then.

    Only how many units there are is looked at, and not their outcomes.

    Args:
        support: (groups, k) what each group would add to the estimates' variances if all units varied alike; the
            estimate to keep longest is the last.
        group_degrees: (groups,) degrees of freedom of each.
    """
    held, degrees = 0, 0.0
    for count in range(1, min(support.shape[1], _MOST_LEADS) + 1):
        found = _degrees(support[:, -count:], group_degrees)
        if found >= _PER_LEAD * count:
            held, degrees = count, found
    return held, degrees


def _degrees(support: Matrix, group_degrees: Vector) -> float:
    share, count = support / support.sum(axis=0), support.shape[1]
    spread = float(np.sum((np.sum(share**2, axis=1) + np.sum(share, axis=1) ** 2) / np.maximum(group_degrees, 1e-3)))
    return float((count + count**2) / spread)


def joint_test(estimates: Vector, covariance: Matrix, degrees: float, trend: Vector | None = None) -> dict[str, Json]:
    """The statistic, its p-value and the smallest departures that the test would find in 80% of samples.

    Args:
        estimates: (k,) that should be 0.
        covariance: (k, k) of them.
        degrees: of freedom of the covariance; one less than the clusters where these are of one kind.
        trend: (k,) what the estimates would be under a trend of 1 a step; asks for the slope that would be found.
    """
    from scipy import special

    values, vectors = np.linalg.eigh(covariance) if np.isfinite(covariance).all() else (np.zeros(1), np.zeros((1, 1)))
    kept = values > 1e-10 * max(float(values[-1]), 0.0)
    rank = int(kept.sum())
    if rank == 0 or values[-1] <= 0 or degrees <= rank:
        return {
            "statistic": None,
            "degrees": rank,
            "p_value": None,
            "detectable": None,
            "reason": f"The units are too few to test {len(estimates)} leads together.",
        }
    projected = vectors[:, kept].T @ estimates
    statistic = float(np.sum(projected**2 / values[kept]))
    rest = degrees + 1 - rank
    p_value = float(special.fdtrc(rank, rest, statistic / rank * rest / degrees))
    found: dict[str, Json] = {
        "statistic": statistic,
        "degrees": rank,
        "degrees_of_errors": number(degrees),
        "p_value": number(p_value),
        "detectable": number(_DETECTED * float(np.sqrt(np.diag(covariance)).max())),
        "largest": number(float(np.abs(estimates).max())),
    }
    if trend is not None:
        size = float(np.sum((vectors[:, kept].T @ trend) ** 2 / values[kept]))
        found["detectable_slope"] = number(math.sqrt(_noncentrality(rank, rest) / size)) if size > 0 else None
    return found


def _noncentrality(rank: int, rest: float) -> float:
    """How far from 0, in T² units, the mean must be for the test to reject in 80% of samples."""
    from scipy import special

    critical = float(special.fdtri(rank, rest, 1.0 - _LEVEL))
    low, high = 0.0, 10.0
    while high < 1e9 and special.ncfdtr(rank, rest, high, critical) > 1.0 - _POWER:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2
        if special.ncfdtr(rank, rest, middle, critical) > 1.0 - _POWER:
            low = middle
        else:
            high = middle
    return high
