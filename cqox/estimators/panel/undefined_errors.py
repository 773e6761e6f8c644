"""Effects over time without a standard error: those with a single treated or a single comparison unit.

The residual of a single unit from its own mean is 0, so that the estimated variance of a comparison with one treated
unit is that of its comparison units alone, for any variance of such units (MacKinnon and Webb 2017, doi
10.1002/jae.2508). In an average over several cohorts by size, the deviations of the effects from the average also
contribute, so that such units contribute to the estimated variance. A mean of several effects has no standard error if
more than half of its variance, under equal unit variances, is of effects that have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Settings, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel.aggregation import Average, Family
from cqox.estimators.panel.group_time import GroupTimes
from cqox.estimators.panel.unit_errors import cluster_members

__all__ = ["UndefinedErrors", "cell_counts", "undefined_reason"]

_SIDES = ("treated", "untreated")
_MOST_LONE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lone:
    """A single unit on one side of an effect, or of most of the effects in a mean.

    Attributes:
        unit: the word for a unit or cluster.
        side: one of `_SIDES`.
        mostly: True if some effects in the mean have a standard error.
    """

    unit: Message
    side: str
    mostly: bool = False

    @property
    def reason(self) -> Message:
        """The absence of a standard error, a sentence."""
        if self.mostly:
            if self.side == "treated":
                return Message("panel.mostly-one-treated", unit=self.unit)
            return Message("panel.mostly-one-untreated", unit=self.unit)
        if self.side == "treated":
            return Message("panel.only-one-treated", unit=self.unit)
        return Message("panel.only-one-untreated", unit=self.unit)


class UndefinedErrors:
    """Reasons for the absence of a standard error of group-time effects and their averages."""

    def __init__(self, found: GroupTimes, clusters: Clusters, settings: Settings) -> None:
        """Set up.

        Args:
            found: the effects by cohort and period.
            clusters: of the units.
            settings: the requested standard error.
        """
        self._found, self._settings = found, settings
        self._counts = cell_counts(found, clusters, clustered=True)
        self._members = cluster_members(found.panel, clusters)
        self._lone = (self._counts.min(axis=1) <= 1) & ~found.cells.reference & _by_rule(settings)
        self._word = Message("panel.cluster") if clusters.codes and clusters.mapped else found.panel.word

    @property
    def cells(self) -> NDArray[np.bool_]:
        """The (cells,) mask of effects without a standard error."""
        return self._lone

    def of_cell(self, at: int) -> Message | None:
        """Return why an effect has no standard error, a sentence; None where it has one."""
        if not self._lone[at]:
            return None
        return _Lone(unit=self._word, side=_SIDES[0 if self._counts[at, 0] <= 1 else 1]).reason

    def of(self, average: Average) -> Message | None:
        """Return why an average over cohorts has no standard error, a sentence; None where it has one."""
        return _reason(self._lone_of(average))

    def _lone_of(self, average: Average) -> _Lone | None:
        if not self._lone.any():
            return None
        weights, counts, cells = average.weights * ~self._found.cells.reference, self._counts, self._found.cells
        cohorts = np.unique(cells.cohort[weights != 0])
        if len(cohorts) > 1:
            together = min((int(np.count_nonzero(own[cohorts].any(axis=0))) for own in self._members), default=2)
            counts = np.stack([np.full(len(counts), float(together)), counts[:, 1]], axis=1)
        return _lone(weights, counts, self._settings, self._word)

    def of_family(self, family: Family) -> tuple[list[Message | None], Message | None]:
        """Return the reasons for the averages of a family, and for the overall one."""
        each = [self._lone_of(average) for average in family.averages]
        return [_reason(lone) for lone in each], _reason(self._lone_of_overall(family, each))

    def _lone_of_overall(self, family: Family, each: Sequence[_Lone | None]) -> _Lone | None:
        if family.overall is None:
            return None
        if not family.plain:
            return self._lone_of(family.overall)
        after = family.overall.weights != 0
        inside = [at for at, average in enumerate(family.averages) if average.weights[after].any()]
        lone = [at for at in inside if each[at] is not None]
        if not lone or self._adds(family, lone) <= _MOST_LONE * self._adds(family, inside):
            return None
        first = each[lone[0]]
        return first if first is None or len(lone) == len(inside) else replace(first, mostly=True)

    def _adds(self, family: Family, places: Sequence[int]) -> float:
        """Return the variance that the treated units of some averages add to their sum, under equal unit variances."""
        weights = np.stack([family.averages[at].weights for at in places])
        return float(np.sum(weights**2 / np.maximum(self._counts[:, 0], 1.0)))


def _reason(lone: _Lone | None) -> Message | None:
    return None if lone is None else lone.reason


def _by_rule(settings: Settings) -> bool:
    """Return False if the requested error assumes a single unit's deviation to be zero."""
    return settings.se in ("auto", "CRV3")


def undefined_reason(weights: Vector, counts: Matrix, settings: Settings, word: Message) -> Message | None:
    """Return why a mean of comparisons has no standard error, a sentence; None where it has one.

    Args:
        weights: (cells,) of the comparisons in it.
        counts: (cells, 2) treated and comparison units, or clusters of them, of each comparison.
        settings: the requested standard error.
        word: the word for a unit or cluster.
    """
    return _reason(_lone(weights, counts, settings, word))


def _lone(weights: Vector, counts: Matrix, settings: Settings, word: Message) -> _Lone | None:
    kept = weights != 0
    if not _by_rule(settings) or not kept.any():
        return None
    for side, own in zip(_SIDES, counts[kept].T, strict=True):
        adds = weights[kept] ** 2 / np.maximum(own, 1.0)
        lone = own <= 1
        if float(adds[lone].sum()) <= _MOST_LONE * float(adds.sum()):
            continue
        return _Lone(unit=word, side=side, mostly=not lone.all())
    return None


def cell_counts(found: GroupTimes, clusters: Clusters, *, clustered: bool) -> Matrix:
    """Return (cells, 2) treated and comparison units, or mapped clusters of them if these are fewer.

    Args:
        found: the effects by cohort and period.
        clusters: of the units; of several dimensions the one with the fewest counts.
        clustered: True if errors may be correlated within clusters.
    """
    counts = found.rows.astype(np.float64)
    if not clustered:
        return counts
    cells = found.cells
    patterns, which = np.unique(cells.controls, axis=0, return_inverse=True)
    for member in cluster_members(found.panel, clusters):
        against = np.asarray([np.count_nonzero(member[pattern].any(axis=0)) for pattern in patterns])
        of_each = np.stack([member.sum(axis=1)[cells.cohort], against[which.reshape(-1)]], axis=1)
        counts = np.minimum(counts, of_each)
    return counts
