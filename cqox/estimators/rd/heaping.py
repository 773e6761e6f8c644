"""A test of heaping at the cutoff for scores with mass points.

A polynomial fitted to the distribution function on one side of a cutoff absorbs all rows at the cutoff into its
intercept, so that the density test ignores them. Frandsen 2017, Advances in Econometrics 38 ("Party bias in union
representation elections"): of the rows at three successive values the middle one holds a third, up to the curvature of
the probabilities.
"""

from dataclasses import dataclass

import numpy as np

from cqox.estimators.rd.running_variable import Score

__all__ = ["Heap", "heap_at_cutoff"]

_NEAREST = 20
"""Distinct values on each side from which the step between values is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """The test.

    Attributes:
        rows: at three successive values, the middle one the first on the side tested, the others its neighbours; where
            values have no common step, in bins of the usual one.
        step: from value to value, in units of `score.unit`.
        curvature: k, the bound on the deviation of the probabilities from a line.
        p_value: of the middle rows under the least favourable share within the bound.
    """

    rows: tuple[int, int, int]
    step: float
    curvature: float
    p_value: float


def heap_at_cutoff(score: Score, *, below: bool = False) -> Heap | None:
    """Test the first value at or above the cutoff; None where a side is empty or the score has no mass points.

    Units that manipulate the score take the nearest treated value, which is the last one below the cutoff (or at it) if
    units below are treated: `below` tests that one.

    The bound on the curvature is twice that of a normal score with these moments, and at least that at its mode.
    """
    if not all(score.n) or not score.massed:
        return None
    far, near = score.distances[::-1] if below else score.distances
    gaps = np.concatenate(
        [np.diff(each[starts[: _NEAREST + 1]]) for each, starts in zip(score.distances, score.starts, strict=True)]
    )
    if not len(gaps):
        return None
    step = float(np.median(gaps))
    slack = 1e-9 * step + score.tolerance
    # On the side of its rows a bin includes its end nearer to the cutoff, on the other side the farther one.
    nearer = slack if float(far[0]) <= slack else -slack
    beyond = int(np.searchsorted(far, step - nearer))
    middle, following = (int(np.searchsorted(near, times * step + nearer)) for times in (1, 2))
    counts = (beyond, middle, following - middle)
    rows = counts[::-1] if below else counts
    relative, place = step / score.deviation, score.mean / score.deviation
    curvature = min(relative**2 * max(1.0, abs(place**2 - 1)), 0.5)
    return Heap(rows=rows, step=step, curvature=curvature, p_value=_p_value(rows, curvature))


def _p_value(rows: tuple[int, int, int], curvature: float) -> float:
    from scipy import special

    total, middle = sum(rows), rows[1]
    low, high = (1 - curvature) / (3 - curvature), (1 + curvature) / (3 + curvature)
    few = float(special.bdtr(middle, total, low))
    many = 1.0 if not middle else float(special.bdtrc(middle - 1, total, high))
    return min(1.0, 2 * min(few, many))
