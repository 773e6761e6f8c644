"""Variances of sums of contributions that may be correlated within clusters, and the degrees of freedom they have.

Clusters: G/(G-1) and t(G-1); several dimensions by Cameron-Gelbach-Miller with the smallest G throughout, as fixest
does. Few clusters: the jackknife to the first order, with degrees of freedom by `_cluster_arms`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

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
"""Of the variance for independent rows: a clustered one below it is what rounding left of sums that are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Groups within which errors may be correlated.

    Attributes:
        codes: (n,) codes of each dimension, numbered without gaps; empty where rows are independent.
        counts: clusters in each dimension.
        mapped: whether the mapping names them; else they are the units, each of several rows.
        weights: (n,) sampling weights, by which some clusters of an arm count for more than others; None where all rows
            weigh the same.
    """

    codes: tuple[Codes, ...] = ()
    counts: tuple[int, ...] = ()
    mapped: bool = True
    weights: Vector | None = None

    @property
    def fewest(self) -> int:
        """Clusters in the dimension that has the fewest; 0 without clusters."""
        return min(self.counts, default=0)


def clustered_variance(contributions: Vector, clusters: Sequence[Codes], *, adjust: bool = True) -> float:
    """The variance of a sum of contributions that may be correlated within clusters, with G/(G-1) unless told not to.

    Several dimensions are combined by inclusion and exclusion; negative values are possible then. It is 0 where no
    more than rounding is left, as where each cluster is fitted exactly.
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
    """The variance, 0 where it is no more than what rounding left of sums that are 0."""
    return variance if abs(variance) > _ROUNDING * float(contributions @ contributions) else 0.0


def positive_variance(contributions: Vector, clusters: Clusters, warnings: list[str]) -> float:
    """`clustered_variance`; where that of several dimensions is not positive, the sum of theirs one by one.

    The sum does not take off what the dimensions have in common, and so is never too small (Davezies, D'Haultfœuille
    and Guyonvarch 2021, Annals of Statistics 49).
    """
    variance = clustered_variance(contributions, clusters.codes)
    if variance > 0 or len(clusters.codes) < 2:
        return variance
    warnings.append(
        "Inclusion and exclusion of the clustering dimensions gives no positive variance; the variances by each of "
        "them are added instead, which errs on the wide side."
    )
    factor = clusters.fewest / (clusters.fewest - 1)
    return factor * math.fsum(clustered_variance(contributions, [codes], adjust=False) for codes in clusters.codes)


def linear_jackknife(contributions: Vector, clusters: Clusters, exposed: Vector | None) -> Vector | None:
    """(clusters,) what each has of the variance by leaving it out, to the first order; None where they are not few.

    Without a cluster that has a share h of an arm's sampling weight (of its rows where they weigh the same), the others
    of the arm weigh 1/(1 - h) times as much, so that the estimate moves by as many times what the cluster's rows of
    that arm contribute: exactly so for a difference of means. MacKinnon, Nielsen and Webb 2024, arXiv 2406.00650,
    linearise the jackknife of a logit in this way.
    """
    by_arm = clusters_by_arm(clusters.codes, exposed)
    if exposed is None or by_arm is None or len(clusters.codes) > 1 or by_arm.fewer < 2:
        return None
    if clusters.fewest >= FEW_CLUSTERS and by_arm.doubt() is None:
        return None
    codes, count = clusters.codes[0], clusters.counts[0]
    moved = np.zeros(count)
    for arm in (exposed == 0, exposed == 1):
        mass = np.bincount(codes, arm if clusters.weights is None else arm * clusters.weights, count)
        moved += np.bincount(codes, np.where(arm, contributions, 0.0), count) / (1.0 - mass / mass.sum())
    return np.asarray((count - 1) / count * np.square(moved))


def cluster_degrees(arms: Vector | None, clusters: Clusters, by_cluster: Vector | None) -> tuple[float, list[str]]:
    """The degrees of freedom of a clustered error and, where they are Welch's, a sentence that says so.

    Args:
        arms: (n,) the arm of each row, as `degrees_by_arm` takes it; None where there are none.
        clusters: groups of the rows.
        by_cluster: (clusters,) what each has of the variance, where few clusters were allowed for without being asked.
    """
    most, found = clusters.fewest - 1, None
    if by_cluster is not None and arms is not None:
        found = degrees_by_arm(clusters.codes[0], arms, by_cluster, clusters.weights)
    if found is None or found >= most:
        return float(most), []
    return found, [
        f"The t distribution has {found:.1f} degrees of freedom, which are Welch's over the clusters of the two arms; "
        f"the clusters less 1 are {most}."
    ]
