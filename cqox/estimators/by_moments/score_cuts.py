"""Cuts between strata of the propensity score: quantiles of an expression that only sums of rows are known of.

The rows are counted between many scores, in a few passes, until few enough lie around the quantiles. The weights of
these rows by score are read, so that the cuts are those of the rows in memory, ties included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.adjustment.score_strata import group_strata
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector
from cqox.estimators.numerics.moments import Constant, Expr, Is, Moments, case, linear
from cqox.estimators.numerics.ties import TIE, tie_groups

__all__ = ["MOST_ROWS", "Cuts", "score_cuts", "stepped"]

MOST_ROWS = 200_000
"""Number of rows around the quantiles up to which their scores are read."""
_PARTS = 256
_FEWEST_PARTS = 8
_MARGIN = 1_000 * TIE


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Scores that strata end at, ascending; equal ones have no rows between them.

    Attributes:
        at: (strata - 1,) a stratum has the scores above the cut before it, up to its own.
        below, above: (strata - 1,) the next scores that rows have on both sides of each cut; NaN where none has.
        lowest, highest: scores of all rows.
    """

    at: Vector
    below: Vector
    above: Vector
    lowest: float
    highest: float


def stepped(of: Expr, edges: Sequence[float], values: Sequence[Expr]) -> Expr:
    """Return the value whose place is the number of ascending edges that an expression is above.

    A row is compared with a logarithm of their number.

    Args:
        of: the expression.
        edges: the edges.
        values: one more than there are edges.
    """
    if not edges:
        return values[0]
    middle = len(edges) // 2
    return case(
        Is(of, ">", edges[middle]),
        stepped(of, edges[:middle], values[: middle + 1]),
        stepped(of, edges[middle + 1 :], values[middle + 1 :]),
    )


def score_cuts(source: Moments, e: Expr, weight: Expr | None, rows: int, count: int) -> Cuts:
    """Return where rows are cut into quantile groups of a score, as `group_strata` groups them.

    Args:
        source: the rows.
        e: the score of each.
        weight: of each; None for equal weights.
        rows: their number.
        count: number of groups.

    Raises:
        NotByMoments: the scores around a quantile are tied with more of them than are read.
    """
    return _Search(source, e, weight, rows, count).cuts()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    """Scores above `low`, up to `high`, around the boundaries before some groups.

    Attributes:
        before: weight of the rows with lower scores.
        boundaries: numbers of these groups.
    """

    low: float
    high: float
    before: float
    boundaries: NDArray[np.intp]

    @property
    def wide(self) -> bool:
        """True if it can be narrowed."""
        return self.high - self.low > TIE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The (m,) scores around an interval, ascending, with the weight of their rows.

    Attributes:
        scores, mass: the scores and the weights.
        before: weight of the rows with lower scores.
    """

    scores: Vector
    mass: Vector
    before: float


class _Search:
    """The search for the cuts."""

    def __init__(self, source: Moments, e: Expr, weight: Expr | None, rows: int, count: int) -> None:
        self.source, self.e, self.count, self.rows = source, e, count, rows
        self.summed = [] if weight is None else [weight]
        self.negative = linear([(-1.0, e)])
        highest, lowest = source.sums([], [e, self.negative]).largest.tolist()
        self.lowest, self.highest = -lowest, highest
        self.total = math.nan

    def cuts(self) -> Cuts:
        """Return the cuts."""
        boundaries = np.arange(1, self.count)
        whole = _Interval(low=self.lowest - _MARGIN, high=self.highest + _MARGIN, before=0.0, boundaries=boundaries)
        intervals, rows = [whole], float(self.rows)
        while rows > MOST_ROWS and any(each.wide for each in intervals):
            checkpoint()
            intervals, rows = self._narrowed(intervals)
        scores, mass = self._read([] if intervals == [whole] else intervals)
        if intervals == [whole]:
            self.total = float(mass.sum())
        at, below, above = (np.full(self.count - 1, np.nan) for _ in range(3))
        for interval in intervals:
            around = _around(interval, scores, mass)
            for boundary, place in zip(interval.boundaries, self._places(interval, around), strict=True):
                lower, upper = around.scores[:place], around.scores[place:]
                at[boundary - 1] = upper[0] - TIE / 2 if len(upper) else lower[-1] + TIE / 2
                below[boundary - 1] = lower[-1] if len(lower) else np.nan
                above[boundary - 1] = upper[0] if len(upper) else np.nan
        return self._with_neighbours(at, below, above)

    def _narrowed(self, intervals: Sequence[_Interval]) -> tuple[list[_Interval], float]:
        """Return the parts of intervals that hold a boundary, and the number of their rows."""
        parts = max(_PARTS // len(intervals), _FEWEST_PARTS)
        edges = np.unique([np.linspace(each.low, each.high, parts + 1) for each in intervals]).tolist()
        codes = stepped(self.e, edges, [Constant(float(part)) for part in range(len(edges) + 1)])
        found = self.source.grouped(self.summed, [codes])
        place = found[:, 0].astype(np.intp)
        rows, mass = np.zeros(len(edges) + 1), np.zeros(len(edges) + 1)
        rows[place], mass[place] = found[:, 1], found[:, -1]
        reached = np.cumsum(mass)
        self.total = float(reached[-1])
        boundaries = np.arange(1, self.count)
        holding = np.searchsorted(reached, boundaries / self.count * self.total)
        narrowed = [
            _Interval(
                low=edges[part - 1], high=edges[part], before=float(reached[part - 1]),
                boundaries=boundaries[holding == part],
            )
            for part in np.unique(holding).tolist()
        ]  # fmt: skip
        return narrowed, float(rows[np.unique(holding)].sum())

    def _read(self, intervals: Sequence[_Interval]) -> tuple[Vector, Vector]:
        """Return the (m,) scores in and around some intervals, ascending, and the weights; of all rows without any."""
        source = self.source
        if intervals:
            edges = list[float]()
            for each in intervals:
                low, high = each.low - _MARGIN, each.high + _MARGIN
                if edges and low <= edges[-1]:
                    edges[-1] = high
                else:
                    edges += [low, high]
            inside = stepped(self.e, edges, [Constant(float(part % 2)) for part in range(len(edges) + 1)])
            source = source.where(Is(inside, "=", 1.0))
        found = source.grouped(self.summed, [self.e])
        return found[:, 0], found[:, -1]

    def _places(self, interval: _Interval, around: _Read) -> list[int]:
        """Return the number of scores around an interval that are below each of its boundaries."""
        groups, size = tie_groups(around.scores)
        mass = np.bincount(groups, around.mass, size)
        first = np.searchsorted(groups, np.arange(size))

        def neighbours(group: int) -> tuple[float, float] | None:
            last = first[group + 1] if group + 1 < size else len(groups)
            lower = float(around.scores[first[group] - 1]) if group else self._below([around.scores[0] - TIE / 2])[0]
            upper = float(around.scores[last]) if last < len(groups) else self._above([around.scores[-1] + TIE / 2])[0]
            apart = float(around.scores[first[group]]) - lower, upper - float(around.scores[last - 1])
            return None if math.isnan(sum(apart)) else apart

        strata = group_strata(around.before + np.cumsum(mass) - mass, mass, self.total, self.count, neighbours)
        places = []
        for group in np.searchsorted(strata, interval.boundaries).tolist():
            # What lies beyond the scores that were read may be tied with the first or the last of them.
            cut_short = (
                around.scores[0] <= interval.low - _MARGIN + TIE
                if group == 0
                else group == size and around.scores[-1] >= interval.high + _MARGIN - TIE
            )
            if cut_short:
                raise NotByMoments(Message("by_moments.many-numbers", rows=self.rows, columns=1, most=MOST_ROWS))
            places.append(int(first[group]) if group < size else len(groups))
        return places

    def _with_neighbours(self, at: Vector, below: Vector, above: Vector) -> Cuts:
        """Return the cuts, after the next scores that were not read are looked up."""
        for values, look_up in ((below, self._below), (above, self._above)):
            missing = np.isnan(values)
            if missing.any():
                values[missing] = look_up(at[missing].tolist())
        return Cuts(at=at, below=below, above=above, lowest=self.lowest, highest=self.highest)

    def _below(self, scores: Sequence[float]) -> list[float]:
        """Return the highest score of a row up to each of some; NaN where there is none."""
        none = Constant(self.lowest - 1.0)
        found = self.source.sums([], [case(Is(self.e, ">", each), self.e, none) for each in scores]).largest.tolist()
        return [each if each >= self.lowest else math.nan for each in found]

    def _above(self, scores: Sequence[float]) -> list[float]:
        """Return the lowest score of a row above each of some; NaN where there is none."""
        none = Constant(-self.highest - 1.0)
        wanted = [case(Is(self.e, ">", each), none, self.negative) for each in scores]
        found = self.source.sums([], wanted).largest.tolist()
        return [-each if -each <= self.highest else math.nan for each in found]


def _around(interval: _Interval, scores: Vector, mass: Vector) -> _Read:
    first, inside, last = np.searchsorted(
        scores, [interval.low - _MARGIN, interval.low, interval.high + _MARGIN], side="right"
    )
    return _Read(
        scores=scores[first:last], mass=mass[first:last], before=interval.before - float(mass[first:inside].sum())
    )
