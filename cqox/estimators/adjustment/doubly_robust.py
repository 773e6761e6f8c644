"""Estimators that combine a linear outcome regression by arm with a logit for the treatment, without sample splits.

Both assume that treatment is as good as random given the covariates, and overlap of the arms; one of the two models may
be misspecified.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate
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
from cqox.estimators.nuisance.arm_regressions import (
    ArmFits,
    arm_contributions,
    carried_by_arms,
    contrast_of_arms,
    effects_spread,
    fit_arms,
    mean_columns,
)
from cqox.estimators.nuisance.propensity import Propensity, given_probabilities, score_correction
from cqox.estimators.numerics.gram import grouped_gram
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

_FAMILY = "doubly_robust"


def _aipw(plan: Plan) -> Estimate:
    sample = plan.doubly_robust_sample()
    propensity, arms = plan.propensity(sample), plan.outcome(sample)
    t, y, e = plan.treated(sample), sample.take(plan.data.y), propensity.used
    mu0, mu1 = sample.take(arms.control), sample.take(arms.treated)
    scores = mu1 - mu0 + np.where(t > 0, (y - mu1) / e, -(y - mu0) / (1 - e))
    weights = plan.weights(sample)
    value = float(np.average(scores, weights=weights))
    contributions = (scores - value) / sample.n
    if weights is not None:
        contributions = contributions * weights
    sparse = sparse_arms(arms.rows, arms.parameters)
    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="influence function", arm_codes=t,
        sparse=partial(_aipw_corrected, arms, propensity, t, y, value, sparse) if any(sparse) else None,
    )  # fmt: skip
    own = np.where(t > 0, 1 / e, 1 / (1 - e)) * (1.0 if weights is None else weights)
    return make_estimate(
        EstimateId("aipw", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        n_effective=effective_rows(own[t > 0], sample.n) + effective_rows(own[t == 0], sample.n),
        diagnostics={"mean_treated_score": float(np.average(mu1, weights=weights))},
        notes=(*arms.notes, *propensity.notes),
        warnings=(*arms.warnings, *propensity.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _aipw_corrected(
    arms: ArmFits, propensity: Propensity, t: Vector, y: Vector, value: float, sparse: Sequence[bool]
) -> Corrected:
    """Return the variance of the stacked equations of both models, where they cannot be taken as given.

    The estimate is linear in the outcomes of an arm, given the probabilities: a row's error moves it by its inverse
    probability, and through the arm's coefficients by the imbalance that the weighted rows of the arm still have.
    """
    sample, frame, e = arms.sample, arms.frame, propensity.used
    weights = np.ones(sample.n) if frame.weights is None else frame.weights
    k, n = frame.at["x"].stop, weights.sum()
    direct = np.where(t > 0, 1 / e, -1 / (1 - e)) * weights / n
    fitted = np.where(t > 0, sample.take(arms.treated), sample.take(arms.control))
    mean = mean_columns(frame, None)
    loads = direct.copy()
    for arm in (0, 1):
        rows = t > 0 if arm else t <= 0
        sign = 2.0 * arm - 1.0
        left = sign * mean - frame.matrix[:k, rows] @ direct[rows]
        loads[rows] += weights[rows] * ((arms.inverses[arm] @ left) @ frame.matrix[:k, rows])
    parts, rest = loads * (y - fitted), effects_spread(arms, value, None)
    if not propensity.known:
        slopes = direct * (y - fitted) * np.where(t > 0, e - 1, e)
        rest = rest + score_correction(propensity, t, slopes)
    return corrected(parts, rest, carried_by_arms(arms, mean, t, sparse, own=loads))


def _ipwra(plan: Plan) -> Estimate:
    sample = plan.doubly_robust_sample()
    propensity, frame = plan.propensity(sample), plan.frame("xty", sample)
    t, e = plan.treated(sample), propensity.used
    own = np.where(t > 0, e, 1 - e)
    inverse = 1 / own if frame.weights is None else frame.weights / own
    products, _ = grouped_gram(frame.rows, frame.matrix, inverse, t.astype(np.uint8), 2)
    arms = fit_arms(frame, products, plan.arm_rows(sample))
    mean = mean_columns(frame, None)
    value, (parts, _) = contrast_of_arms(arms, mean), arm_contributions(arms, mean, t, inverse)
    spread = (sample.take(arms.treated) - sample.take(arms.control) - value) / sample.n
    contributions = parts + (spread if frame.weights is None else spread * frame.weights)
    if not propensity.known:
        slopes = parts * np.where(t > 0, e - 1, e)
        contributions = contributions + score_correction(propensity, t, slopes)
    sparse = sparse_arms(arms.rows, arms.parameters)

    def small() -> Corrected:
        return corrected(parts, contributions - parts, carried_by_arms(arms, mean, t, sparse, inverse))

    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=t,
        sparse=small if any(sparse) else None,
    )  # fmt: skip
    return make_estimate(
        EstimateId("ipwra", _FAMILY, "ATE"), plan, sample, value, contributions, uncertainty,
        n_effective=effective_rows(inverse[t > 0], sample.n) + effective_rows(inverse[t == 0], sample.n),
        notes=(*arms.notes, *propensity.notes),
        warnings=(*arms.warnings, *propensity.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def _rule(plan: Plan) -> Message | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return Message("adjustment.needs-covariates-for-weights")
    sample = plan.doubly_robust_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    return reason


_OPTIONAL = ("propensity_covariates", "pscore", "weights", "cluster")

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="aipw",
        family=_FAMILY,
        estimand="ATE",
        summary="Outcome regressions by arm, corrected by inverse-probability-weighted residuals; treatment is as good "
        "as random given the covariates, and the outcome or the treatment model is correctly specified.",
        requires=("y", "treatment", "covariates"),
        optional=_OPTIONAL,
        standard_error="the influence function, with both models taken as given; where an arm has few rows, HC2 of the "
        "stacked equations of both models with Welch's degrees of freedom",
        paper="Robins, Rotnitzky and Zhao 1994, JASA 89; Lunceford and Davidian 2004, equation 12",
        doi="10.1002/sim.1903",
        checked_against="statsmodels TreatmentEffect.aipw",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=_aipw,
    ),
    Estimator(
        name="ipwra",
        family=_FAMILY,
        estimand="ATE",
        summary="Outcome regressions by arm, each weighted by the inverse probability of its treatment; treatment is "
        "as good as random given the covariates, and one of the two models is correctly specified.",
        requires=("y", "treatment", "covariates"),
        optional=_OPTIONAL,
        standard_error="M-estimation: both models and the average jointly; HC2 of the residuals with Welch's degrees "
        "of freedom where an arm has few rows",
        paper="Wooldridge 2007, Journal of Econometrics 141, section 3",
        doi="10.1016/j.jeconom.2007.02.002",
        checked_against="Stata teffects ipwra, statsmodels TreatmentEffect.ipw_ra",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=_ipwra,
    ),
)
