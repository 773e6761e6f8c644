"""Propensity score stratification by moments: the cells of strata and arms, and their errors, from sums."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.adjustment.score_strata import ScoreStrata, joined_strata
from cqox.estimators.adjustment.stratification import ERROR, FAMILY, WITHIN
from cqox.estimators.by_moments.errors import influence_error, reported
from cqox.estimators.by_moments.propensity import propensity
from cqox.estimators.by_moments.rounds import Ask, Steps
from cqox.estimators.by_moments.score_cuts import score_cuts, stepped
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.weighting import probability_rows
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.numerics.moments import Constant, Expr, case, linear, times

__all__ = ["propensity_strata"]


def propensity_strata(tables: Tables) -> Steps:
    """Return the average of the differences of means within strata of the propensity score."""
    rows = tables.complete("y", "treatment", probability_rows(tables))
    scores = propensity(tables, rows)
    frame = tables.frame("ty", rows)
    cuts = score_cuts(rows.source, scores.e, frame.weight, frame.n, tables.settings.strata)
    cells = _cells(tables, frame, scores.e, cuts.at.tolist())
    joined = joined_strata(cells[:, :, 0])
    present = np.flatnonzero(cells[:, :, 0].sum(axis=1))
    # Strata without rows lie between cuts that are passed together: the last of these is the edge.
    edges = present[1:][np.diff(joined[present]) > 0] - 1
    count = len(edges) + 1
    own = np.zeros((count, *cells.shape[1:]))
    np.add.at(own, joined[present], cells[present])
    strata = ScoreStrata(merged=len(present) - count, rows=own[:, :, 0], mass=own[:, :, 1])
    means, scale = own[:, :, 2] / strata.mass, float(frame.scale[frame.column("y")])
    differences = means[:, 1] - means[:, 0]
    value = float(strata.share @ differences)
    within, between = _contributions(frame, tables.treated(), strata, means, value)
    at = cuts.at[edges].tolist()
    own_within = times(frame.weight, stepped(scores.e, at, within))
    contributions = linear([(scale, own_within), (scale, times(frame.weight, stepped(scores.e, at, between)))])
    answer = yield Ask(rows=rows, sums=(times(own_within, own_within),), scores=(contributions,), weight=frame.weight)
    uncertainty = influence_error(answer.scores[0], tables.clustering(rows), tables.settings, name=ERROR, arms=True)
    alternates = {**uncertainty.alternates, WITHIN: scale * float(np.sqrt(answer.sums[0]))}
    squares = (np.square(strata.to_share) * own[:, :, 3]).sum(axis=0)
    lowest, highest = (np.asarray([cuts.lowest, *cuts.above[edges]]), np.asarray([*cuts.below[edges], cuts.highest]))
    return reported(
        EstimateId("propensity_strata", FAMILY, "ATE"), tables, frame, value * scale,
        replace(uncertainty, alternates=alternates), rows=tables.by_arm(frame)[1],
        n_effective=float((1.0 / squares).sum()),
        diagnostics={
            "strata": strata.described(lowest, highest, differences * scale),
            "propensity": "given" if scores.known else "logit",
        },
        notes=scores.notes, warnings=(*scores.warnings, *strata.warnings()),
    )  # fmt: skip


def _cells(tables: Tables, frame: SummedFrame, e: Expr, edges: Sequence[float]) -> NDArray[np.float64]:
    """Return (strata, 2, 4): rows, weights, weighted outcomes and squared weights of each stratum and arm."""
    y, weight = frame.columns[frame.column("y")], frame.weight
    code = stepped(e, edges, [Constant(float(stratum)) for stratum in range(len(edges) + 1)])
    values = [y] if weight is None else [weight, times(weight, y), times(weight, weight)]
    found = frame.rows.source.grouped(values, [code, tables.treated()])
    stratum, arm = found[:, :2].astype(np.intp).T
    cells = np.zeros((len(edges) + 1, 2, 4))
    rows = found[:, 2]
    cells[stratum, arm] = np.column_stack([rows, rows, found[:, 3], rows] if weight is None else [rows, found[:, 3:]])
    return cells


def _contributions(
    frame: SummedFrame, t: Expr, strata: ScoreStrata, means: NDArray[np.float64], value: float
) -> tuple[list[Expr], list[Expr]]:
    """Return what a unit of weight adds to the estimate in each stratum: within it, and through its share."""
    y = frame.columns[frame.column("y")]
    signed = strata.unbiased * [-1.0, 1.0]
    within = [
        case(t, *(linear([(factor, y)], -factor * mean) for factor, mean in zip(*each, strict=True)))
        for each in zip(signed.tolist(), means.tolist(), strict=True)
    ]
    apart = (means[:, 1] - means[:, 0] - value) / strata.mass.sum()
    return within, [Constant(each) for each in apart.tolist()]
