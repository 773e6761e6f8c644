"""Binned means of the outcome around a cutoff, in even and quantile bins of the score, with the fits of both sides."""

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Plan, Vector
from cqox.estimators.rd.study import Study

__all__ = ["binned_means"]

_REACH = 3.0
"""Range of the bins on each side of the cutoff, in bandwidths."""

_MOST_BINS, _FEWEST_BINS, _ROWS_OF_A_BIN = 40, 5, 10
_POINTS = 33
"""Points of each side's fit where it is not a line."""


def binned_means(plan: Plan, of: Study) -> dict[str, Json]:
    """Return bins within three bandwidths of the cutoff and the fit of each side within its bandwidth.

    With covariate adjustment the outcome is residualised on them. A discrete score has one bin per value.
    """
    unit, cutoff = of.score.unit, plan.data.cutoff or 0.0
    net = of.net_outcome() * of.scale + of.centre
    evenly: list[Json] = []
    by_quantiles: list[Json] = []
    lines: list[Json] = []
    for place, side in enumerate(of.sides):
        sign = 1.0 if place else -1.0
        count = int(np.searchsorted(side.distance, min(_REACH * of.jump.h, float(side.distance[-1])), side="right"))
        distance = side.distance[:count]
        values = net[side.rows[:count]]
        weights = None if side.weights is None else side.weights[:count]
        wanted = int(np.clip(count // _ROWS_OF_A_BIN, _FEWEST_BINS, _MOST_BINS))
        distinct = side.distinct(count)
        first = side.starts[:distinct]
        groups = np.repeat(np.arange(distinct), np.diff(np.append(first, count)))
        even = quantile = groups
        if distinct > wanted:
            even = np.minimum((distance / distance[-1] * wanted).astype(np.intp), wanted - 1)
            # Ties share a bin.
            quantile = (first * wanted // count)[groups]
        for bins, into in ((even, evenly), (quantile, by_quantiles)):
            rows = _bins(bins, distance * sign * unit + cutoff, values, weights)
            into += rows if place else rows[::-1]
        lines.append(_line(of, place, cutoff))
    return {
        "cutoff": cutoff,
        "bandwidth": of.jump.h * unit,
        "net_of_covariates": of.covariates > 0,
        "evenly_spaced": evenly,
        "quantile_spaced": by_quantiles,
        "lines": lines,
    }


def _line(of: Study, place: int, cutoff: float) -> dict[str, Json]:
    """Return the ends of one side's fit, and points of a fit that is not straight."""
    sign = 1.0 if place else -1.0
    end = min(of.jump.h, float(of.sides[place].distance[-1]))
    distance = np.linspace(0.0, end, _POINTS if of.order > 1 else 2)
    heights = np.polynomial.polynomial.polyval(distance, of.jump.curves[place, :, 0]) * of.scale + of.centre
    scores = cutoff + sign * distance * of.score.unit
    line: dict[str, Json] = {
        "side": "above" if place else "below", "from": cutoff, "to": float(scores[-1]),
        "at_cutoff": float(heights[0]), "at_end": float(heights[-1]),
    }  # fmt: skip
    if of.order > 1:
        points = zip(scores, heights, strict=True)
        line["points"] = [{"score": float(score), "fit": float(height)} for score, height in points]
    return line


def _bins(codes: NDArray[np.intp], score: Vector, values: Vector, weights: Vector | None) -> list[Json]:
    """Return the non-empty bins, nearest to the cutoff first."""
    rows = np.bincount(codes)
    kept = np.flatnonzero(rows)
    mass = rows.astype(np.float64) if weights is None else np.bincount(codes, weights)
    scores = np.bincount(codes, score if weights is None else score * weights)[kept] / mass[kept]
    means = np.zeros(len(rows))
    means[kept] = np.bincount(codes, values if weights is None else values * weights)[kept] / mass[kept]
    rest = values - means[codes]
    # Standard error of a weighted mean of independent rows.
    squares = np.bincount(codes, rest * rest if weights is None else np.square(rest * weights))[kept]
    several = rows[kept] > 1
    errors = np.sqrt(squares / mass[kept] ** 2 * rows[kept] / np.maximum(rows[kept] - 1, 1))
    return [
        {
            "score": float(scores[at]),
            "mean": float(means[place]),
            "standard_error": number(errors[at]) if several[at] else None,
            "rows": int(rows[place]),
        }
        for at, place in enumerate(kept)
    ]
