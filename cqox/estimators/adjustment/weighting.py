"""Weighting: inverse probability of treatment weights, overlap weights, and entropy balancing.

All assume that treatment is as good as random given the covariates of the treatment model, and the first two that this
model (a logit) is correctly specified. Inverse probability weighting needs overlap of the arms; overlap weights target
the population in which the arms overlap; entropy balancing needs no propensity score, but an outcome linear in the
covariates or weights of its functional form.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.adjustment.entropy_balancing import Tilt, tilt
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    make_estimate,
    no_absorbing,
    pooled_periods,
    two_arms,
)
from cqox.estimators.inference.small_arms import Corrected, corrected, sparse_arms
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.nuisance.arm_regressions import mean_columns, weighted_arms
from cqox.estimators.nuisance.propensity import Propensity, given_probabilities, score_correction
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = [
    "ESTIMATORS",
    "POPULATIONS",
    "Population",
    "balanced_weights",
    "balancing_tilts",
    "balancing_weights",
    "entropy_balancing",
    "hajek",
]

_FAMILY = "weighting"
_BLOCK = 65_536
"""Number of rows whose weights are computed at a time."""

type Target = Literal["ATE", "ATT", "ATC", "ATO"]
type Population = Literal["ATE", "ATT", "ATC"]

POPULATIONS: dict[Population, Message] = {
    "ATE": Message("adjustment.all-rows"),
    "ATT": Message("adjustment.the-treated"),
    "ATC": Message("adjustment.the-untreated"),
}
"""The target populations for a sentence."""


def hajek(plan: Plan, *, target: Target) -> Estimate:
    """Return the difference of weighted means, with weights that balance both arms to the target population."""
    sample = plan.propensity_sample()
    propensity = plan.propensity(sample)
    t, y = plan.treated(sample), sample.take(plan.data.y)
    treated, control, slopes = balancing_weights(target, t, propensity.used)
    sampling = plan.weights(sample)
    if sampling is not None:
        treated, control, slopes = treated * sampling, control * sampling, slopes * sampling
    means = float(treated @ y / treated.sum()), float(control @ y / control.sum())
    value = means[0] - means[1]
    spread = np.where(t > 0, (y - means[0]) / treated.sum(), -(y - means[1]) / control.sum())
    contributions = (treated + control) * spread
    if not propensity.known:
        contributions = contributions + score_correction(propensity, t, slopes * spread)
    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=t,
        sparse=_hajek_sparse(plan, propensity, contributions, t, treated + control),
    )  # fmt: skip
    diagnostics = {
        **_weight_diagnostics(treated, control, means),
        "propensity": "given" if propensity.known else "logit",
    }
    name = "overlap_weights" if target == "ATO" else f"ipw_{target.lower()}"
    # Weights that vanish where there is no overlap need no warning about it.
    doubts = () if target == "ATO" else propensity.warnings
    return make_estimate(
        EstimateId(name, _FAMILY, target), plan, sample, value, contributions, uncertainty,
        n_effective=effective_rows(treated, sample.n) + effective_rows(control, sample.n),
        diagnostics=diagnostics, notes=propensity.notes, warnings=(*doubts, *pooled_periods(plan)),
    )  # fmt: skip


def _hajek_sparse(
    plan: Plan, propensity: Propensity, contributions: Vector, t: Vector, weights: Vector
) -> Callable[[], Corrected] | None:
    """Return the correction for an arm of few rows; None if both have enough.

    The residuals are those of the weighted means; the contributions already hold what the fitted logit takes from them.
    """
    logit = propensity.logit
    k = 1 if logit is None else logit.frame.at["x"].stop
    sparse = sparse_arms(plan.arm_rows(propensity.sample), (k, k))
    if not any(sparse):
        return None
    return lambda: corrected(contributions, None, weighted_arms(np.ones((1, len(t))), t, weights, sparse))


def _weight_diagnostics(treated: Vector, control: Vector, means: tuple[float, float]) -> dict[str, Json]:
    return {
        "ess_treated": effective_rows(treated, len(treated)),
        "ess_control": effective_rows(control, len(control)),
        "mean_treated": means[0],
        "mean_control": means[1],
        "largest_weight_share": float(max(treated.max() / treated.sum(), control.max() / control.sum())),
    }


def balancing_weights(target: Target, t: Vector, e: Vector) -> tuple[Vector, Vector, Vector]:
    """Return (n,) weights of the treated rows, of the untreated rows, and the derivative of the weights by the
    logit."""
    treated, control, slopes = (np.empty(len(t)) for _ in range(3))
    for start in range(0, len(t), _BLOCK):
        s = slice(start, start + _BLOCK)
        treated[s], control[s], slopes[s] = _balancing_block(target, t[s], e[s])
    return treated, control, slopes


def _balancing_block(target: Target, t: Vector, e: Vector) -> tuple[Vector, Vector, Vector]:
    own = np.where(t > 0, e, 1 - e)
    other = np.where(t > 0, 1 - e, e)
    odds = other / own
    slope = np.where(t > 0, -odds, odds)
    if target == "ATE":
        return t / own, (1 - t) / own, slope
    if target == "ATT":
        return t, (1 - t) * odds, (1 - t) * slope
    if target == "ATO":
        return t * other, (1 - t) * other, np.where(t > 0, -1.0, 1.0) * own * other
    return t * odds, 1 - t, t * slope


def entropy_balancing(plan: Plan, *, target: Population) -> Estimate:
    """Return the difference of weighted means under entropy balancing weights."""
    sample = _balanced_sample(plan)
    frame = _balanced_frame(plan, sample)
    t = plan.treated(sample)
    control, treated = tilts = _tilts(plan, frame, t, target)
    value, scale = treated.mean - control.mean, float(frame.scale[frame.column("y")])
    # Stacked moments: the arms' means, the multipliers, and the population's means of the covariates, on which both
    # arms' means depend through the slopes of the outcome.
    parts = treated.weights * treated.residuals - control.weights * control.residuals
    contributions = parts.copy()
    share = _population(target, t) * (1.0 if frame.weights is None else frame.weights)  # a copy, to be scaled
    k = frame.at["x"].stop
    line = treated.slopes - control.slopes
    centre = float(line @ mean_columns(frame, _population(target, t))[1:])
    share /= share.sum()

    def work(s: slice) -> None:
        contributions[s] += share[s] * (line @ frame.matrix[1:k, s] - centre)

    frame.rows.each(work)
    contributions *= scale
    sparse = sparse_arms(plan.arm_rows(sample), (k, k))

    def small() -> Corrected:
        arms = weighted_arms(frame.matrix[:k], t, treated.weights + control.weights, sparse)
        return corrected(parts * scale, contributions - parts * scale, arms)

    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=t,
        sparse=small if any(sparse) else None,
    )  # fmt: skip
    origin = float(frame.centre[frame.column("y")])
    means = origin + scale * treated.mean, origin + scale * control.mean
    notes, ess = frame.notes, [effective_rows(each.weights, sample.n) for each in tilts]
    return make_estimate(
        EstimateId(f"entropy_balancing_{target.lower()}", _FAMILY, target), plan, sample, value * scale, contributions,
        uncertainty, n_effective=sum(ess),
        diagnostics=_weight_diagnostics(treated.weights, control.weights, means), notes=notes,
        warnings=pooled_periods(plan),
    )  # fmt: skip


def balanced_weights(plan: Plan, target: Population) -> tuple[Sample, Vector, Vector]:
    """Return the rows of entropy balancing, and its (n,) weights of the treated and of the untreated.

    Raises:
        UnusableData: no weights balance the covariates.
    """
    _, control, treated = balancing_tilts(plan, target)
    return _balanced_sample(plan), treated.weights, control.weights


def balancing_tilts(plan: Plan, target: Population) -> tuple[Frame, Tilt, Tilt]:
    """Return the columns of entropy balancing, and its weights of the untreated and of the treated.

    Raises:
        UnusableData: no weights balance the covariates.
    """
    sample = _balanced_sample(plan)
    frame = _balanced_frame(plan, sample)
    return frame, *_tilts(plan, frame, plan.treated(sample), target)


def _balanced_sample(plan: Plan) -> Sample:
    return plan.sample("y", "treatment", "propensity_covariates")


def _balanced_frame(plan: Plan, sample: Sample) -> Frame:
    same = plan.data.propensity_covariates is plan.data.covariates
    return plan.frame("xty" if same else "wty", sample)


def _population(target: Population, t: Vector) -> Vector:
    """Return (n,) 1 for the rows of the target population of the covariate means."""
    return {"ATE": np.ones_like(t), "ATT": t, "ATC": 1.0 - t}[target]


def _tilts(plan: Plan, frame: Frame, t: Vector, target: Population) -> tuple[Tilt, Tilt]:
    """Return the weights of the untreated and of the treated."""

    def both() -> tuple[Tilt, Tilt]:
        means = mean_columns(frame, _population(target, t))[1:]
        untreated, treated = ((arm, POPULATIONS[target]) for arm in ARMS)
        return tilt(frame, 1.0 - t, means, untreated), tilt(frame, t, means, treated)

    return plan.share(("entropy balancing", target), both, frame)


def _rule(plan: Plan) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("adjustment.needs-covariates-for-weights")
    sample = plan.propensity_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    elif reason is None:
        plan.propensity(sample)
    return reason


def _balancing_rule(plan: Plan, *, target: Population) -> Message | None:
    if not plan.has("propensity_covariates"):
        return Message("adjustment.needs-covariates-to-balance")
    sample = _balanced_sample(plan)
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None:
        _tilts(plan, _balanced_frame(plan, sample), plan.treated(sample), target)
    return reason


_SCORE_ERROR = (
    "M-estimation with the score correction of the logit; none for a given pscore; HC2 for few rows of an arm"
)


def _entry(target: Target, population: str, flipped: Target) -> Estimator:
    return Estimator(
        name=f"ipw_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Difference of means weighted to the covariates of {population} by a logit; treatment is as good as "
        "random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "pscore", "weights", "cluster"),
        standard_error=_SCORE_ERROR,
        paper="Lunceford and Davidian 2004, Statistics in Medicine 23, equations 9 and 19",
        doi="10.1002/sim.1903",
        checked_against="Stata teffects ipw, statsmodels TreatmentEffect.ipw, WeightIt",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=partial(hajek, target=target),
        flipped=partial(hajek, target=flipped),
    )


def _balancing_entry(target: Population, population: str, right: str, flipped: Population) -> Estimator:
    return Estimator(
        name=f"entropy_balancing_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Difference of means under the maximum entropy weights that give both arms the covariate means of "
        f"{population} exactly; treatment is as good as random given the covariates, and outcomes are linear in them "
        f"or {right}.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "weights", "cluster"),
        standard_error="M-estimation: the weights, the target means and the means of the outcome jointly; "
        "HC2 where an arm has few rows",
        paper="Hainmueller 2012, Political Analysis 20, equations 5 to 7; error by Zhao and Percival 2017, "
        "doi:10.1515/jci-2016-0010",
        doi="10.1093/pan/mpr025",
        checked_against="the balance conditions, scipy's constrained optimum, a numerical sandwich",
        laws=CROSS_SECTION_LAWS,
        rule=partial(_balancing_rule, target=target),
        compute=partial(entropy_balancing, target=target),
        flipped=partial(entropy_balancing, target=flipped),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry("ATE", "all rows", "ATE"),
    _entry("ATT", "the treated", "ATC"),
    Estimator(
        name="overlap_weights",
        family=_FAMILY,
        estimand="ATO",
        summary="Difference of means weighted by the probability of the other arm, which targets the population in "
        "which the arms overlap; treatment is as good as random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "pscore", "weights", "cluster"),
        standard_error=_SCORE_ERROR,
        paper="Li, Morgan and Zaslavsky 2018, JASA 113, section 3.1 and theorem 3",
        doi="10.1080/01621459.2016.1260466",
        checked_against="statsmodels WLS, exact balance under a logit (theorem 3), a numerical sandwich",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=partial(hajek, target="ATO"),
    ),
    _balancing_entry("ATE", "all rows", "the inverse probability of each arm is log-linear in them", "ATE"),
    _balancing_entry("ATT", "the treated", "the treatment follows a logit in them", "ATC"),
)
