"""Sensitivity to unmeasured confounding: E-values and robustness values of estimates that assume unconfoundedness.

The formulas are in `cqox.estimators.sensitivity.unmeasured_confounding`; here they are applied to the estimates.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan, Vector
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.sensitivity.unmeasured_confounding import (
    EValue,
    RegressionSensitivity,
    e_value_of_difference,
    e_value_of_risks,
    regression_sensitivity,
)

__all__ = ["UNCONFOUNDED", "e_values", "outcome_scale", "robustness", "unconfounded"]

UNCONFOUNDED = frozenset(
    {
        "regression", "stratification", "weighting", "matching", "doubly_robust", "double_ml", "meta_learners",
        "causal_forest", "dose_response",
    }
)  # fmt: skip
"""Families whose estimates assume unconfoundedness of the treatment, or of an instrument, given the covariates."""


def unconfounded(estimate: Estimate) -> bool:
    """Return whether an estimate assumes unconfoundedness given the covariates."""
    return estimate.family in UNCONFOUNDED and estimate.estimand != "LATE"


def outcome_scale(plan: Plan) -> dict[str, Json]:
    """Return mean and standard deviation of the outcome, the scale of standardised effects.

    Also the standard deviation of a continuous treatment, or the number of rows of each arm.
    """
    sample = plan.sample("y", "treatment") if plan.has("treatment") else plan.sample("y")
    if sample.n < 2:
        return {"n": sample.n, "mean": None, "sd": None, "reason": Message("diagnostics.no-outcome")}
    weights = plan.weights(sample)
    mean, sd = _mean_and_sd(sample.take(plan.data.y), weights)
    found: dict[str, Json] = {"kind": plan.data.y_kind, "n": sample.n, "mean": number(mean), "sd": number(sd)}
    if plan.data.treatment_kind == "continuous":
        found["treatment_mean"], found["treatment_sd"] = map(number, _mean_and_sd(plan.treated(sample), weights))
    elif plan.data.treatment_kind == "binary":
        found["control_rows"], found["treated_rows"] = plan.arm_rows(sample)
    return found


def _mean_and_sd(values: Vector, weights: Vector | None) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights)) * len(values) / (len(values) - 1)
    return mean, float(np.sqrt(variance))


def e_values(plan: Plan, estimates: Sequence[Estimate], sd_y: float | None) -> dict[str, Json]:
    """Return the E-value of each estimate that assumes unconfoundedness, by its name."""
    found: dict[str, Json] = {}
    for estimate in estimates:
        if unconfounded(estimate) and estimate.estimate is not None:
            found[estimate.name] = _e_value(plan, estimate, estimates, sd_y)
    return found


def _e_value(plan: Plan, estimate: Estimate, estimates: Sequence[Estimate], sd_y: float | None) -> Json:
    assert estimate.estimate is not None
    if plan.data.treatment_kind != "binary":
        return _undefined(Message("diagnostics.e-value-needs-binary"))
    if plan.data.y_kind == "binary":
        risk = _untreated_risk(plan, estimate, estimates)
        value = e_value_of_risks(estimate.estimate, estimate.ci_lower, estimate.ci_upper, risk)
        if value is None:
            return _undefined(Message("diagnostics.impossible-risk", untreated_risk=risk))
        return {"scale": Message("diagnostics.risk-difference"), "untreated_risk": risk, **_described(value)}
    if sd_y is None or not sd_y > 0:
        return _undefined(Message("diagnostics.outcome-constant"))
    value = e_value_of_difference(estimate.estimate, estimate.standard_error, sd_y, alpha=plan.settings.alpha)
    return {
        "scale": Message("diagnostics.standardised-risk"),
        "standardised_difference": estimate.estimate / sd_y,
        **_described(value),
    }


def _undefined(reason: Message) -> dict[str, Json]:
    return {"estimate": None, "interval": None, "reason": reason}


def _described(value: EValue) -> dict[str, Json]:
    found: dict[str, Json] = {
        "risk_ratio": number(value.risk_ratio),
        "estimate": number(value.estimate),
        "interval": number(value.interval),
    }
    if found["estimate"] is None:
        found["reason"] = Message("diagnostics.extreme-risk-ratio")
    elif value.interval is None:
        found["reason"] = Message("diagnostics.no-interval")
    elif found["interval"] is None:
        found["reason"] = Message("diagnostics.limit-of-zero")
    return found


def _untreated_risk(plan: Plan, estimate: Estimate, estimates: Sequence[Estimate]) -> float:
    """Return the untreated risk, weighted to the estimand's population if a weighting estimate was computed."""
    if estimate.name != "difference_in_means":
        for other in estimates:
            mean = other.diagnostics.get("mean_control")
            if other.family == "weighting" and other.estimand == estimate.estimand and isinstance(mean, float):
                return mean
    sample = plan.sample("y", "treatment")
    untreated = plan.treated(sample) <= 0
    weights = plan.weights(sample)
    y = sample.take(plan.data.y)[untreated]
    return float(np.average(y, weights=None if weights is None else weights[untreated]))


def robustness(plan: Plan) -> dict[str, Json]:
    """Return robustness values of the adjusted regression with benchmark covariates, or a reason if there are none."""
    if not (plan.has("covariates") or plan.has("fixed_effects")):
        return {"robustness_value": None, "reason": Message("diagnostics.nothing-to-adjust-for")}
    try:
        found = regression_sensitivity(plan)
    except UnusableData as error:
        return {"robustness_value": None, "reason": error.detail}
    return _robustness(found, plan.settings.alpha)


def _robustness(found: RegressionSensitivity, alpha: float) -> dict[str, Json]:
    return {
        "of": Message("diagnostics.robustness-of"),
        "estimate": number(found.estimate),
        "standard_error": number(found.standard_error),
        "degrees_of_freedom": found.degrees,
        "critical_value": critical_value(alpha, found.degrees - 1),
        "partial_r2": number(found.partial_r2),
        "robustness_value": number(found.robustness_value),
        "robustness_value_alpha": number(found.robustness_value_alpha),
        "beyond_benchmarks": list(found.beyond),
        "benchmarks": [
            {
                "covariate": benchmark.label,
                "times_as_strong": benchmark.multiple,
                "r2_treatment": number(benchmark.r2_treatment),
                "r2_outcome": number(benchmark.r2_outcome),
                "adjusted_estimate": number(benchmark.estimate),
                "adjusted_standard_error": number(benchmark.standard_error),
            }
            for benchmark in found.benchmarks
        ],
    }
