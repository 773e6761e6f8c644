"""Standard errors from the contributions of a design's units: their clusters, and the covariance of their sums."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.clusters import Clusters, clustered_variance
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.panel.cohorts import Staggered
from cqox.estimators.panel.layout import Panel
from cqox.estimators.plan import Plan

__all__ = ["cluster_members", "unit_clusters", "unit_covariance", "unit_rows"]


def unit_clusters(plan: Plan, design: Staggered) -> Clusters:
    """Return the clusters of a design's units: the mapped ones, else each unit of a panel by itself.

    Raises:
        UnusableData: the units of a mapped cluster change over time.
    """
    found: list[tuple[Codes, int]] = []
    names = plan.data.names.get("cluster", ())
    for at, codes in enumerate(plan.data.clusters):
        own = design.of_units(design.sample.take(codes))
        if own is None:
            name = names[at] if at < len(names) else "cluster"
            raise UnusableData(Message("panel.cluster-changes", cluster=name))
        found.append(compress(own))
    weights = design.weights if plan.has("weights") else None
    adjust = plan.settings.cluster_factor
    if not found and isinstance(design, Panel):
        return Clusters(
            codes=(np.arange(design.units),), counts=(design.units,), mapped=False, weights=weights, adjust=adjust
        )
    return Clusters(
        codes=tuple(codes for codes, _ in found),
        counts=tuple(count for _, count in found),
        weights=weights,
        adjust=adjust,
    )


def cluster_members(design: Staggered, clusters: Clusters) -> Sequence[NDArray[np.bool_]]:
    """Return (cohorts, clusters) which clusters have units in which cohorts, for each mapped dimension."""
    members = []
    for codes, count in zip(clusters.codes, clusters.counts, strict=True):
        if not clusters.mapped:
            continue
        member = np.zeros((len(design.cohorts), count), dtype=np.bool_)
        for at, cohort in enumerate(design.cohorts):
            member[at, codes[cohort.units]] = True
        members.append(member)
    return members


def unit_rows(design: Staggered, contributions: Vector) -> Vector:
    """Return (rows of the sample,) each unit's contribution in its first row, 0 in its other rows."""
    result = np.zeros(design.sample.n)
    result[design.first_rows] = contributions
    return result


def unit_covariance(rows: Matrix, clusters: Clusters, *, clustered: bool) -> Matrix:
    """Return the (k, k) covariance of estimates from (k, units) contributions; NaN if there is a single cluster.

    Args:
        rows: contributions of the units.
        clusters: of the units.
        clustered: True if errors may be correlated within clusters, which brings the factor of CRV1.
    """
    if not clustered:
        return np.asarray(rows @ rows.T)
    if clusters.fewest < 2:
        return np.full((len(rows), len(rows)), np.nan)
    factor = clusters.factor
    if not clusters.mapped:
        return np.asarray(rows @ rows.T * factor)
    if len(clusters.codes) == 1:
        sums = np.stack([np.bincount(clusters.codes[0], row, clusters.counts[0]) for row in rows])
        return np.asarray(sums @ sums.T * factor)
    # By the variances of sums: cov(a, b) = (var(a + b) - var(a) - var(b)) / 2.
    own = np.asarray([clustered_variance(row, clusters.codes, adjust=clusters.adjust) for row in rows])
    result = np.diag(own)
    for a in range(len(rows)):
        for b in range(a):
            both = clustered_variance(rows[a] + rows[b], clusters.codes, adjust=clusters.adjust)
            result[a, b] = result[b, a] = (both - own[a] - own[b]) / 2
    return result
