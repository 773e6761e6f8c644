"""Causal forest: nonparametric effects, their average by doubly robust scores, and their heterogeneity.

Assumes that treatment is as good as random given the covariates, and overlap. It runs only on request by name, as it is
slow, and needs an extra.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, no_absorbing, pooled_periods, two_arms
from cqox.estimators.learners.best_linear_predictor import best_linear
from cqox.estimators.learners.effect_tables import coefficient_table, judgement_table, spread_table
from cqox.estimators.learners.heterogeneity import Judged, judge
from cqox.estimators.learners.honest_forest import TREES, grow
from cqox.estimators.learners.scikit_learn import boosted, canonical_order, lacks, out_of_fold
from cqox.estimators.nuisance.cross_fitting import over_splits
from cqox.estimators.nuisance.orthogonal_scores import CLIP, clipping
from cqox.estimators.nuisance.propensity import given_probabilities
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.plan import Plan

__all__ = ["ON_REQUEST"]

_FAMILY = "causal_forest"
_FEWEST = 100
_LEARNS = 0.6
"""The share of the folds for training a forest; its predictions are evaluated on the other folds."""


@dataclass(slots=True)
class _Found:
    """Results of the splits other than the average effect."""

    clipped: int = 0
    spread: dict[str, Json] = field(default_factory=dict)
    importance: Vector | None = None
    judged: list[Judged] = field(default_factory=list)
    fits: list[tuple[Vector, Matrix]] = field(default_factory=list)
    reason: Message | None = None


def _causal_forest(plan: Plan) -> Estimate:
    sample = plan.doubly_robust_sample()
    frame, clusters, found = plan.frame("xty", sample), plan.clusters(sample), _Found()
    value, contributions, uncertainty, diagnostics = over_splits(
        plan, sample, partial(_split, plan, frame, clusters, found)
    )
    unit, alpha = float(frame.scale[frame.column("y")]), plan.settings.alpha
    degrees = float(max(clusters.fewest - 1, 1)) if clusters.codes else None
    labels = plan.labels("covariates")
    importance = np.zeros(len(labels)) if found.importance is None else found.importance
    diagnostics |= {
        "trees": TREES,
        "propensity": "given" if plan.has("pscore") else "boosted",
        "predicted_effects": found.spread,
        "importance": dict(zip(labels, importance.tolist(), strict=True)),
        "best_linear_predictor": coefficient_table(
            frame.labels[: frame.at["x"].stop], found.fits, unit, alpha, degrees
        ),
        "judged_by_scores": (
            judgement_table(found.judged, unit, alpha, degrees) if found.judged else {"reason": found.reason}
        ),
    }
    notes, warnings = clipping(found.clipped, sample.n)
    return make_estimate(
        EstimateId("causal_forest", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=(*frame.notes, *notes), warnings=(*warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _split(plan: Plan, frame: Frame, clusters: Clusters, found: _Found, split: int) -> tuple[float, Vector]:
    sample, data = frame.sample, plan.data
    y, t, keys = sample.take(data.y), plan.treated(sample), sample.take(data.row_key)
    order = canonical_order(keys, y, t)
    unit, centre = float(frame.scale[frame.column("y")]), float(frame.centre[frame.column("y")])
    y, t, keys = (y[order] - centre) / unit, t[order], keys[order]
    weights = np.ones(sample.n) if frame.weights is None else frame.weights[order]
    x, folds = sample.take(data.covariates)[order], sample.take(plan.folds(split))[order]
    e, clipped = _probabilities(plan, frame, order, t, folds, weights)
    found.clipped = max(found.clipped, clipped)
    mean = out_of_fold(lambda: boosted(probability=False), x, y, folds, None, weights)
    left, rest, groups = t - e, y - mean, np.unique(keys, return_inverse=True)[1]
    seed = plan.settings.seed + split
    whole = grow(x, left, rest, groups, np.ones(len(t), dtype=np.bool_), weights, seed)
    average = float((weights * left) @ rest / ((weights * left) @ left))
    effects = np.where(np.isnan(whole.effects), average, whole.effects)
    scores = effects + left / (e * (1 - e)) * (rest - left * effects)
    value = float(np.average(scores, weights=weights))
    if found.importance is None:
        found.importance, found.spread = whole.importance, spread_table(effects, weights, unit)
    # The tables read rows in the order of the sample.
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    first = int(np.ceil(_LEARNS * plan.settings.folds))
    codes = clusters.codes[0] if clusters.codes else None
    try:
        early = grow(x, left, rest, groups, folds < first, weights, seed)
        predictions = np.where(np.isnan(early.effects), average, early.effects)
        found.judged.append(judge(scores[place], predictions[place], folds[place], first, frame.weights, codes))
    except UnusableData as error:
        found.reason = of(error.detail)
    found.fits.append(best_linear(frame, scores[place], clusters))
    return value * unit, (weights * (scores - value) * (unit / len(t)))[place]


def _probabilities(
    plan: Plan, frame: Frame, order: NDArray[np.intp], t: Vector, folds: NDArray[np.integer], weights: Vector
) -> tuple[Vector, int]:
    """Return (n,) propensity scores in canonical order, clipped, and the number of clipped ones."""
    sample = frame.sample
    if plan.data.pscore is not None:
        known = sample.take(plan.data.pscore)[order]
    else:
        columns = sample.take(plan.data.propensity_covariates)[order]
        known = out_of_fold(lambda: boosted(probability=True), columns, t, folds, None, weights)
    e = np.clip(known, CLIP, 1 - CLIP)
    return e, int(np.count_nonzero(e != known))


def _rule(plan: Plan) -> Message | None:
    sample = plan.doubly_robust_sample()
    reason = lacks("forest") or no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and min(plan.arm_rows(sample)) < _FEWEST:
        reason = Message("learners.arm-too-small-for-forest", fewest=_FEWEST, rows=min(plan.arm_rows(sample)))
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    return reason


ON_REQUEST: tuple[Estimator, ...] = (
    Estimator(
        name="causal_forest",
        family=_FAMILY,
        estimand="ATE",
        summary="Average of doubly robust scores around the nonparametric effects of an honest forest, with an "
        "evaluation of their heterogeneity; treatment is as good as random given the covariates. It runs where "
        "options.estimators names it and cqox[forest] is installed.",
        requires=("y", "treatment", "covariates"),
        optional=("propensity_covariates", "pscore", "weights", "cluster"),
        standard_error="the influence function of the doubly robust scores; too large where few rows make trees "
        "overfit (1.4 times at 600 rows)",
        paper="Athey, Tibshirani and Wager 2019, Annals of Statistics 47, section 6; splits as in Nie and Wager 2021, "
        "doi:10.1093/biomet/asaa076",
        doi="10.1214/18-AOS1709",
        checked_against="EconML CausalForestDML (effects and their average, within simulation error)",
        laws=frozenset({"row_permutation", "chunk_size", "threads"}),
        rule=_rule,
        compute=_causal_forest,
    ),
)
