"""Entropy balancing by moments."""

import numpy as np

from cqox.errors import UnusableData
from cqox.estimators.adjustment.weighting import POPULATIONS, Population, balancing_tilts
from cqox.estimators.by_moments.entropy_dual import Balanced, Dual
from cqox.estimators.by_moments.errors import influence_error, refuse_sparse, reported
from cqox.estimators.by_moments.rounds import Answer, Ask, Steps
from cqox.estimators.by_moments.summed import SummedFrame
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.data import Vector
from cqox.estimators.inference.make_estimate import EstimateId
from cqox.estimators.numerics.moments import Expr, case, linear, times

__all__ = ["entropy_balancing"]

_FAMILY = "weighting"


def entropy_balancing(tables: Tables, *, target: Population) -> Steps:
    """Return the difference of weighted means under entropy balancing weights.

    Args:
        tables: the shared computations of one contrast.
        target: ATE or ATT, the population whose means of the covariates both arms are given.
    """
    rows = tables.complete("y", "treatment", "propensity_covariates")
    same = tables.encoded.propensity_covariates == tables.encoded.covariates
    frame = tables.frame("xty" if same else "wty", rows)
    t, arms, k = tables.treated(), tables.by_arm(frame)[1], frame.at["x"].stop
    dual = Dual(tables, frame, treated_only=target == "ATT")
    control, treated = dual.balanced(_starts(tables, frame, target), POPULATIONS[target])
    refuse_sparse(arms, (k, k))
    weight = dual.weight(control.multipliers, treated.multipliers)
    scale, origin = (float(each[frame.column("y")]) for each in (frame.scale, frame.centre))
    # Stacked moments, as in memory: the arms' means, the multipliers, and the population's means of the covariates.
    line = (treated.slopes() - control.slopes()) * scale / dual.total
    across = linear(zip(line.tolist(), frame.columns[1:k], strict=True), -float(line @ dual.target))
    residuals = case(
        t,
        _residuals(frame, control, dual.target, -scale / control.mass),
        _residuals(frame, treated, dual.target, scale / treated.mass),
    )
    shared = times(frame.weight, t if target == "ATT" else None, across)
    by_arm = tuple(times(each, weight) for each in (linear([(-1.0, t)], 1.0), t))
    answer = yield Ask(
        rows=rows, sums=tuple(times(each, each) for each in by_arm), largest=by_arm,
        scores=(linear([(1.0, times(weight, residuals)), (1.0, shared)]),), weight=frame.weight,
    )  # fmt: skip
    uncertainty = influence_error(
        answer.scores[0], tables.clustering(rows), tables.settings, name="M-estimation", arms=True
    )
    diagnostics = _diagnostics(answer, control, treated)
    means = {"mean_treated": origin + scale * treated.mean, "mean_control": origin + scale * control.mean}
    return reported(
        EstimateId(f"entropy_balancing_{target.lower()}", _FAMILY, target), tables, frame,
        (treated.mean - control.mean) * scale, uncertainty, rows=arms,
        n_effective=diagnostics["ess_treated"] + diagnostics["ess_control"], diagnostics={**diagnostics, **means},
        notes=frame.notes,
    )  # fmt: skip


def _diagnostics(answer: Answer, control: Balanced, treated: Balanced) -> dict[str, float]:
    mass = np.asarray([control.mass, treated.mass])
    untreated_rows, treated_rows = (mass**2 / answer.sums).tolist()
    return {
        "ess_treated": treated_rows,
        "ess_control": untreated_rows,
        "largest_weight_share": float((answer.largest / mass).max()),
    }


def _starts(tables: Tables, frame: SummedFrame, target: Population) -> tuple[Vector | None, Vector | None]:
    """Return the multipliers of the sample in the scales of a frame; None where the sample has none."""
    try:
        own, *tilts = balancing_tilts(tables.pilot, target)
    except UnusableData:
        return None, None
    k = frame.at["x"].stop
    if own.labels[: own.at["x"].stop] != frame.labels[:k]:
        return None, None
    untreated, treated = (each.multipliers * frame.scale[1:k] / own.scale[1:k] for each in tilts)
    return untreated, treated


def _residuals(frame: SummedFrame, arm: Balanced, target: Vector, factor: float) -> Expr:
    """Return a multiple of the standardised outcomes less their mean and the fitted values of the slopes."""
    slopes = arm.slopes()
    terms = [(-factor * each, column) for each, column in zip(slopes.tolist(), frame.columns[1:], strict=False)]
    outcome = (factor, frame.columns[frame.column("y")])
    return linear([*terms, outcome], factor * (float(slopes @ target) - arm.mean))
