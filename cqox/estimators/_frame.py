"""The columns of a regression, centred and scaled once, in the order that every row pass reads them.

Cross-products of raw columns (income squared beside a dummy) lose half of the digits; those of centred and scaled
columns do not. The scales come from a stride of the rows: they condition the algebra and do not enter any result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.estimators._absorb import Absorption, absorb
from cqox.estimators._chunks import Rows
from cqox.estimators._gram import gram, independent
from cqox.estimators._room import room
from cqox.estimators._sample import Sample, listed
from cqox.estimators.data import Codes, Matrix, Vector

__all__ = ["Frame", "build_frame"]

_STRIDE_ROWS = 1024
_ABSORBED = 1e-14
"""A column counts as absorbed when fixed effects leave less than this share of its squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Standardised columns of the rows of a sample.

    Attributes:
        sample: the rows.
        rows: the same rows as blocks.
        matrix: (m, n) a variable in each row, so that a pass over the data runs along memory; ones first, or zeros
            where fixed effects are absorbed.
        at: name of a group of columns to its place in the matrix; `x` begins with the column of ones.
        centre, scale: (m,) such that a raw column is centre + scale · standardised.
        weights: (n,) sampling weights.
        products: (m, m) cross-products of the whole matrix.
        labels: (m,) of the columns.
        dropped: labels of the columns left out as constant or made of others.
        notes: the same in sentences.
        absorbed: what the fixed effects cost, where there are any.
    """

    sample: Sample
    rows: Rows
    matrix: Matrix
    at: Mapping[str, slice]
    centre: Vector
    scale: Vector
    weights: Vector | None
    products: Matrix
    labels: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    absorbed: Absorption | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return self.sample.n

    def column(self, name: str) -> int:
        """Position of a group that has a single column."""
        return int(self.at[name].start)

    def width(self, name: str) -> int:
        """Columns in a group."""
        return int(self.at[name].stop - self.at[name].start)


def build_frame(
    sample: Sample,
    groups: Mapping[str, tuple[Matrix, Sequence[str]]],
    *,
    weights: Vector | None,
    block: int,
    threads: int,
    effects: Sequence[Codes] = (),
) -> Frame:
    """The frame of some groups of raw (total, k) columns with their labels.

    Groups may lose columns that are constant or that earlier ones make, but for those of one column other than `x`:
    the caller looks at these itself. `x` is created where it is not given. Sampling weights are scaled to mean 1.
    """
    groups = groups if "x" in groups else {"x": (np.empty((sample.total, 0)), ()), **groups}
    rows = Rows(n=sample.n, block=block, threads=threads)
    matrix, at, centre, scale = _filled(sample, rows, groups)
    if weights is not None:
        weights = sample.take(weights)
        weights = weights / weights.mean()
    absorbed = None
    if effects:
        absorbed = absorb(matrix[1:], [sample.take(codes) for codes in effects], weights)
        matrix[0] = 0.0
    frame = Frame(
        sample=sample,
        rows=rows,
        matrix=matrix,
        at=at,
        centre=centre,
        scale=scale,
        weights=weights,
        products=gram(rows, matrix, weights),
        labels=("(intercept)", *(label for _, labels in groups.values() for label in labels)),
        absorbed=absorbed,
    )
    return _without_dependent(frame, groups)


def _filled(
    sample: Sample, rows: Rows, groups: Mapping[str, tuple[Matrix, Sequence[str]]]
) -> tuple[Matrix, dict[str, slice], Vector, Vector]:
    """The matrix with a row of ones before the groups, each group's place, and the (m,) centres and scales."""
    width = 1 + sum(columns.shape[1] for columns, _ in groups.values())
    matrix = _empty(width, sample.n)
    matrix[0] = 1.0
    centre, scale = np.zeros(width), np.ones(width)
    at, start = {}, 1
    for name, (columns, _) in groups.items():
        place = slice(start, start + columns.shape[1])
        centre[place], scale[place] = _standard(columns, sample)
        _fill(rows, matrix, start, columns, sample, centre[place], scale[place])
        at[name] = slice(0, place.stop) if name == "x" else place
        start = place.stop
    return matrix, at, centre, scale


def _empty(variables: int, rows: int) -> Matrix:
    """A matrix whose rows do not all begin at the same place of the cache, as powers of two would make them."""
    return room(variables, (rows | 63) + 9)[:, :rows]


def _standard(columns: Matrix, sample: Sample) -> tuple[Vector, Vector]:
    """(k,) centres and scales; scale 0 marks a constant."""
    step = max(1, sample.n // _STRIDE_ROWS)
    strided = np.array((columns[::step] if sample.index is None else columns[sample.index[::step]]).T, order="C")
    centre = strided.mean(axis=1)
    strided -= centre[:, None]
    scale = np.sqrt(np.einsum("ij,ij->i", strided, strided) / strided.shape[1])
    for position in np.flatnonzero(scale <= 1e-13 * np.abs(centre)):
        whole = sample.take(columns[:, position])
        centre[position] = whole.mean()
        spread = np.abs(whole - centre[position]).max()
        scale[position] = whole.std() if spread > 1e-13 * abs(centre[position]) else 0.0
    return centre, scale


def _fill(
    rows: Rows, matrix: Matrix, start: int, columns: Matrix, sample: Sample, centre: Vector, scale: Vector
) -> None:
    factors = [1.0 / each if each > 0 else 0.0 for each in scale.tolist()]

    def work(s: slice) -> None:
        place = s if sample.index is None else sample.index[s]
        for column, factor in enumerate(factors):
            target = matrix[start + column, s]
            np.subtract(columns[place, column], centre[column], out=target)
            target *= factor

    rows.each(work)


def _without_dependent(frame: Frame, groups: Mapping[str, tuple[Matrix, Sequence[str]]]) -> Frame:
    """The frame without the columns of its wider groups that add nothing."""
    candidates = [
        column
        for name in groups
        if name == "x" or frame.width(name) > 1
        for column in range(frame.at[name].start, frame.at[name].stop)
        if column > 0
    ]
    tested = np.asarray([0, *candidates] if frame.absorbed is None else candidates, dtype=np.intp)
    if frame.absorbed is not None:
        tested = tested[np.diag(frame.products)[tested] > _ABSORBED * frame.n]
    kept = set(tested[independent(frame.products[np.ix_(tested, tested)])].tolist()) if len(tested) else set()
    gone = [column for column in candidates if column not in kept]
    if not gone:
        return frame
    dropped = tuple(frame.labels[column] for column in gone)
    constant = tuple(frame.labels[column] for column in gone if frame.scale[column] == 0)
    others = tuple(label for label in dropped if label not in constant)
    notes = [f"Left out because they never vary: {listed(constant)}."] if constant else []
    notes += [f"Left out because other columns determine them: {listed(others)}."] if others else []
    stay = np.setdiff1d(np.arange(len(frame.labels)), gone)
    at = {
        name: slice(int(np.searchsorted(stay, place.start)), int(np.searchsorted(stay, place.stop)))
        for name, place in frame.at.items()
    }
    return Frame(
        sample=frame.sample,
        rows=frame.rows,
        matrix=frame.matrix[stay],
        at=at,
        centre=frame.centre[stay],
        scale=frame.scale[stay],
        weights=frame.weights,
        products=frame.products[np.ix_(stay, stay)],
        labels=tuple(frame.labels[column] for column in stay),
        dropped=dropped,
        notes=tuple(notes),
        absorbed=frame.absorbed,
    )
