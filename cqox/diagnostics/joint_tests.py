"""Joint test that several leads are all 0, the number of leads it can include, and its detectable departures.

The Wald statistic is compared with Hotelling's T², because chi-square over-rejects with few clusters. Its degrees of
freedom combine those of the cohorts behind the leads, weighted by their contributions to the variance (Krishnamoorthy
and Yu 2004, doi 10.1016/j.spl.2003.10.012, under homoskedastic units): a cohort of three has two, regardless of the
size of its comparison group.
"""

import math

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Matrix, Vector
from cqox.estimators.numerics.detection import detectable_ratio, f_noncentrality

__all__ = ["joint_test", "supported"]

_MOST_LEADS = 12
_PER_LEAD = 2.0
"""Least degrees of freedom per tested lead."""

_LEVEL = 0.05


def supported(support: Matrix, group_degrees: Vector) -> tuple[int, float]:
    """Return how many of the last leads can be tested jointly, and the degrees of freedom of that test.

    Depends on numbers of units alone, not on outcomes.

    Args:
        support: (groups, k) contribution of each group to the variances of the leads under homoskedastic units; the
            lead to keep longest is the last.
        group_degrees: (groups,) degrees of freedom of each group.
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
    """Return the statistic, its p-value and the smallest departures detectable with 80% power.

    Args:
        estimates: (k,) leads, 0 under the null hypothesis.
        covariance: (k, k) covariance of the leads.
        degrees: degrees of freedom of the covariance; the number of clusters less one for a single group.
        trend: (k,) leads under a differential trend of 1 per step; adds the slope detectable with 80% power.
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
            "reason": Message("diagnostics.too-few-for-leads", leads=len(estimates)),
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
        "detectable": number(detectable_ratio(_LEVEL, None) * float(np.sqrt(np.diag(covariance)).max())),
        "largest": number(float(np.abs(estimates).max())),
    }
    if trend is not None:
        size = float(np.sum((vectors[:, kept].T @ trend) ** 2 / values[kept]))
        found["detectable_slope"] = number(math.sqrt(f_noncentrality(_LEVEL, rank, rest) / size)) if size > 0 else None
    return found
