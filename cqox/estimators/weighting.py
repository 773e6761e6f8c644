"""Inverse probability weighting.

Assumes that treatment is as good as random given the covariates of the treatment model, that this model (a logit) is
right, and that every kind of unit could have been in either arm.
"""

from functools import partial
from typing import Literal

import numpy as np

from cqox.estimators._propensity import given_probabilities, score_correction
from cqox.estimators._result import Title, effective_rows, estimated, no_absorbing, pooled_periods, two_arms
from cqox.estimators._uncertainty import asymptotic
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS", "hajek"]

_FAMILY = "weighting"

type Target = Literal["ATE", "ATT", "ATC"]


def hajek(plan: Plan, *, target: Target) -> Estimate:
    """The difference of weighted means, with weights that give both arms the covariates of the target population."""
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
    uncertainty = asymptotic(contributions, plan.clusters(sample), plan.settings, name="M-estimation")
    ess = effective_rows(treated, sample.n), effective_rows(control, sample.n)
    diagnostics: dict[str, Json] = {
        "ess_treated": ess[0],
        "ess_control": ess[1],
        "mean_treated": means[0],
        "mean_control": means[1],
        "largest_weight_share": float(max(treated.max() / treated.sum(), control.max() / control.sum())),
        "propensity": "given" if propensity.known else "logit",
    }
    return estimated(
        Title(f"ipw_{target.lower()}", _FAMILY, target), plan, sample, value, contributions, uncertainty,
        n_effective=sum(ess), diagnostics=diagnostics, notes=propensity.notes,
        warnings=(*propensity.warnings, *pooled_periods(plan)),
    )  # fmt: skip


def balancing_weights(target: Target, t: Vector, e: Vector) -> tuple[Vector, Vector, Vector]:
    """(n,) weights of the treated rows, of the untreated rows, and the derivative of a row's weight by its logit."""
    own = np.where(t > 0, e, 1 - e)
    other = np.where(t > 0, 1 - e, e)
    odds = other / own
    slope = np.where(t > 0, -odds, odds)
    if target == "ATE":
        return t / own, (1 - t) / own, slope
    if target == "ATT":
        return t.copy(), (1 - t) * odds, (1 - t) * slope
    return t * odds, 1 - t, t * slope


def _rule(plan: Plan) -> str | None:
    if not (plan.has("propensity_covariates") or plan.has("pscore")):
        return "It needs 'covariates', 'propensity_covariates' or a known 'pscore' to weight by."
    sample = plan.propensity_sample()
    reason = no_absorbing(plan) or two_arms(plan, sample)
    if reason is None and plan.has("pscore"):
        reason = given_probabilities(plan.propensity(sample))
    elif reason is None:
        plan.propensity(sample)
    return reason


def _entry(target: Target, population: str, flipped: Target) -> Estimator:
    return Estimator(
        name=f"ipw_{target.lower()}",
        family=_FAMILY,
        estimand=target,
        summary=f"Difference of means weighted to the covariates of {population} by a logit; treatment is as good as "
        "random given the covariates.",
        requires=("y", "treatment"),
        optional=("covariates", "propensity_covariates", "pscore", "weights", "cluster"),
        standard_error="M-estimation with the score correction of the logit; none for a given pscore",
        paper="Lunceford and Davidian 2004, Statistics in Medicine 23, equations 9 and 19",
        doi="10.1002/sim.1903",
        checked_against="Stata teffects ipw, statsmodels TreatmentEffect.ipw, WeightIt",
        laws=CROSS_SECTION_LAWS,
        rule=_rule,
        compute=partial(hajek, target=target),
        flipped=partial(hajek, target=flipped),
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry("ATE", "all rows", "ATE"),
    _entry("ATT", "the treated", "ATC"),
)
