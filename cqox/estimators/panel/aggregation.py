"""Aggregation of group-time effects, with standard errors and covariances.

Each average weights its effects by cohort size, which is estimated too; its contribution to the units' influence
function is Callaway and Sant'Anna 2021, doi 10.1016/j.jeconom.2020.12.001, section 4 and corollary 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel.group_time import GroupTimes
from cqox.estimators.panel.influence_factors import Part
from cqox.estimators.panel.unit_errors import unit_covariance

__all__ = [
    "Average",
    "Family",
    "by_calendar",
    "by_event",
    "by_group",
    "contributions",
    "corrected_covariance",
    "covariance",
    "errors",
    "over",
    "simple",
]

_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """A weighted average of effects.

    Attributes:
        value: in the panel's scale.
        weights: (cells,) of the effects.
        by_size: (cohorts,) derivative by a cohort's size: a unit there contributes its weight times this.
    """

    value: float
    weights: Vector
    by_size: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of averages, and their overall average.

    Attributes:
        at: the key of each: event times, cohort numbers, or positions of periods.
        averages: one for each key.
        overall: the average after the start of treatment; None where there is none.
        plain: True if the overall one is their unweighted mean, rather than one by cohort size.
    """

    at: tuple[int, ...]
    averages: tuple[Average, ...]
    overall: Average | None
    plain: bool = True


def over(found: GroupTimes, kept: NDArray[np.bool_]) -> Average:
    """Return the average of some effects by the sizes of their cohorts."""
    cohort = found.cells.cohort
    mass = np.asarray([each.mass for each in found.panel.cohorts])
    total = float(mass[cohort[kept]].sum())
    weights = np.where(kept, mass[cohort] / total, 0.0)
    value = float(weights @ found.effects)
    count = np.bincount(cohort[kept], minlength=len(mass))
    sums = np.bincount(cohort[kept], found.effects[kept], len(mass))
    return Average(value=value, weights=weights, by_size=(sums - count * value) / total)


def _mean(averages: Sequence[Average]) -> Average | None:
    """Return the unweighted mean of averages."""
    if not averages:
        return None
    return Average(
        value=float(np.mean([each.value for each in averages])),
        weights=np.mean([each.weights for each in averages], axis=0),
        by_size=np.mean([each.by_size for each in averages], axis=0),
    )


def simple(found: GroupTimes) -> Average:
    """Return the average of all effects after the start of treatment."""
    return over(found, found.cells.event >= 0)


def by_event(found: GroupTimes, window: int | None) -> Family:
    """Return averages by event time, within the event window; overall from event time 0 on."""
    event = found.cells.event
    inside = np.unique(event if window is None else event[np.abs(event) <= window])
    averages = tuple(over(found, event == at) for at in inside)
    after = [each for at, each in zip(inside, averages, strict=True) if at >= 0]
    return Family(at=tuple(inside.tolist()), averages=averages, overall=_mean(after))


def by_group(found: GroupTimes) -> Family:
    """Return averages by cohort, each the unweighted mean over its treated periods; overall by cohort size."""
    cells, cohorts = found.cells, found.panel.cohorts
    after = cells.event >= 0
    groups = np.unique(cells.cohort[after])
    averages = []
    for group in groups:
        own = after & (cells.cohort == group)
        weights = own / own.sum()
        averages.append(Average(value=float(weights @ found.effects), weights=weights, by_size=np.zeros(len(cohorts))))
    mass = np.asarray([cohorts[group].mass for group in groups])
    values = np.asarray([each.value for each in averages])
    share = mass / mass.sum()
    value = float(share @ values)
    by_size = np.zeros(len(cohorts))
    by_size[groups] = (values - value) / mass.sum()
    overall = Average(value=value, weights=share @ np.stack([each.weights for each in averages]), by_size=by_size)
    return Family(at=tuple(groups.tolist()), averages=tuple(averages), overall=overall,
                  plain=False)  # fmt: skip


def by_calendar(found: GroupTimes) -> Family:
    """Return averages by period, over the cohorts treated by then; overall the unweighted mean over periods."""
    cells = found.cells
    after = cells.event >= 0
    periods = np.unique(cells.period[after])
    averages = tuple(over(found, after & (cells.period == period)) for period in periods)
    return Family(at=tuple(periods.tolist()), averages=averages, overall=_mean(averages))


def contributions(found: GroupTimes, average: Average) -> Vector:
    """Return the (units,) contributions to an average, in the panel's scale."""
    return np.concatenate(
        [
            part.combined(average.weights[None], average.by_size[at : at + 1])[0] @ part.right
            for at, part in enumerate(found.parts)
        ]
    )


def covariance(found: GroupTimes, averages: Sequence[Average], clusters: Clusters, *, clustered: bool) -> Matrix:
    """Return the (k, k) covariance of some averages, in the panel's scale; NaN if there is a single cluster."""
    if not averages:
        return np.empty((0, 0))
    weights = np.stack([each.weights for each in averages])
    by_size = np.stack([each.by_size for each in averages])
    lefts = [part.combined(weights, by_size[:, at]) for at, part in enumerate(found.parts)]
    if not clustered or not clusters.mapped:
        total = np.sum([_of_units(left, part) for left, part in zip(lefts, found.parts, strict=True)], axis=0)
        return np.asarray(total * (clusters.factor if clustered else 1.0))
    return _of_clusters(found, lefts, clusters)


def corrected_covariance(
    found: GroupTimes,
    few: Sequence[Average],
    others: Sequence[Average],
    counts: Matrix,
    clusters: Clusters,
    *,
    clustered: bool,
) -> Matrix:
    """Return the (m + k, m + k) covariance of averages of few units and of others, in the panel's scale.

    Residual variances of n units are too small by (n-1)/n in expectation, which `covariance` does not correct, as in
    other programs; this matters where a cohort has few units, and is corrected in the first m. The cohorts' sizes are
    taken as known there: their contribution is 0 where no effect differs from 0, and with few units it would count
    noise twice.

    Args:
        few: the averages whose cells are corrected.
        others: the averages that are not.
        counts: (cells, 2) treated and comparison units, or clusters of them, of each cell.
    """
    stretch = np.sqrt(counts / np.maximum(counts - 1.0, 1.0))
    plain = np.sqrt(clusters.factor) if clustered else 1.0
    weights = np.stack([each.weights for each in (*few, *others)])
    by_size = np.stack([each.by_size for each in (*few, *others)])
    by_size[: len(few)] = 0.0
    by_size[len(few) :] *= plain
    lefts = []
    for at, part in enumerate(found.parts):
        own = weights * np.where(found.cells.cohort == at, stretch[:, 0], stretch[:, 1])
        own[len(few) :] = weights[len(few) :] * plain
        lefts.append(part.combined(own, by_size[:, at]))
    if not clustered or not clusters.mapped:
        return np.sum([_of_units(left, part) for left, part in zip(lefts, found.parts, strict=True)], axis=0)
    return np.asarray(_of_clusters(found, lefts, clusters) / clusters.factor)


def errors(found: GroupTimes, clusters: Clusters, *, clustered: bool) -> Vector:
    """Return (cells,) standard errors of the effects themselves; NaN where there is none."""
    count = len(found.effects)
    variances = np.zeros(count)
    if not clustered or not clusters.mapped:
        for part in found.parts:
            if part.left is None:
                variances[part.cells] += np.einsum("ij,ij->i", part.right[:-1], part.right[:-1])
            else:
                square = part.right @ part.right.T if part.square is None else part.square
                variances[part.cells] += np.einsum("ij,ij->i", part.left @ square, part.left)
        variances *= clusters.factor if clustered else 1.0
    else:
        for start in range(0, count, _BLOCK):
            weights = np.eye(min(_BLOCK, count - start), count, start)
            lefts = [part.combined(weights, np.zeros(len(weights))) for part in found.parts]
            variances[start : start + len(weights)] = np.diag(_of_clusters(found, lefts, clusters))
    variances[found.cells.reference] = np.nan
    return np.sqrt(np.where(variances > 0, variances, np.nan))


def _of_units(left: Matrix, part: Part) -> Matrix:
    """Return the (k, k) contribution of a cohort's units to a covariance."""
    if part.square is not None:
        return np.asarray(left @ part.square @ left.T)
    rows = left @ part.right
    return np.asarray(rows @ rows.T)


def _of_clusters(found: GroupTimes, lefts: Sequence[Matrix], clusters: Clusters) -> Matrix:
    if len(clusters.codes) > 1:
        units = np.hstack([left @ part.right for left, part in zip(lefts, found.parts, strict=True)])
        return unit_covariance(units, clusters, clustered=True)
    codes, count = clusters.codes[0], clusters.counts[0]
    total = np.zeros((len(lefts[0]), count))
    for cohort, part, left in zip(found.panel.cohorts, found.parts, lefts, strict=True):
        own = codes[cohort.units]
        if len(part.right) < len(left):
            total += left @ np.stack([np.bincount(own, row, count) for row in part.right])
        else:
            total += np.stack([np.bincount(own, row, count) for row in left @ part.right])
    return np.asarray(total @ total.T * clusters.factor)
