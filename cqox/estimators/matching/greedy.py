"""Greedy nearest-neighbour matching on a score without replacement.

The rows of one arm choose in turn, each the nearest row of the other arm that is still free; with several matches each,
everyone chooses once before anyone chooses again. That is `method = "nearest"` of MatchIt (Ho, Imai, King and Stuart
2007, doi:10.1093/pan/mpl013).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.data import Vector
from cqox.estimators.numerics.neighbors import Arm, Neighbors
from cqox.estimators.numerics.ties import TIE, tie_groups

__all__ = ["Assigned", "Greedy", "greedy_pairs"]

_BETWEEN_CHECKS = 4_096
_NONE = -1

type Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """Disjoint sets of matches, as `Neighbors`.

    Attributes:
        query, target: (pairs,) positions of the rows of each pair; no target twice.
        queries, targets: number of rows of each arm.
    """

    query: Positions
    target: Positions
    queries: int
    targets: int

    @property
    def counts(self) -> Vector:
        """(queries,) set sizes."""
        return np.bincount(self.query, minlength=self.queries).astype(np.float64)

    def sums(self, values: Vector) -> Vector:
        """Return (queries,) sums of (targets,) values over each set."""
        return np.bincount(self.query, values[self.target], self.queries)

    def spread(self, values: Vector) -> Vector:
        """Return (targets,) the (queries,) value of the row whose match a row is, 0 where it is none."""
        return np.bincount(self.target, values[self.query], self.targets)

    def one(self, query_keys: NDArray[np.uint64], target_keys: NDArray[np.uint64]) -> Positions:
        """Return (queries,) the nearest row of each set, -1 where it is empty; the keys have nothing to decide."""
        first = np.full(self.queries, _NONE, dtype=np.intp)
        first[self.query[::-1]] = self.target[::-1]
        return first


class Greedy:
    """Search without replacement, as `Search`.

    Args:
        scores: (untreated,) and (treated,) scores.
        turns: returns (rows,) positions of the rows of an arm in the order in which they choose.
        ranks: (rows,) of each arm; among rows as near, the lowest is chosen.
        groups: (rows,) of each arm, codes within which matches must be, -1 for rows without any; None for one group.
    """

    def __init__(
        self,
        scores: tuple[Vector, Vector],
        turns: Callable[[Arm], Positions],
        ranks: tuple[Positions, Positions],
        groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    ) -> None:
        self._scores, self._turns, self._ranks, self._groups = scores, turns, ranks, groups
        self._found: dict[tuple[Arm, Arm, int, float | None], Assigned] = {}

    def nearest(
        self, query: Arm, target: Arm, least: int, *, within: float | None = None, only: NDArray[np.bool_] | None = None
    ) -> Neighbors:
        """Return the matches of the rows of one arm in the other, at most `least` each.

        Leaving rows out by `only` would free their matches, and is not supported; nor is matching within an arm.
        """
        assert query != target
        assert only is None
        key = (query, target, least, within)
        if key not in self._found:
            self._found[key] = self._assigned(query, target, least, within)
        return self._found[key]

    def _assigned(self, query: Arm, target: Arm, least: int, within: float | None) -> Assigned:
        turns, pool = self._turns(query), np.arange(len(self._scores[target]))
        pairs = []
        for own, others in self._grouped(query, target, turns, pool):
            chosen, taken = greedy_pairs(
                self._scores[query][own], self._scores[target][others], self._ranks[target][others], least, within
            )
            pairs.append((own[chosen], others[taken]))
        parts = [np.concatenate([pair[side] for pair in pairs]) if pairs else pool[:0] for side in (0, 1)]
        return Assigned(query=parts[0], target=parts[1], queries=len(turns), targets=len(pool))

    def _grouped(self, query: Arm, target: Arm, turns: Positions, pool: Positions) -> list[tuple[Positions, Positions]]:
        if self._groups is None:
            return [(turns, pool)]
        own, other = self._groups[query][turns], self._groups[target]
        by_group = _split(own, turns), _split(other, pool)
        return [(by_group[0][code], by_group[1][code]) for code in by_group[0] if code in by_group[1]]


def _split(codes: NDArray[np.int64], positions: Positions) -> dict[int, Positions]:
    """Return the positions of each code from 0 on, in their order."""
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    parts = np.split(positions[order], starts[1:])
    return {code: part for code, part in zip(found.tolist(), parts, strict=True) if code >= 0}


def greedy_pairs(
    scores: Vector, pool: Vector, ranks: Positions, ratio: int, within: float | None
) -> tuple[Positions, Positions]:
    """Return the positions of the rows of each pair, earlier rounds first.

    Args:
        scores: (n,) of the rows that choose, in turn.
        pool: (m,) of the rows to choose from.
        ranks: (m,) of them; among rows as near, the lowest is chosen.
        ratio: most matches of a row.
        within: the farthest that a match may be; None for no limit.
    """
    groups, _ = tie_groups(pool)
    order = np.lexsort((ranks, groups))
    starts = np.searchsorted(groups[order], groups[order], side="left")
    ascending = pool[order][starts]
    free = _Free(ascending.tolist(), starts.tolist(), ranks[order].tolist())
    place = np.searchsorted(ascending, scores - TIE, side="left").tolist()
    values, most = scores.tolist(), np.inf if within is None else within
    chosen: list[int] = []
    taken: list[int] = []
    for count in range(ratio * len(values)):
        if count % _BETWEEN_CHECKS == 0:
            checkpoint()
        row = count % len(values)
        spot = free.nearest(values[row], place[row], most)
        if spot != _NONE:
            free.take(spot)
            chosen.append(row)
            taken.append(spot)
    return np.asarray(chosen, dtype=np.intp), order[np.asarray(taken, dtype=np.intp)]


class _Free:
    """The free rows of a sorted pool: the next on either side is found in nearly constant time (Tarjan 1975).

    Args:
        values: scores, ascending.
        starts: position of the first row with the same score.
        ranks: among rows of the same score ascending.
    """

    def __init__(self, values: list[float], starts: list[int], ranks: list[int]) -> None:
        self._values, self._starts, self._ranks = values, starts, ranks
        self._end = len(starts)
        self._above = list(range(self._end + 1))
        self._below = list(range(self._end + 1))

    def take(self, spot: int) -> None:
        """Take a free row."""
        self._above[spot] = spot + 1
        self._below[spot + 1] = spot

    def nearest(self, score: float, place: int, most: float) -> int:
        """Return the free row nearest to a score, that of the lowest rank among rows as near; -1 for none.

        Args:
            score: the score.
            place: position of the first row that is not below it.
            most: the farthest that a row may be.
        """
        above, below = _root(self._above, place), _root(self._below, place) - 1
        up = self._values[above] - score if above < self._end else np.inf
        down = np.inf
        if below >= 0:
            below = _root(self._above, self._starts[below])
            down = score - self._values[below]
        if min(abs(up), down) > most + TIE or (above == self._end and below < 0):
            return _NONE
        if abs(down - abs(up)) <= TIE:
            return above if self._ranks[above] < self._ranks[below] else below
        return above if abs(up) < down else below


def _root(parents: list[int], spot: int) -> int:
    while parents[spot] != spot:
        parents[spot] = parents[parents[spot]]
        spot = parents[spot]
    return spot
