"""Nearest-neighbour search with ties, among the rows of an arm: on the line and in space.

On the line the neighbours of a score are a contiguous range of the sorted rows, so that sums over them are differences
of cumulative sums. In space, rows with equal coordinates form a cell, and a k-d tree of the cells, or a matrix product,
finds the nearest.
Either search returns `Neighbors`: sums over each row's neighbours, and their transpose.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.array_store import drop_pages, empty, spill
from cqox.estimators.numerics.nearest_by_products import nearest_by_products, worthwhile
from cqox.estimators.numerics.ties import TIE

if TYPE_CHECKING:
    from scipy.spatial import KDTree

__all__ = ["Arm", "Line", "Neighbors", "Search", "Space", "other_arm"]

type Arm = Literal[0, 1]
"""Untreated or treated."""

_BLOCK = 65_536
"""Queries per batch on the line."""

_SPARE = 4
_NEAR = 1e-9
"""Distances in space that differ by less count as ties; they are of the order of 1."""


def other_arm(arm: Arm) -> Arm:
    """Return the arm that this one is compared with."""
    return 0 if arm else 1


class Neighbors(Protocol):
    """For each row of one arm, a set of neighbours in an arm, possibly the same one."""

    @property
    def counts(self) -> Vector:
        """(queries,) set sizes; 0 where the row was not searched or has no neighbour within the caliper."""
        ...

    def sums(self, values: Vector) -> Vector:
        """Return (queries,) sums of (targets,) values over each set."""
        ...

    def spread(self, values: Vector) -> Vector:
        """Return (targets,) sums of (queries,) values over the sets that contain a row."""
        ...

    def one(self, query_keys: NDArray[np.uint64], target_keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return (queries,) one row of each set, -1 where it is empty.

        Queries with the same set get different rows of it as long as there are any. The (queries,) and (targets,) keys
        decide the assignment, so that row order does not.
        """
        ...


class Search(Protocol):
    """Finds nearest neighbours and caches the results."""

    def nearest(
        self, query: Arm, target: Arm, least: int, *, within: float | None = None, only: NDArray[np.bool_] | None = None
    ) -> Neighbors:
        """Return the nearest rows of the target arm to each row of the query arm.

        Args:
            query: the arm whose neighbours are searched; a row is its own nearest neighbour if it is the target arm,
                too.
            target: the arm of the neighbours.
            least: how many to find, in addition to ties with the last of them.
            within: the caliper; None for no maximum distance.
            only: (queries,) rows to search for; the others may come out without neighbours. All where None.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretches:
    """Sets that are contiguous ranges of the sorted rows of the target arm.

    Attributes:
        order: (targets,) positions that sort them.
        values: (targets,) their scores, sorted.
        left, right: (queries,) ends of each range.
    """

    order: NDArray[np.intp]
    values: Vector
    left: NDArray[np.integer]
    right: NDArray[np.integer]

    @property
    def counts(self) -> Vector:
        return (self.right - self.left).astype(np.float64)

    def sums(self, values: Vector) -> Vector:
        running = np.zeros(len(values) + 1)
        np.cumsum(values[self.order], out=running[1:])
        result: Vector = running[self.right]
        for s in _blocks(len(result)):
            result[s] -= running[self.left[s]]
        return result

    def spread(self, values: Vector) -> Vector:
        size = len(self.order) + 1
        steps = np.bincount(self.left, values, size)
        steps -= np.bincount(self.right, values, size)
        result = np.empty(len(self.order))
        result[self.order] = np.cumsum(steps, out=steps)[:-1]
        return result

    def one(self, query_keys: NDArray[np.uint64], target_keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        size, order = self.right - self.left, self.order
        place = self.left.astype(np.intp)
        several = np.flatnonzero(size > 1)
        if len(several):
            # Tied scores are in a set together or not at all, so that keys may order them.
            groups = np.cumsum(np.diff(self.values, prepend=self.values[:1]) > TIE)
            order = order[np.lexsort((target_keys[order], groups))]
            sets = self.left[several] * np.int64(len(order) + 1) + self.right[several]
            place[several] += _turns(sets, query_keys[several]) % size[several]
        return np.where(size > 0, order[np.minimum(place, len(order) - 1)], -1)


class Line:
    """Search by a scalar score."""

    def __init__(self, control: Vector, treated: Vector) -> None:
        orders = tuple(spill(np.argsort(values, kind="stable")) for values in (control, treated))
        self._orders = orders
        self._sorted = spill(control[orders[0]]), spill(treated[orders[1]])
        self._places: dict[tuple[Arm, Arm], NDArray[np.int32]] = {}
        self._found: dict[tuple[Arm, Arm, int, float | None], _Stretches] = {}

    def nearest(
        self, query: Arm, target: Arm, least: int, *, within: float | None = None, only: NDArray[np.bool_] | None = None
    ) -> Neighbors:
        """Return the nearest rows of the target arm to each row of the query arm, as `Search` specifies."""
        key = (query, target, least, within)
        if key not in self._found:
            self._found[key] = self._stretches(query, target, least, within)
        return self._found[key]

    def _stretches(self, query: Arm, target: Arm, least: int, within: float | None) -> _Stretches:
        among, order, places = self._sorted[target], self._orders[query], self._placed(query, target)
        # Many searches are cached, and so are their ends; int32 is enough, as matching refuses larger samples.
        left, right = empty(len(order)).view(np.int32).reshape(2, len(order))
        few = min(least, len(among))
        for s in _blocks(len(order)):
            sought = self._sorted[query][s]
            first, reach = _reach(sought, among, places[s], few)
            if within is not None:
                np.minimum(reach, within, out=reach)
            left[order[s]] = _corrected(first, among, sought - reach - TIE, "left")
            right[order[s]] = _corrected(first + few, among, sought + reach + TIE, "right")
        drop_pages()
        return _Stretches(order=self._orders[target], values=among, left=left, right=right)

    def _placed(self, query: Arm, target: Arm) -> NDArray[np.int32]:
        """Return (queries,) how many rows of the target arm have a lower score than each row of the sorted query
        arm."""
        if (query, target) not in self._places:
            # Sorted queries walk through the sorted targets once, which is cache-friendly.
            found = np.searchsorted(self._sorted[target], self._sorted[query])
            self._places[query, target] = spill(found.astype(np.int32))
        return self._places[query, target]


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _turns(sets: NDArray[np.integer], keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return (queries,) the rank of each query among those with the same set, in the order of their keys."""
    order = np.lexsort((keys, sets))
    ordered = sets[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    turns = np.empty(len(sets), dtype=np.intp)
    turns[order] = np.arange(len(sets)) - np.repeat(starts, np.diff(np.append(starts, len(sets))))
    return turns


def _reach(sought: Vector, among: Vector, places: NDArray[np.int32], least: int) -> tuple[NDArray[np.int32], Vector]:
    """Return (queries,) the start of the `least` nearest of some sorted values, by bisection, and the distance to the
    last of them.

    Args:
        sought: (queries,) the queries.
        among: (targets,) the values, ascending.
        places: (queries,) the number of lower values.
        least: at most all values.
    """
    last = len(among) - least
    low, high = np.clip(places - least, 0, last), np.minimum(places, last)
    for _ in range(least.bit_length()):
        half = (low + high) // 2
        beyond = among[np.minimum(half + least, len(among) - 1)] - sought
        later = (low < high) & (sought - among[half] > beyond)
        low, high = np.where(later, half + 1, low), np.where(later | (low >= high), high, half)
    return low, np.maximum(sought - among[low], among[low + least - 1] - sought)


def _corrected(
    guess: NDArray[np.int32], among: Vector, bounds: Vector, side: Literal["left", "right"]
) -> NDArray[np.integer]:
    """Return (queries,) the places of bounds among sorted values, as `np.searchsorted` does; only wrong guesses are
    searched for."""
    last = len(among) - 1
    lower, upper = among[np.maximum(guess - 1, 0)], among[np.minimum(guess, last)]
    if side == "left":
        wrong = (lower >= bounds) & (guess > 0) | (upper < bounds) & (guess <= last)
    else:
        wrong = (lower > bounds) & (guess > 0) | (upper <= bounds) & (guess <= last)
    if wrong.any():
        guess = guess.copy()
        guess[wrong] = np.searchsorted(among, bounds[wrong], side)
    return guess


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """The rows of an arm grouped by their coordinates.

    Attributes:
        codes: (n,) the cell of each row.
        sizes: (cells,) rows in each.
        places: (cells, dimensions).
    """

    codes: NDArray[np.intp]
    sizes: NDArray[np.intp]
    places: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """Sets that are lists of cells of the target arm, one list for each cell of the query arm.

    Attributes:
        query, target: the cells of both arms.
        looked: (lists,) which cells of the query arm have a list, ascending.
        lengths: (lists,) cells in each list, at least 1.
        members: the lists, one after the other.
        counts: (queries,) rows in each row's set.
    """

    query: _Cells
    target: _Cells
    looked: NDArray[np.intp]
    lengths: NDArray[np.intp]
    members: NDArray[np.intp]
    counts: Vector

    def sums(self, values: Vector) -> Vector:
        return self._sums(np.bincount(self.target.codes, values, len(self.target.sizes)))

    def _sums(self, by_cell: Vector) -> Vector:
        result = np.zeros(len(self.query.sizes))
        result[self.looked] = np.add.reduceat(by_cell[self.members], np.cumsum(self.lengths) - self.lengths)
        return np.asarray(result[self.query.codes])

    def spread(self, values: Vector) -> Vector:
        by_cell = np.bincount(self.query.codes, values, len(self.query.sizes))[self.looked]
        return np.bincount(self.members, np.repeat(by_cell, self.lengths), len(self.target.sizes))[self.target.codes]

    def one(self, query_keys: NDArray[np.uint64], target_keys: NDArray[np.uint64]) -> NDArray[np.intp]:
        result = np.full(len(self.query.codes), -1, dtype=np.intp)
        lists = np.full(len(self.query.sizes), -1, dtype=np.intp)
        lists[self.looked] = np.arange(len(self.looked))
        own = lists[self.query.codes]
        asked = np.flatnonzero(own >= 0)
        own = own[asked]
        ends = np.cumsum(self.target.sizes[self.members])
        starts = (ends - self.target.sizes[self.members])[np.cumsum(self.lengths) - self.lengths]
        place = starts[own] + _turns(own, query_keys[asked]) % self.counts[asked].astype(np.intp)
        member = np.searchsorted(ends, place, "right")
        cell = self.members[member]
        rows = np.lexsort((target_keys, self.target.codes))
        first = np.cumsum(self.target.sizes) - self.target.sizes
        within = place - (ends[member] - self.target.sizes[cell])
        result[asked] = rows[first[cell] + within]
        return result


class Space:
    """Search by covariates, at Euclidean distances of their linear transformation."""

    def __init__(
        self,
        columns: Matrix,
        rows: tuple[NDArray[np.intp], NDArray[np.intp]],
        transform: Matrix,
        *,
        threads: int,
    ) -> None:
        """Set up from (dimensions, n) covariates, each arm's rows, and a (dimensions, dimensions) transformation."""
        self._columns, self._rows, self._transform = columns, rows, transform
        self._threads = threads
        self._distinct: dict[Arm, bool] = {}
        self._cells: dict[Arm, _Cells] = {}
        self._trees: dict[Arm, KDTree] = {}
        self._found: dict[tuple[Arm, Arm, int, bytes], _Lists] = {}

    def cells(self, arm: Arm) -> int:
        """Return the number of distinct positions of an arm's rows; skip the search if each row has its own."""
        return len(self._rows[arm]) if self._apart(arm) else len(self._places(arm).sizes)

    def _apart(self, arm: Arm) -> bool:
        """Return whether a single covariate already has a distinct value in each row of an arm."""
        if arm not in self._distinct:
            rows = self._rows[arm]
            self._distinct[arm] = any(len(np.unique(column[rows])) == len(rows) for column in self._columns)
        return self._distinct[arm]

    def _places(self, arm: Arm) -> _Cells:
        if arm not in self._cells:
            self._cells[arm] = _cells(self._columns[:, self._rows[arm]], self._transform, apart=self._apart(arm))
        return self._cells[arm]

    def nearest(
        self, query: Arm, target: Arm, least: int, *, within: float | None = None, only: NDArray[np.bool_] | None = None
    ) -> Neighbors:
        """Return the nearest rows of the target arm to each row of the query arm; `within` is not supported."""
        key = (query, target, least, b"" if only is None else np.packbits(only).tobytes())
        if key not in self._found:
            self._found[key] = self._lists(query, target, least, only)
        return self._found[key]

    def _lists(self, query: Arm, target: Arm, least: int, only: NDArray[np.bool_] | None) -> _Lists:
        asking, among = self._places(query), self._places(target)
        wanted = asking.codes if only is None else asking.codes[only]
        looked = np.flatnonzero(np.bincount(wanted, minlength=len(asking.sizes)))
        lengths, members = self._near(asking.places[looked], target, least)
        starts = np.cumsum(lengths) - lengths
        counts = np.zeros(len(asking.sizes))
        if len(looked):
            counts[looked] = np.add.reduceat(among.sizes[members], starts)
        return _Lists(
            query=asking, target=among, looked=looked, lengths=lengths, members=members, counts=counts[asking.codes]
        )

    def _near(self, places: Matrix, target: Arm, least: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return lengths and members of the lists of nearest cells of some positions."""
        cells = self._places(target)
        size = len(cells.sizes)
        wide = min(least + _SPARE, size)
        if worthwhile(cells.places, wide):
            distances, nearest, sure = nearest_by_products(places, cells.places, wide)
            if len(rest := np.flatnonzero(~sure)):
                distances[rest], nearest[rest] = self._by_tree(places[rest], target, wide)
        else:
            distances, nearest = self._by_tree(places, target, wide)
        enough = np.cumsum(cells.sizes[nearest], axis=1) >= least
        enough[:, -1] = True
        reach = distances[np.arange(len(places)), enough.argmax(axis=1)] * (1 + _NEAR) + _NEAR
        inside = distances <= reach[:, None]
        lengths = inside.sum(axis=1)
        wider = np.flatnonzero(inside[:, -1]) if wide < size else np.empty(0, dtype=np.intp)
        if not len(wider):
            return lengths, nearest[inside]
        balls = self._tree(target).query_ball_point(
            places[wider], reach[wider], workers=self._threads, return_sorted=True
        )
        lists = np.split(nearest[inside], np.cumsum(lengths)[:-1])
        for place, ball in zip(wider.tolist(), balls, strict=True):
            lists[place] = np.asarray(ball, dtype=np.intp)
            lengths[place] = len(ball)
        return lengths, np.concatenate(lists)

    def _by_tree(self, places: Matrix, target: Arm, wide: int) -> tuple[Matrix, NDArray[np.intp]]:
        return self._tree(target).query(places, k=np.arange(1, wide + 1), workers=self._threads)

    def _tree(self, arm: Arm) -> "KDTree":
        from scipy.spatial import KDTree

        if arm not in self._trees:
            self._trees[arm] = KDTree(self._places(arm).places)
        return self._trees[arm]


def _cells(columns: Matrix, transform: Matrix, *, apart: bool) -> _Cells:
    """Return the cells of (dimensions, n) covariates, in the order of their values; one per row if all are distinct."""
    n = columns.shape[1]
    if apart:
        return _Cells(codes=np.arange(n), sizes=np.ones(n, dtype=np.intp), places=np.asarray((transform @ columns).T))
    order = np.lexsort(columns)
    ordered = columns[:, order]
    first = np.ones(n, dtype=np.bool_)
    first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    codes = np.empty(n, dtype=np.intp)
    codes[order] = np.cumsum(first) - 1
    return _Cells(codes=codes, sizes=np.bincount(codes), places=np.asarray((transform @ ordered[:, first]).T))
