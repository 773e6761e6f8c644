"""Meta-learners: each row's effect from linear and logit nuisances, its average, and how far it varies.

All assume that treatment is as good as random given the covariates. An average comes with its standard error;
heterogeneity (groups by the predicted effect, slopes, the TOC curve) is evaluated by doubly robust scores of held-out
rows, and needs either nuisance function to be correctly specified, not the learner.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, no_absorbing, pooled_periods, two_arms
from cqox.estimators.learners.best_linear_predictor import best_linear
from cqox.estimators.learners.effect_models import (
    by_arms,
    by_imputation,
    by_scores,
    predict,
    score_products,
    trainings,
)
from cqox.estimators.learners.effect_tables import MOST_SPLITS, Heterogeneity, spread_table
from cqox.estimators.learners.heterogeneity import MOST_ROWS, judge
from cqox.estimators.nuisance.arm_regressions import arm_contributions
from cqox.estimators.nuisance.cross_fitting import TREATMENT_DETERMINED, check_folds, over_splits
from cqox.estimators.nuisance.orthogonal_scores import clipping, effect_scores, out_of_fold_propensity
from cqox.estimators.nuisance.propensity import Propensity, given_probabilities
from cqox.estimators.numerics.array_store import spill
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve_each
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS

__all__ = ["ESTIMATORS", "Learner", "learned"]

_FAMILY = "meta_learners"

type Learner = Literal["t_learner", "x_learner", "dr_learner"]


def learned(plan: Plan, *, learner: Learner) -> Estimate:
    """Return the average effect of a learner, with tables of how far effects vary.

    Raises:
        UnusableData: a fold cannot be left out, or the covariates separate the arms.
    """
    sample = plan.doubly_robust_sample()
    frame, propensity, clusters = plan.frame("xty", sample), plan.propensity(sample), plan.clusters(sample)
    found, clipped = Heterogeneity(), list[int]()
    value, contributions, uncertainty, diagnostics = over_splits(
        plan, sample, partial(_split, plan, frame, propensity, clusters, learner, found, clipped)
    )
    unit, alpha = float(frame.scale[frame.column("y")]), plan.settings.alpha
    degrees = float(max(clusters.fewest - 1, 1)) if clusters.codes else None
    diagnostics["propensity"] = "given" if propensity.known else "logit"
    diagnostics |= found.tables(frame.labels[: frame.at["x"].stop], unit, alpha, degrees)
    notes, warnings = clipping(max(clipped), sample.n)
    return make_estimate(
        EstimateId(learner, _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty, diagnostics=diagnostics,
        notes=(*frame.notes, *propensity.notes, *notes),
        warnings=(*propensity.warnings, *warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _split(
    plan: Plan,
    frame: Frame,
    propensity: Propensity,
    clusters: Clusters,
    learner: Learner,
    found: Heterogeneity,
    clipped: list[int],
    split: int,
) -> tuple[float, Vector]:
    """Return one split's average effect and its contributions, in units of y.

    What it says of effects that vary is added to `found`, and its number of clipped rows to `clipped`.
    """
    blocks, counts = plan.blocks(frame, split)
    check_folds(counts, frame, ARMS)
    folds, k, y = frame.sample.take(plan.folds(split)), frame.at["x"].stop, frame.column("y")
    scores = effect_scores(plan, frame, propensity, split)
    clipped.append(scores.clipped)
    training, weight = trainings(counts, k), None
    if learner == "t_learner":
        models = by_arms(blocks, k, y, training)
    elif learner == "x_learner":
        models = by_imputation(blocks, k, y, training)
        weight = out_of_fold_propensity(plan, propensity, split)
    else:
        right = score_products(frame, scores.values, folds, training.folds)
        models = by_scores(blocks.sum(axis=1)[:, :k, :k], right, training)
    predicted = predict(frame, models, folds, weight)
    unit = float(frame.scale[y])
    if split == 0:
        found.spread = spread_table(predicted.without, frame.weights, unit)
    if split < MOST_SPLITS:
        codes = clusters.codes[0] if clusters.codes else None
        try:
            found.judged.append(judge(scores.values, predicted.before, folds, training.first, frame.weights, codes))
        except UnusableData as error:
            found.reason = of(error.detail)
        if learner == "dr_learner":
            found.fits.append(best_linear(frame, scores.values, clusters))
    effects = scores.values if learner == "dr_learner" else predicted.without
    value = float(np.average(effects, weights=frame.weights))
    contributions = effects - value
    contributions /= frame.n
    if frame.weights is not None:
        contributions *= frame.weights
    if learner != "dr_learner":
        contributions += _through_arms(plan, frame)
    contributions *= unit
    return value * unit, contributions


def _through_arms(plan: Plan, frame: Frame) -> Vector:
    """Return (n,) contributions to the mean of linear effects through the arms' coefficients, standardised.

    They are those of the regressions without folds, which are equal to first order.
    """

    def make() -> Vector:
        arms = plan.outcome(frame.sample)
        mean = frame.products[0, : frame.at["x"].stop] / frame.products[0, 0]
        parts, _ = arm_contributions(arms, mean, plan.treated(frame.sample))
        parts /= float(frame.scale[frame.column("y")])
        return spill(parts)

    return plan.share("through arms", make, frame)


def _single(plan: Plan) -> Estimate:
    sample = plan.outcome_sample()
    frame = plan.frame("xty", sample)
    value, contributions, uncertainty, diagnostics = over_splits(plan, sample, partial(_single_split, plan, frame))
    note = Message("learners.one-effect-for-all")
    return make_estimate(
        EstimateId("s_learner", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        diagnostics=diagnostics, notes=(*frame.notes, note), warnings=pooled_periods(plan),
    )  # fmt: skip


def _single_split(plan: Plan, frame: Frame, split: int) -> tuple[float, Vector]:
    blocks, counts = plan.blocks(frame, split)
    check_folds(counts, frame, ARMS)
    k, t, y, weights = frame.at["x"].stop, frame.column("t"), frame.column("y"), frame.weights
    by_fold = blocks.sum(axis=1)
    used = [*range(k), t]
    rest = by_fold.sum(axis=0) - by_fold
    slopes = solve_each(rest[:, used][:, :, used], rest[:, used][:, :, y, None])[:, -1, 0]
    mass = by_fold[:, 0, 0]
    value, scale = float(slopes @ mass / mass.sum()), float(frame.scale[y] / frame.scale[t])
    # Equal to first order to those of the regression without folds.
    on_x = solve_each(frame.products[None, :k, :k], frame.products[None, :k][:, :, [t, y]])[0]
    contributions = np.empty(frame.n)

    def work(s: slice) -> Partial:
        left = frame.matrix[[t, y], s] - on_x.T @ frame.matrix[:k, s]
        own = left[0] if weights is None else left[0] * weights[s]
        np.multiply(own, left[1] - value * left[0], out=contributions[s])
        return (np.asarray(own @ left[0]),)

    (square,) = frame.rows.total(work)
    if square <= 1e-14 * frame.n:
        raise UnusableData(TREATMENT_DETERMINED)
    return value * scale, contributions * (scale / float(square))


def _rule(plan: Plan) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("estimators.needs-covariates-of-treatment")
    sample = plan.doubly_robust_sample()
    if sample.n > MOST_ROWS:
        return Message("learners.too-many-rows-to-rank", most=MOST_ROWS)
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    return reason


def _single_rule(plan: Plan) -> Message | None:
    return no_absorbing(plan) or two_arms(plan, plan.outcome_sample())


def _entry(
    name: str,
    summary: str,
    error: str,
    paper: str,
    doi: str,
    checked: str,
    rule: Callable[[Plan], Message | None],
    compute: Callable[[Plan], Estimate],
) -> Estimator:
    return Estimator(
        name=name,
        family=_FAMILY,
        estimand="ATE",
        summary=f"{summary}; treatment is as good as random given the covariates.",
        requires=("y", "treatment", "covariates"),
        optional=("weights", "cluster") if name == "s_learner" else (
            "propensity_covariates", "pscore", "weights", "cluster",
        ),
        standard_error=error,
        paper=paper,
        doi=doi,
        checked_against=checked,
        laws=CROSS_SECTION_LAWS,
        rule=rule,
        compute=compute,
    )  # fmt: skip


_KUENZEL = "Künzel, Sekhon, Bickel and Yu 2019, PNAS 116"
_KUENZEL_DOI = "10.1073/pnas.1804597116"
_STACKED = "the influence function: the spread of the effects, and the regressions of the arms"

ESTIMATORS: tuple[Estimator, ...] = (
    _entry(
        "s_learner",
        "Average effect by one linear model of covariates and treatment, which gives the same effect to all",
        "the influence function of the regression",
        f"{_KUENZEL}, equation 2",
        _KUENZEL_DOI,
        "scikit-learn's LinearRegression on equal folds; statsmodels OLS with HC0",
        _single_rule,
        _single,
    ),
    _entry(
        "t_learner",
        "Average of effects that are the difference of a linear model in each arm, cross-fitted, with an evaluation of "
        "their heterogeneity",
        _STACKED,
        f"{_KUENZEL}, equation 3; judged as in Wager 2024, arXiv:2405.05534",
        _KUENZEL_DOI,
        "EconML TLearner without folds; scikit-learn's LinearRegression on equal folds",
        _rule,
        partial(learned, learner="t_learner"),
    ),
    _entry(
        "x_learner",
        "Average of effects that are linear in the other arm's imputations, weighted by the propensity score, "
        "cross-fitted, with an evaluation of their heterogeneity",
        _STACKED,
        f"{_KUENZEL}, equations 7 to 9; judged as in Wager 2024, arXiv:2405.05534",
        _KUENZEL_DOI,
        "EconML XLearner without folds; scikit-learn's LinearRegression on equal folds",
        _rule,
        partial(learned, learner="x_learner"),
    ),
    _entry(
        "dr_learner",
        "Average of doubly robust scores, with their best linear predictor by the covariates and a judgement of how "
        "far effects vary",
        "the cross-fitted influence function; HC1 for the best linear predictor",
        "Semenova and Chernozhukov 2021, Econometrics Journal 24, section 2; judged as in Wager 2024, arXiv:2405.05534",
        "10.1093/ectj/utaa027",
        "EconML LinearDRLearner and DoubleML's CATE and GATE on equal folds; statsmodels OLS with HC1 on the scores",
        _rule,
        partial(learned, learner="dr_learner"),
    ),
)
