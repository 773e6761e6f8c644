"""The running variable (score) and its cutoff: sides, distances, and compliance with the assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Data, Matrix, Vector
from cqox.estimators.plan import Plan
from cqox.estimators.rd.local_polynomial import Kernel, Side
from cqox.estimators.sample import Sample

__all__ = ["MASS", "Compliance", "Score", "compliance", "populated", "score_of", "spread_of"]

MASS = 0.2
"""Share of repeated values on a side from which the score counts as having mass points."""

_FEWEST_ROWS = 20
_ROUNDING = 64 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """The relation of the cutoff to the treatment.

    Attributes:
        kind: `assumed` where no treatment is mapped, `perfect`, `imperfect`, or `constant` where it never varies.
        sign: 1 if rows above are treated, -1 if rows below are.
        strict: True if a row at the cutoff belongs to those below it.
        share: share of rows whose treatment agrees with their side.
    """

    kind: Literal["assumed", "perfect", "imperfect", "constant"]
    sign: float = 1.0
    strict: bool = False
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The rows of a sample on each side, sorted by distance from the cutoff.

    Attributes:
        unit: the largest distance, the unit of distances.
        rows: positions in the sample, below and above, the nearest first.
        distances: of these rows.
        starts: where each distinct distance begins.
        spread: the smaller of the standard deviation and the interquartile range over 1.349.
        mean, deviation: of the score, from the cutoff.
        tolerance: distances that differ by less are equal.
    """

    unit: float
    rows: tuple[NDArray[np.intp], NDArray[np.intp]]
    distances: tuple[Vector, Vector]
    starts: tuple[NDArray[np.intp], NDArray[np.intp]]
    spread: float
    mean: float
    deviation: float
    tolerance: float

    @property
    def n(self) -> tuple[int, int]:
        """The numbers of rows below and above."""
        return len(self.rows[0]), len(self.rows[1])

    @property
    def distinct(self) -> tuple[int, int]:
        """The numbers of distinct values below and above."""
        return len(self.starts[0]), len(self.starts[1])

    @property
    def repeated(self) -> tuple[float, float]:
        """The share of rows on each side that repeat another row's value."""
        shares = [1 - values / max(rows, 1) for values, rows in zip(self.distinct, self.n, strict=True)]
        return shares[0], shares[1]

    @property
    def massed(self) -> bool:
        """True if the score has mass points."""
        return max(self.repeated) >= MASS

    def sides(
        self,
        values: Matrix,
        weights: Vector | None = None,
        codes: Codes | None = None,
        *,
        beyond: float | None = None,
        kernel: Kernel = "triangular",
    ) -> tuple[Side, Side]:
        """Return both sides.

        Args:
            values: (k, n) of the sample.
            weights: (n,) of sampling.
            codes: (n,) clusters.
            beyond: rows within this distance are left out: at 0 those at the cutoff itself.
            kernel: of the weights of their windows.
        """
        left, right = (self._side(place, values, weights, codes, beyond, kernel) for place in (0, 1))
        return left, right

    def _side(
        self,
        place: int,
        values: Matrix,
        weights: Vector | None,
        codes: Codes | None,
        beyond: float | None,
        kernel: Kernel,
    ) -> Side:
        rows, distance, starts = self.rows[place], self.distances[place], self.starts[place]
        if beyond is not None:
            first = int(np.searchsorted(distance, beyond, side="right"))
            rows, distance = rows[first:], distance[first:]
            starts = starts[np.searchsorted(starts, first) :] - first
        return Side(
            rows=rows,
            distance=distance,
            values=np.stack([each[rows] for each in values]),
            weights=None if weights is None else weights[rows],
            codes=None if codes is None else codes[rows],
            starts=starts,
            tolerance=self.tolerance,
            kernel=kernel,
        )


def score_of(plan: Plan, sample: Sample, *, strict: bool = False) -> Score:
    """Return the score of a sample's rows; a side may be empty."""
    return plan.share(("score", strict), lambda: _score(plan.data, sample, strict), sample)


def _score(data: Data, sample: Sample, strict: bool) -> Score:
    assert data.running is not None
    assert data.cutoff is not None
    values, cutoff = sample.take(data.running), data.cutoff
    order = np.argsort(values)
    values = values[order]
    edge = int(np.searchsorted(values, cutoff, side="right" if strict else "left"))
    below, above = cutoff - values[:edge][::-1], values[edge:] - cutoff
    unit = float(max([*below[-1:], *above[-1:], 0.0])) or 1.0
    if len(values):
        largest = max(abs(float(values[0])), abs(float(values[-1])))
        deviation = float((values / unit).std(ddof=min(1, len(values) - 1)))
        mean = float((values / unit).mean()) - cutoff / unit
    else:
        largest = deviation = mean = 0.0
    return Score(
        unit=unit,
        rows=(order[:edge][::-1], order[edge:]),
        distances=(below / unit, above / unit),
        starts=(_starts(below), _starts(above)),
        spread=spread_of(values / unit),
        mean=mean,
        deviation=deviation,
        tolerance=_ROUNDING * largest / unit,
    )


def spread_of(ordered: Vector) -> float:
    """Return the smaller of the standard deviation and the interquartile range over 1.349 of ascending values."""
    if not len(ordered):
        return 0.0
    deviation = float(ordered.std(ddof=min(1, len(ordered) - 1)))
    between = (_quantile(ordered, 3) - _quantile(ordered, 1)) / 1.349
    return min(deviation, between) if between > 0 else deviation


def _starts(distance: Vector) -> NDArray[np.intp]:
    if not len(distance):
        return np.empty(0, dtype=np.intp)
    return np.concatenate([[0], np.flatnonzero(distance[1:] != distance[:-1]) + 1]).astype(np.intp)


def _quantile(ordered: Vector, quarters: int) -> float:
    """Return a quartile, the mean of two values where it falls between them."""
    place, rest = divmod(quarters * len(ordered), 4)
    if rest or not place:
        return float(ordered[place])
    return float(ordered[place - 1] / 2 + ordered[place] / 2)


def compliance(plan: Plan) -> Compliance:
    """Return how the mapped treatment, if any, relates to the side of the cutoff."""
    return plan.share("compliance", lambda: _compliance(plan))


def _compliance(plan: Plan) -> Compliance:
    data = plan.data
    if data.treatment is None:
        return Compliance(kind="assumed")
    assert data.running is not None
    assert data.cutoff is not None
    sample = plan.sample("running", "treatment")
    treatment, running = sample.take(data.treatment), sample.take(data.running)
    if not len(treatment) or treatment.min() == treatment.max():
        return Compliance(kind="constant")
    if data.treatment_kind != "binary":
        return Compliance(kind="imperfect", share=0.0)
    shares = [float(((side > 0) == (treatment > 0)).mean()) for side in _above(running, data.cutoff)]
    for strict, share in zip((False, True), shares, strict=True):
        if share in (0.0, 1.0):
            return Compliance(kind="perfect", sign=1.0 if share else -1.0, strict=strict)
    return Compliance(kind="imperfect", sign=1.0 if shares[0] >= 0.5 else -1.0, share=max(shares[0], 1 - shares[0]))


def _above(running: Vector, cutoff: float) -> Sequence[NDArray[np.bool_]]:
    return running >= cutoff, running > cutoff


def populated(plan: Plan, score: Score, values: int) -> Message | None:
    """Return a reason if a side of the cutoff has too few values to fit a polynomial to."""
    running, cutoff = plan.label("running"), plan.data.cutoff
    if sum(score.n) < _FEWEST_ROWS:
        return Message("inference.few-complete-rows", rows=sum(score.n), least=_FEWEST_ROWS)
    below, above = score.n
    if not below:
        return Message("rd.no-rows-below", score=running, cutoff=cutoff)
    if score.distinct[0] < values:
        return Message("rd.few-values-below", score=running, values=score.distinct[0], cutoff=cutoff, least=values)
    if not above:
        return Message("rd.no-rows-above", score=running, cutoff=cutoff)
    if score.distinct[1] < values:
        return Message("rd.few-values-above", score=running, values=score.distinct[1], cutoff=cutoff, least=values)
    return None
