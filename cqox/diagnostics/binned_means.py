"""Binned means of the outcome around a cutoff, in even and quantile bins of the score, with the local linear fits."""

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Plan, Vector
from cqox.estimators.rd.study import Study

__all__ = ["binned_means"]

_REACH = 3.0
"""Range of the bins on each side of the cutoff, in bandwidths."""

_MOST_BINS, _FEWEST_BINS, _ROWS_OF_A_BIN = 40, 5, 10


def binned_means(plan: Plan, of: Study) -> dict[str, Json]:
    """Return bins within three bandwidths of the cutoff and the local linear fit of each side within its bandwidth.

    With covariate adjustment the outcome is residualised on them. A discrete score has one bin per value.
    """
    unit, cutoff = of.score.unit, plan.data.cutoff or 0.0
    net = of.values[0].copy()
    if of.covariates:
        net -= of.jump.adjusted @ of.values[-of.covariates :]
    net = net * of.scale + of.centre
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
        ends = (0.0, min(of.jump.h, float(side.distance[-1])))
        heights = [float(of.jump.intercepts[place, 0] + of.jump.slopes[place, 0] * end) for end in ends]
        lines.append(
            {
                "side": "above" if place else "below",
                "from": cutoff,
                "to": cutoff + sign * ends[1] * unit,
                "at_cutoff": heights[0] * of.scale + of.centre,
                "at_end": heights[1] * of.scale + of.centre,
            }
        )
    return {
        "cutoff": cutoff,
        "bandwidth": of.jump.h * unit,
        "net_of_covariates": of.covariates > 0,
        "evenly_spaced": evenly,
        "quantile_spaced": by_quantiles,
        "lines": lines,
    }


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
