"""Double machine learning with boosted trees as nuisance functions: slower, for nonlinear outcomes and treatments."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
    varying_outcome,
)
from cqox.estimators.learners.scikit_learn import boosted, canonical_order, lacks, out_of_fold
from cqox.estimators.nuisance.cross_fitting import REMAINING, TREATMENT_DETERMINED, over_splits
from cqox.estimators.nuisance.orthogonal_scores import CLIP, clipping
from cqox.estimators.nuisance.propensity import given_probabilities
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = [
    "boosted_interactive",
    "boosted_interactive_rule",
    "boosted_partially_linear",
    "boosted_partially_linear_rule",
]

_FAMILY = "double_ml"
_FEWEST = 20


def boosted_partially_linear(plan: Plan) -> Estimate:
    """Return the coefficient of outcome residuals on treatment residuals, both from boosted trees."""
    sample = plan.outcome_sample()
    value, contributions, uncertainty, diagnostics = over_splits(plan, sample, partial(_plr_split, plan, sample))
    return make_estimate(
        EstimateId("dml_plr_boosted", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, warnings=pooled_periods(plan),
    )  # fmt: skip


def _plr_split(plan: Plan, sample: Sample, split: int) -> tuple[float, Vector]:
    order, x, t, y, weights, folds = _rows(plan, sample, plan.data.covariates, split)
    binary = plan.data.treatment_kind == "binary"
    _check_folds(folds, [(np.ones(len(y), dtype=bool), REMAINING)] if not binary else _arms(t))
    left = t - out_of_fold(lambda: boosted(probability=binary), x, t, folds, None, weights)
    rest = y - out_of_fold(lambda: boosted(probability=False), x, y, folds, None, weights)
    w = np.ones(len(y)) if weights is None else weights
    square = float((w * left) @ left)
    if square <= 1e-14 * float(w @ (t - np.average(t, weights=w)) ** 2):
        raise UnusableData(TREATMENT_DETERMINED)
    value = float((w * left) @ rest) / square
    return value, _in_place(order, w * left * (rest - value * left) / square)


def boosted_interactive(plan: Plan, *, target: str) -> Estimate:
    """Return the mean doubly robust score over all rows (ATE) or the treated (ATT), with boosted trees throughout."""
    sample = plan.doubly_robust_sample()
    clipped: list[int] = []
    value, contributions, uncertainty, diagnostics = over_splits(
        plan, sample, partial(_irm_split, plan, sample, target, clipped)
    )
    diagnostics |= {"clipped_rows": max(clipped), "propensity": "given" if plan.has("pscore") else "boosted"}
    notes, warnings = clipping(max(clipped), sample.n)
    return make_estimate(
        EstimateId(f"dml_irm_{target.lower()}_boosted", _FAMILY, target), plan, sample, value, contributions,
        uncertainty, diagnostics=diagnostics, notes=notes, warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _irm_split(plan: Plan, sample: Sample, target: str, clipped: list[int], split: int) -> tuple[float, Vector]:
    order, x, t, y, weights, folds = _rows(plan, sample, plan.data.covariates, split)
    _check_folds(folds, _arms(t))
    if plan.data.pscore is not None:
        known = sample.take(plan.data.pscore)[order]
    else:
        columns = sample.take(plan.data.propensity_covariates)[order]
        known = out_of_fold(lambda: boosted(probability=True), columns, t, folds, None, weights)
    e = np.clip(known, CLIP, 1 - CLIP)
    clipped.append(int(np.count_nonzero(e != known)))
    mu0 = out_of_fold(lambda: boosted(probability=False), x, y, folds, t == 0, weights)
    w = np.ones(len(y)) if weights is None else weights / weights.mean()
    if target == "ATT":
        share = float(np.average(t, weights=w))
        scores = (y - mu0) * np.where(t > 0, 1.0, -e / (1 - e)) / share
        tilt = t / share
    else:
        mu1 = out_of_fold(lambda: boosted(probability=False), x, y, folds, t == 1, weights)
        scores = mu1 - mu0 + np.where(t > 0, (y - mu1) / e, -(y - mu0) / (1 - e))
        tilt = np.ones(len(y))
    value = float(np.average(scores, weights=w))
    return value, _in_place(order, w * (scores - value * tilt) / len(y))


def _rows(
    plan: Plan, sample: Sample, columns: Matrix, split: int
) -> tuple[NDArray[np.intp], Matrix, Vector, Vector, Vector | None, NDArray[np.integer]]:
    """The sample's rows in canonical order: positions, columns, treatment, outcome, weights and folds."""
    y, t, weights = sample.take(plan.data.y), plan.treated(sample), plan.weights(sample)
    order = canonical_order(sample.take(plan.data.row_key), y, t)
    own = None if weights is None else weights[order]
    return order, sample.take(columns)[order], t[order], y[order], own, sample.take(plan.folds(split))[order]


def _in_place(order: NDArray[np.intp], values: Vector) -> Vector:
    """Return (n,) values of rows in canonical order, in the order of the sample."""
    found = np.empty_like(values)
    found[order] = values
    return found


def _arms(t: Vector) -> list[tuple[NDArray[np.bool_], Message]]:
    return [(t == level, arm) for level, arm in enumerate(ARMS)]


def _check_folds(folds: NDArray[np.integer], arms: list[tuple[NDArray[np.bool_], Message]]) -> None:
    for fold in np.unique(folds):
        for rows, name in arms:
            left = int(np.count_nonzero(rows & (folds != fold)))
            if left < _FEWEST:
                raise UnusableData(
                    Message("learners.too-few-rows-for-trees", fold=fold + 1, rows=left, arm=name, fewest=_FEWEST)
                )


def boosted_partially_linear_rule(plan: Plan) -> Message | None:
    """Return the reason why the partially linear model does not apply; None if it applies."""
    sample = plan.outcome_sample()
    binary = plan.data.treatment_kind == "binary"
    return lacks("boost") or no_absorbing(plan) or (two_arms if binary else varying_outcome)(plan, sample)


def boosted_interactive_rule(plan: Plan) -> Message | None:
    """Return the reason why the interactive model does not apply; None if it applies."""
    sample = plan.doubly_robust_sample()
    reason = lacks("boost") or no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    return reason
