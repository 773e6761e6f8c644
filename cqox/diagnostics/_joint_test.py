"""The joint test that several estimates before treatment are all 0, and what it would find.

The Wald statistic is read as Hotelling's T² with the clusters' degrees of freedom, for with few clusters chi-square
rejects far too often.
"""

import math

import numpy as np

from cqox.diagnostics._json import number
from cqox.estimators import Json, Matrix, Vector

__all__ = ["joint_test"]

_LEVEL, _POWER = 0.05, 0.8
_DETECTED = 2.8
"""Standard errors at which a two-sided 5% test rejects in 80% of samples."""


def joint_test(estimates: Vector, covariance: Matrix, clusters: int, trend: Vector | None = None) -> dict[str, Json]:
    """The statistic, its p-value and the smallest departures that the test would find in 80% of samples.

    Args:
        estimates: (k,) that should be 0.
        covariance: (k, k) of them.
        clusters: how many clusters it rests on.
        trend: (k,) what the estimates would be under a trend of 1 a step; asks for the slope that would be found.
    """
    from scipy import special

    values, vectors = np.linalg.eigh(covariance) if np.isfinite(covariance).all() else (np.zeros(1), np.zeros((1, 1)))
    kept = values > 1e-10 * max(float(values[-1]), 0.0)
    degrees = int(kept.sum())
    if degrees == 0 or values[-1] <= 0 or clusters <= degrees + 1:
        return {
            "statistic": None,
            "degrees": degrees,
            "p_value": None,
            "detectable": None,
            "reason": f"{clusters} clusters are too few to test {len(estimates)} leads together.",
        }
    projected = vectors[:, kept].T @ estimates
    statistic = float(np.sum(projected**2 / values[kept]))
    rest = clusters - degrees
    p_value = float(special.fdtrc(degrees, rest, statistic / degrees * rest / (clusters - 1)))
    found: dict[str, Json] = {
        "statistic": statistic,
        "degrees": degrees,
        "p_value": number(p_value),
        "detectable": number(_DETECTED * float(np.sqrt(np.diag(covariance)).max())),
        "largest": number(float(np.abs(estimates).max())),
    }
    if trend is not None:
        size = float(np.sum((vectors[:, kept].T @ trend) ** 2 / values[kept]))
        found["detectable_slope"] = number(math.sqrt(_noncentrality(degrees, rest) / size)) if size > 0 else None
    return found


def _noncentrality(degrees: int, rest: int) -> float:
    """How far from 0, in T² units, the mean must be for the test to reject in 80% of samples."""
    from scipy import special

    critical = float(special.fdtri(degrees, rest, 1.0 - _LEVEL))
    low, high = 0.0, 10.0
    while high < 1e9 and special.ncfdtr(degrees, rest, high, critical) > 1.0 - _POWER:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2
        if special.ncfdtr(degrees, rest, middle, critical) > 1.0 - _POWER:
            low = middle
        else:
            high = middle
    return high
