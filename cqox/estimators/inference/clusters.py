"""Variances of sums of contributions that may be correlated within clusters, and their degrees of freedom.

Clusters: G/(G-1) and t(G-1); several dimensions by Cameron-Gelbach-Miller with the smallest G throughout, as fixest
does. Few clusters: the first-order jackknife, with degrees of freedom by `cluster_arms`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Vector
from cqox.estimators.inference.cluster_arms import clusters_by_arm, degrees_by_arm
from cqox.estimators.numerics.absorb import compress

__all__ = [
    "FEW_CLUSTERS",
    "Clusters",
    "beyond_rounding",
    "cluster_degrees",
    "clustered_variance",
    "linear_jackknife",
    "positive_variance",
]

FEW_CLUSTERS = 50
_ROUNDING = 1e-12
"""Share of the variance for independent rows: a clustered variance below it is rounding error of sums that are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Groups within which errors may be correlated.

    Attributes:
        codes: (n,) codes of each dimension, numbered without gaps; empty where rows are independent.
        counts: clusters in each dimension.
        mapped: True if the mapping names them; else they are the units, each of several rows.
        weights: (n,) sampling weights, by which clusters of an arm differ in weight; None for equal weights.
        adjust: True if CRV1 has the factor G/(G-1).
    """

    codes: tuple[Codes, ...] = ()
    counts: tuple[int, ...] = ()
    mapped: bool = True
    weights: Vector | None = None
    adjust: bool = True

    @property
    def factor(self) -> float:
        """G/(G-1) for the smallest G, or 1 if CRV1 has no such factor; NaN with a single cluster."""
        if not self.adjust:
            return 1.0
        return self.fewest / (self.fewest - 1) if self.fewest > 1 else math.nan

    @property
    def fewest(self) -> int:
        """The number of clusters in the dimension with the fewest; 0 without clusters."""
        return min(self.counts, default=0)


def clustered_variance(contributions: Vector, clusters: Sequence[Codes], *, adjust: bool = True) -> float:
    """Return the variance of a sum of contributions that may be correlated within clusters, by default times G/(G-1).

    Several dimensions are combined by inclusion and exclusion, which may give negative values. It is 0 if only rounding
    error is left, as where each cluster is fitted exactly.
    """
    groups: list[tuple[float, Codes, int]] = []
    for size in range(1, len(clusters) + 1):
        for chosen in combinations(clusters, size):
            codes, count = compress(chosen[0])
            for other in chosen[1:]:
                finer, levels = compress(other)
                codes, count = compress(codes * levels + finer)
            groups.append(((-1.0) ** (size + 1), codes, count))
    fewest = min(count for _, _, count in groups)
    factor = fewest / (fewest - 1) if adjust else 1.0
    variance = factor * math.fsum(
        sign * float(np.square(np.bincount(codes, contributions, count)).sum()) for sign, codes, count in groups
    )
    return beyond_rounding(variance, contributions)


def beyond_rounding(variance: float, contributions: Vector) -> float:
    """Return the variance, or 0 if it is only rounding error of sums that are 0."""
    return variance if abs(variance) > _ROUNDING * float(contributions @ contributions) else 0.0


def positive_variance(contributions: Vector, clusters: Clusters, warnings: list[Message]) -> float:
    """Return `clustered_variance`, or the sum of the variances by dimension where that of several is not positive.

    The sum does not subtract the variance of the intersections, and so is never too small (Davezies, D'Haultfœuille and
    Guyonvarch 2021, Annals of Statistics 49).
    """
    variance = clustered_variance(contributions, clusters.codes, adjust=clusters.adjust)
    if variance > 0 or len(clusters.codes) < 2:
        return variance
    warnings.append(Message("inference.variances-added"))
    return clusters.factor * math.fsum(
        clustered_variance(contributions, [codes], adjust=False) for codes in clusters.codes
    )


def linear_jackknife(contributions: Vector, clusters: Clusters, arm_codes: Vector | None) -> Vector | None:
    """Return (clusters,) the terms of the first-order jackknife variance; None if there are enough clusters.

    Without a cluster with a share h of an arm's sampling weight (of its rows if weights are equal), the other clusters
    of the arm weigh 1/(1 - h) times as much, so that the estimate changes by this multiple of the contribution of the
    cluster's rows of that arm: exactly so for a difference of means. MacKinnon, Nielsen and Webb 2024, arXiv
    2406.00650, linearise the jackknife of a logit in this way.
    """
    by_arm = clusters_by_arm(clusters.codes, arm_codes)
    if arm_codes is None or by_arm is None or len(clusters.codes) > 1 or by_arm.fewer < 2:
        return None
    if clusters.fewest >= FEW_CLUSTERS and by_arm.doubt() is None:
        return None
    codes, count = clusters.codes[0], clusters.counts[0]
    moved = np.zeros(count)
    for arm in (arm_codes == 0, arm_codes == 1):
        mass = np.bincount(codes, arm if clusters.weights is None else arm * clusters.weights, count)
        moved += np.bincount(codes, np.where(arm, contributions, 0.0), count) / (1.0 - mass / mass.sum())
    return np.asarray((count - 1) / count * np.square(moved))


def cluster_degrees(arms: Vector | None, clusters: Clusters, by_cluster: Vector | None) -> tuple[float, list[Message]]:
    """Return the degrees of freedom of a clustered error and, if they are Welch's, a note that says so.

    Args:
        arms: (n,) the arm of each row, as `degrees_by_arm` takes it; None where there are none.
        clusters: groups of the rows.
        by_cluster: (clusters,) terms of the variance, if the correction for few clusters is the default.
    """
    most, found = clusters.fewest - 1, None
    if by_cluster is not None and arms is not None:
        found = degrees_by_arm(clusters.codes[0], arms, by_cluster, clusters.weights)
    if found is None or found >= most:
        return float(most), []
    return found, [Message("inference.welch-degrees", degrees=found, most=most)]
