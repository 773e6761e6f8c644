"""The manipulation test: a jump of the score's density at the cutoff, as a catalog entry."""

import math
from dataclasses import replace

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.plan import Plan
from cqox.estimators.rd.density import ORDER, Densities, densities, density_bandwidths
from cqox.estimators.rd.running_variable import MASS, Score, score_of

__all__ = ["DENSITY", "density_test"]

DENSITY = EstimateId("rd_density_test", "discontinuity", "density jump")

_POINTS = 21
_BARS, _REACH = 20, 2.0
"""Histogram bars on each side, and their range in bandwidths."""


def density_test(plan: Plan) -> Estimate:
    """Return the jump of the score's density at the cutoff, which manipulation of the score would cause."""
    sample = plan.sample("running")
    score = score_of(plan, sample)
    rows = sum(score.n)
    sides = score.sides(_distribution(score)[None, :])
    found = densities(sides, density_bandwidths(sides, rows, score.mean, score.deviation), rows)
    left, right = (float(value) / score.unit for value in found.values)
    error = math.hypot(*found.errors) / score.unit
    half = critical_value(plan.settings.alpha, None) * found.errors / score.unit
    contributions = np.zeros(rows)
    for sign, where, parts in zip((-1.0, 1.0), score.rows, found.parts, strict=True):
        contributions[where[: len(parts)]] = sign * parts / score.unit
    notes, warnings = _about_density(plan, score)
    answer = make_estimate(
        DENSITY, plan, sample, right - left, contributions,
        Uncertainty(standard_error=error or None, method="jackknife", degrees=None, alternates={"jackknife": error}),
        n_effective=float(sum(found.within)), notes=notes, warnings=warnings,
        diagnostics={
            "cutoff": plan.data.cutoff,
            "t_jackknife": (right - left) / error if error > 0 else None,
            "density_below": left,
            "density_above": right,
            "density_below_ci": [left - float(half[0]), left + float(half[0])],
            "density_above_ci": [right - float(half[1]), right + float(half[1])],
            "bandwidths": [float(each) * score.unit for each in found.bandwidths],
            "N": list(score.n),
            "N_h": list(found.within),
            "order": ORDER + 1,
            "share_repeated": list(score.repeated),
            "curves": _curves(plan, score, found),
            "bars": _bars(plan, score, found),
        },
    )  # fmt: skip
    return replace(answer, diagnostics={**answer.diagnostics, "p": answer.p_value})


def _distribution(score: Score) -> Vector:
    """Return (n,) the share of the other rows at or below each row."""
    below, above = score.n
    sizes = [np.diff(np.append(starts, n)) for starts, n in zip(score.starts, score.n, strict=True)]
    found = np.empty(below + above)
    # Group starts count the rows nearer to the cutoff: below it those have the higher scores.
    found[score.rows[0]] = np.repeat(below - score.starts[0], sizes[0])
    found[score.rows[1]] = np.repeat(below + score.starts[1] + sizes[1], sizes[1])
    return (found - 1) / (below + above - 1)


def _curves(plan: Plan, score: Score, found: Densities) -> list[Json]:
    """Return points of the density on each side, from the cutoff to the end of the bandwidth."""
    cutoff, points = plan.data.cutoff or 0.0, list[Json]()
    for name, sign, place in (("below", -1.0, 0), ("above", 1.0, 1)):
        end = min(float(found.bandwidths[place]), float(score.distances[place][-1]))
        distance = np.linspace(0.0, end, _POINTS)
        density = np.polynomial.polynomial.polyval(distance, found.curves[place]) / score.unit
        points += [
            {"side": name, "score": cutoff + sign * float(at) * score.unit, "density": float(height)}
            for at, height in zip(distance, density, strict=True)
        ]
    return points


def _bars(plan: Plan, score: Score, found: Densities) -> list[Json]:
    """Return a histogram of each side over two bandwidths, with bars of equal width that start at the cutoff."""
    cutoff, bars = plan.data.cutoff or 0.0, list[Json]()
    width = _REACH * float(found.bandwidths.max()) / _BARS
    if score.massed:
        # With mass points, every bar holds the same number of values.
        pairs = zip(score.distances, score.starts, strict=True)
        step = min(float(np.median(np.diff(each[starts]))) for each, starts in pairs)
        width = max(1.0, round(width / step)) * step
    for name, sign, distance in (("below", -1.0, score.distances[0]), ("above", 1.0, score.distances[1])):
        places = distance / width
        # A row on an edge belongs to the bar on the side of higher scores.
        codes = np.floor(places + 1e-9) if sign > 0 else np.ceil(places - 1e-9) - 1
        whole = max(1, min(_BARS, int(float(distance[-1]) / width + 1e-9)))
        counts = np.bincount(codes[codes < whole].astype(np.intp), minlength=whole)
        bars += [
            {
                "side": name,
                "from": cutoff + sign * place * width * score.unit,
                "to": cutoff + sign * (place + 1) * width * score.unit,
                "density": int(count) / (sum(score.n) * width * score.unit),
                "rows": int(count),
            }
            for place, count in enumerate(counts)
        ]
    return bars


def _about_density(plan: Plan, score: Score) -> tuple[list[Message], list[Message]]:
    notes = [Message("rd.tests-the-design")]
    if plan.has("weights"):
        notes.append(Message("rd.weights-unused", weights=plan.label("weights")))
    warnings = []
    if plan.clusters(plan.sample("running")).codes:
        warnings.append(Message("rd.clusters-unused"))
    if score.massed:
        share = max(score.repeated)
        warnings.append(Message("rd.heaping-mistaken", score=plan.label("running"), repeated=share, threshold=MASS))
    return notes, warnings
