"""The columns of a regression, centred and scaled once, in the memory layout that every row pass reads.

Cross-products of raw columns (squared income and a dummy) lose half of the digits; those of centred and scaled columns
do not. The scales are estimated from a stride of the rows: they condition the algebra and do not enter any result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.absorb import Absorption, absorb
from cqox.estimators.numerics.array_store import empty
from cqox.estimators.numerics.gram import gram, gram_partial, grouped_gram_partial, grouped_rows_partial, independent
from cqox.estimators.numerics.row_blocks import Partial, Rows
from cqox.estimators.numerics.scratch_memory import scratch
from cqox.estimators.sample import Sample, listed

__all__ = ["Crossed", "Frame", "build_frame"]

_STRIDE_ROWS = 512
_CACHED = 2**19
"""Values per block."""

_STRIP = 512
"""Rows that are standardised and transposed at a time: they and their constants stay in a core's cache, and one vector
operation spans them all."""

_NARROW = 24
"""Rows of up to this many values are read column by column: a cache line then serves a large part of a row. Measured:
at 20 columns this takes 9/10 of the time of whole rows, at 30 it takes 6/5."""

_ABSORBED = 1e-14
"""A column counts as absorbed when fixed effects leave less than this share of its squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """Standardised columns by their cross-products, wherever the rows are.

    Attributes:
        n: number of rows.
        at: name of a column group to its slice of the columns; `x` begins with the column of ones.
        centre, scale: (m,) such that a raw column is centre + scale · standardised.
        products: (m, m) cross-products of all columns.
        labels: (m,) of the columns.
        dropped: labels of the columns left out as constant or collinear.
        notes: the same as sentences.
        absorbed: the absorbed fixed effects, if any; the column of ones is then 0.
        grouped: (g, m, m) cross-products within groups of rows and (g,) rows in each, where groups were given.
    """

    n: int
    at: Mapping[str, slice]
    centre: Vector
    scale: Vector
    products: Matrix
    labels: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()
    absorbed: Absorption | None = None
    grouped: tuple[NDArray[np.float64], Vector] | None = None

    def column(self, name: str) -> int:
        """Return the position of a single-column group."""
        return int(self.at[name].start)

    def width(self, name: str) -> int:
        """Return the number of columns of a group."""
        return int(self.at[name].stop - self.at[name].start)

    def without_dependent(self, names: Iterable[str]) -> tuple[NDArray[np.intp], Self]:
        """Leave out the constant and collinear columns of `x` and of groups of several columns.

        Args:
            names: the column groups.

        Returns:
            The positions of the columns that stay, and these columns.
        """
        candidates = [
            column
            for name in names
            if name == "x" or self.width(name) > 1
            for column in range(self.at[name].start, self.at[name].stop)
            if column > 0
        ]
        tested = np.asarray([0, *candidates] if self.absorbed is None else candidates, dtype=np.intp)
        if self.absorbed is not None:
            tested = tested[np.diag(self.products)[tested] > _ABSORBED * self.n]
        found = tested[independent(self.products[np.ix_(tested, tested)])] if len(tested) else tested
        if len(found) == len(candidates) + (self.absorbed is None):
            return np.arange(len(self.labels)), self
        kept = set(found.tolist())
        gone = [column for column in candidates if column not in kept]
        dropped = tuple(self.labels[column] for column in gone)
        constant = tuple(self.labels[column] for column in gone if self.scale[column] == 0)
        others = tuple(label for label in dropped if label not in constant)
        notes = [Message("numerics.constant-columns", columns=listed(constant))] if constant else []
        notes += [Message("numerics.collinear-columns", columns=listed(others))] if others else []
        stay = np.setdiff1d(np.arange(len(self.labels)), gone)
        at = {
            name: slice(int(np.searchsorted(stay, place.start)), int(np.searchsorted(stay, place.stop)))
            for name, place in self.at.items()
        }
        return stay, replace(
            self,
            at=at,
            centre=self.centre[stay],
            scale=self.scale[stay],
            products=self.products[np.ix_(stay, stay)],
            labels=tuple(self.labels[column] for column in stay),
            dropped=dropped,
            notes=(*self.notes, *notes),
            grouped=None if self.grouped is None else (self.grouped[0][:, stay][:, :, stay], self.grouped[1]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Crossed):
    """Standardised columns of a sample's rows, in memory.

    Attributes:
        sample: the rows.
        rows: the same rows as blocks.
        matrix: (m, n) one variable per row, so that a pass over the data is contiguous in memory; ones first, or zeros
            where fixed effects are absorbed.
        weights: (n,) sampling weights.
    """

    sample: Sample
    rows: Rows
    matrix: Matrix
    weights: Vector | None


def build_frame(
    sample: Sample,
    groups: Mapping[str, tuple[Matrix, Sequence[str]]],
    *,
    weights: Vector | None,
    block: int,
    threads: int,
    effects: Sequence[Codes] = (),
    within: tuple[NDArray[np.integer], int] | None = None,
) -> Frame:
    """Return the frame of some groups of raw (total, k) columns with their labels.

    Constant and collinear columns are dropped from each group, except from single-column groups other than `x`, which
    the caller checks. `x` is created if absent. Sampling weights are scaled to mean 1. `within` are (n,) groups of
    rows, and their number, whose cross-products are computed in the same pass as those of all rows. It cannot be
    combined with fixed effects.
    """
    groups = groups if "x" in groups else {"x": (np.empty((sample.total, 0)), ()), **groups}
    at, centre, scale = _laid_out(sample, groups)
    width = len(centre)
    rows = Rows(n=sample.n, block=_cached_rows(width, block), threads=threads)
    matrix = _empty(width, sample.n)
    if weights is not None:
        weights = sample.take(weights)
        weights = weights / weights.mean()
    filling = _Filling(matrix, [columns for columns, _ in groups.values()], sample, centre, scale)
    absorbed, grouped = None, None
    if within is not None:
        grouped = _filled_by_group(rows, filling, matrix, weights, *within)
        products = grouped[0].sum(axis=0)
    elif effects:
        rows.each(filling.fill)
        absorbed = absorb(matrix[1:], [sample.take(codes) for codes in effects], weights)
        matrix[0] = 0.0
        products = gram(rows, matrix, weights)
    else:
        products = _filled(rows, filling.fill, matrix, weights)
    stay, frame = Frame(
        n=sample.n,
        sample=sample,
        rows=rows,
        matrix=matrix,
        at=at,
        centre=centre,
        scale=scale,
        weights=weights,
        products=products,
        labels=("(intercept)", *(label for _, labels in groups.values() for label in labels)),
        notes=() if absorbed is None else _alone(absorbed),
        absorbed=absorbed,
        grouped=grouped,
    ).without_dependent(groups)
    return frame if len(stay) == width else replace(frame, matrix=matrix[stay])


def _alone(absorbed: Absorption) -> tuple[Message, ...]:
    """Return a note on singletons: rows that share a level of a fixed effect with no other row."""
    alone = np.zeros(len(absorbed.codes[0]), dtype=np.bool_)
    for codes, levels in zip(absorbed.codes, absorbed.levels, strict=True):
        alone |= np.bincount(codes, minlength=levels)[codes] == 1
    count = int(alone.sum())
    return (Message("numerics.singletons", rows=count),) if count else ()


def _cached_rows(width: int, block: int) -> int:
    """Return the rows per block for this many variables, so that a block stays in a core's cache over several reads."""
    return min(block, max(_CACHED // width // 512 * 512, 512))


def _laid_out(
    sample: Sample, groups: Mapping[str, tuple[Matrix, Sequence[str]]]
) -> tuple[dict[str, slice], Vector, Vector]:
    """Return each group's slice of the matrix, after a row of ones, and the (m,) centres and scales."""
    at, start = {}, 1
    for name, (columns, _) in groups.items():
        stop = start + columns.shape[1]
        at[name] = slice(0 if name == "x" else start, stop)
        start = stop
    return at, *_standard([columns for columns, _ in groups.values()], sample)


def _empty(variables: int, rows: int) -> Matrix:
    """Return a matrix with padded rows, so that they do not map to the same cache sets, as powers of two would."""
    return empty(variables, (rows | 63) + 9)[:, :rows]


def _standard(groups: Sequence[Matrix], sample: Sample) -> tuple[Vector, Vector]:
    """Return (m,) centres and scales of a column of ones and of every group's columns; scale 0 marks a constant."""
    step = max(1, sample.n // _STRIDE_ROWS)
    rows = slice(None, None, step) if sample.index is None else sample.index[::step]
    strided = np.concatenate([columns[rows].T for columns in groups])
    centre, scale = np.zeros(1 + len(strided)), np.ones(1 + len(strided))
    centre[1:] = strided.mean(axis=1)
    strided -= centre[1:, None]
    scale[1:] = np.sqrt(np.einsum("ij,ij->i", strided, strided) / strided.shape[1])
    for position in np.flatnonzero(scale <= 1e-13 * np.abs(centre)):
        whole = sample.take(_column(groups, int(position) - 1))
        centre[position] = whole.mean()
        spread = np.abs(whole - centre[position]).max()
        scale[position] = whole.std() if spread > 1e-13 * abs(centre[position]) else 0.0
    return centre, scale


def _column(groups: Sequence[Matrix], position: int) -> Vector:
    """Return one column of adjacent groups."""
    for columns in groups:
        if position < columns.shape[1]:
            return columns[:, position]
        position -= columns.shape[1]
    raise IndexError(position)


class _Filling:
    """Writes blocks of the standardised groups to the matrix.

    Attributes:
        by_row: True if the rows are long, and most of their raw values contiguous in memory by row.
    """

    def __init__(self, matrix: Matrix, groups: Sequence[Matrix], sample: Sample, centre: Vector, scale: Vector) -> None:
        self._matrix, self._index = matrix, sample.index
        ends = accumulate((columns.shape[1] for columns in groups), initial=1)
        self._groups = [(columns, slice(*pair)) for columns, pair in zip(groups, pairwise(ends), strict=True)]
        self._centre, self._factors = centre, 1.0 / np.where(scale > 0, scale, np.inf)
        self._factors[0] = 1.0
        along = sum(columns.shape[1] for columns in groups if columns.strides[1] < columns.strides[0])
        self.by_row = len(matrix) > _NARROW and 2 * along > len(matrix)
        self._repeated = [np.tile(each, _STRIP) for each in (centre, self._factors)] if self.by_row else []

    def fill(self, s: slice) -> None:
        """Write one block."""
        if self.by_row:
            self.fill_by_row(s)
            return
        block = self._matrix[:, s]
        block[0] = 1.0
        for place, given in self._given(s):
            np.subtract(given.T, self._centre[place, None], out=block[place])
        block[1:] *= self._factors[1:, None]

    def fill_by_row(self, s: slice) -> Matrix:
        """Write one block and return its (n, m) rows, which the next call overwrites."""
        block = self._matrix[:, s]
        rows = scratch("rows", block.shape[1], len(block))
        rows[:, 0] = 1.0
        for place, given in self._given(s):
            rows[:, place] = given
        centre, factors = self._repeated
        for start in range(0, len(rows), _STRIP):
            part = rows[start : start + _STRIP]
            flat = part.reshape(-1)
            flat -= centre[: len(flat)]
            flat *= factors[: len(flat)]
            block[:, start : start + _STRIP] = part.T
        return rows

    def _given(self, s: slice) -> Iterable[tuple[slice, Matrix]]:
        for columns, place in self._groups:
            yield place, columns[s] if self._index is None else columns[self._index[s]]


def _filled(rows: Rows, fill: Callable[[slice], None], matrix: Matrix, weights: Vector | None) -> Matrix:
    """Return (m, m) cross-products of the matrix, each block taken as soon as it is filled."""

    def work(s: slice) -> Partial:
        fill(s)
        return gram_partial(matrix[:, s], None if weights is None else weights[s])

    (products,) = rows.total(work)
    return products


def _filled_by_group(
    rows: Rows,
    filling: _Filling,
    matrix: Matrix,
    weights: Vector | None,
    codes: NDArray[np.integer],
    count: int,
) -> tuple[NDArray[np.float64], Vector]:
    """Return (g, m, m) cross-products within each group, and (g,) row counts."""

    def work(s: slice) -> Partial:
        own = None if weights is None else weights[s]
        if filling.by_row:
            return grouped_rows_partial(filling.fill_by_row(s), own, codes[s], count)
        filling.fill(s)
        return grouped_gram_partial(matrix[:, s], own, codes[s], count)

    products, counts = rows.total(work)
    return products, counts
