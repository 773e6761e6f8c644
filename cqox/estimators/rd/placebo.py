"""Jumps at placebo cutoffs: at values of the score where the treatment does not change.

Each lies within one side of the real cutoff and uses the rows of that side alone, so that the effect itself is no part
of it (Imbens and Lemieux 2008, Journal of Econometrics 142(2), doi 10.1016/j.jeconom.2007.05.001, section 7).
Bandwidths are MSE-optimal for each, but hold at least 50 rows on each side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.rd.bandwidth import mse_bandwidths
from cqox.estimators.rd.jump import jump
from cqox.estimators.rd.local_polynomial import Side
from cqox.estimators.rd.running_variable import spread_of
from cqox.estimators.rd.study import DISTINCT, Study

__all__ = ["Placebo", "placebo_studies"]

_FEWEST_ROWS, _FEWEST_VALUES = 50, 10
"""Rows and distinct values of the score within the bandwidth, on each side of a placebo cutoff. Narrower bandwidths are
widened."""


_BEYOND = 1 + 1e-9
"""Margin of a bandwidth beyond its last row, which would have no weight at it."""

_MOST_ROWS = 5_000
"""Rows on each side of a placebo cutoff, the nearest, so that large data take no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """A placebo cutoff.

    Attributes:
        above: whether it lies above the real cutoff.
        distance: from it, in units of `score.unit`.
        study: of the outcome around it, net of covariates.
    """

    above: bool
    distance: float
    study: Study


def placebo_studies(of: Study, shares: Sequence[float]) -> list[Placebo]:
    """Return the studies at placebo cutoffs; those with too few rows around them are left out.

    A row at a placebo cutoff belongs to those above it, as at the real one.

    Args:
        of: the study of the outcome at the real cutoff.
        shares: of the rows of each side that lie between the real cutoff and a placebo cutoff.
    """
    net, found = of.net_outcome()[None, :], list[Placebo]()
    for above, side in zip((False, True), of.sides, strict=True):
        single = replace(side, values=net[:, side.rows])
        spread = spread_of(single.distance)
        for start in _starts(single, shares):
            study = _around(of, _parted(single, start, above=above), spread)
            if study is not None:
                distance = float(single.distance[start])
                found.append(Placebo(above=above, distance=distance, study=replace(study, values=net)))
    return found


def _starts(side: Side, shares: Sequence[float]) -> list[int]:
    """Return where the rows of each placebo cutoff's value begin, each at another value of the score."""
    wanted = [int(share * side.n) for share in shares]
    groups = np.searchsorted(side.starts, wanted, side="right") - 1
    return [int(side.starts[group]) for group in dict.fromkeys(groups.tolist()) if group > 0]


def _around(of: Study, parted: tuple[Side, Side], spread: float) -> Study | None:
    values = [len(side.starts) for side in parted]
    if min(values) < _FEWEST_VALUES:
        return None
    if min(side.n for side in parted) < _FEWEST_ROWS:
        return None
    least = max(float(side.distance[_FEWEST_ROWS - 1]) for side in parted) * _BEYOND
    try:
        chosen = mse_bandwidths(
            parted, spread=spread, rows=sum(values), ratio=False, covariates=0, residual=of.residual,
            distinct=DISTINCT if of.score.massed else 0, order=of.order,
        )  # fmt: skip
        bandwidths = replace(chosen, h=max(chosen.h, least), b=max(chosen.b, least))
        found = jump(parted, bandwidths.h, bandwidths.b, covariates=0, residual=of.residual, order=of.order)
    except UnusableData:
        return None
    if min(found.distinct) < _FEWEST_VALUES:
        return None
    return replace(of, sides=parted, covariates=0, bandwidths=bandwidths, jump=found)


def _parted(side: Side, start: int, *, above: bool) -> tuple[Side, Side]:
    """Return the rows below and above a placebo cutoff, the nearest to it first, at most so many on each side.

    Args:
        side: of the real cutoff, below or above it.
        start: where the rows at the placebo cutoff begin.
        above: whether the side lies above the real cutoff.
    """
    place, group = side.distance[start], int(np.searchsorted(side.starts, start))
    # Below the real cutoff, the rows at the placebo cutoff are on the side nearer to the real one.
    group = group if above else group + 1
    ends = np.append(side.starts, side.n)
    edge = int(ends[group])
    near, far = np.arange(edge)[::-1], np.arange(edge, side.n)
    # Reversed, each distinct value begins where it ended.
    inner = _nearest(side, near, place - side.distance[near], edge - ends[1 : group + 1][::-1])
    outer = _nearest(side, far, side.distance[far] - place, side.starts[group:] - edge)
    return (inner, outer) if above else (outer, inner)


def _nearest(side: Side, rows: NDArray[np.intp], distance: Vector, starts: NDArray[np.intp]) -> Side:
    rows, distance = rows[:_MOST_ROWS], distance[:_MOST_ROWS]
    return replace(
        side, rows=side.rows[rows], distance=distance, values=side.values[:, rows],
        starts=starts[: int(np.searchsorted(starts, len(rows)))].astype(np.intp),
        weights=None if side.weights is None else side.weights[rows],
        codes=None if side.codes is None else side.codes[rows],
    )  # fmt: skip
