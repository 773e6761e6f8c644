"""How far a confounder left out could move the estimates of double machine learning, with covariates as yardsticks."""

import math
from collections.abc import Sequence
from dataclasses import replace

from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan
from cqox.estimators.sensitivity.omitted_variables import (
    MODELS,
    Gain,
    OmittedVariables,
    bounds,
    gains,
    omitted_variables,
)

__all__ = ["omitted_variable_bounds"]

_SCENARIO = 0.03
"""The strength of the confounder whose bounds are told beside those of the covariates."""

_MOST_COVARIATES = 10
_REFITTED_ROWS = 2_000
_WIDEST_REFITTED = 20


def omitted_variable_bounds(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The bounds of each estimate of double machine learning with linear nuisances, by its name.

    Those of an estimate without a standard error, as with one treated cluster, have no ends of an interval either.

    Raises:
        UnusableData: there is none, or its bounds cannot be computed.
    """
    found: dict[str, Json] = {
        estimate.name: _described(plan, estimate.name, has_error=estimate.standard_error is not None)
        for estimate in estimates
        if estimate.name in MODELS and estimate.estimate is not None
    }
    if not found:
        raise UnusableData("No estimate of double machine learning with linear nuisances was computed.")
    return found


def _described(plan: Plan, name: str, *, has_error: bool) -> dict[str, Json]:
    found = omitted_variables(plan, name)
    if not has_error:
        found = replace(found, critical=math.nan, robustness_value_alpha=math.nan)
    described: dict[str, Json] = {
        "estimate": number(found.estimate),
        "robustness_value": number(found.robustness_value),
        "robustness_value_alpha": number(found.robustness_value_alpha),
        "outcome_variance": number(found.outcome_variance),
        "riesz_variance": number(found.riesz_variance),
        "level": 1 - plan.settings.alpha,
        "scenario": {"c_outcome": _SCENARIO, "c_treatment": _SCENARIO, **_ends(found, _SCENARIO, _SCENARIO)},
    }
    if not has_error:
        described["interval_reason"] = "The estimate has no standard error, so that its bounds have no intervals."
    rows, wide = plan.doubly_robust_sample().n, plan.data.covariates.shape[1]
    if name != "dml_plr" and (rows > _REFITTED_ROWS or wide > _WIDEST_REFITTED):
        described["benchmarks"] = []
        described["reason"] = (
            f"Without each covariate the treatment model has to be fitted again, which is done for up to "
            f"{_REFITTED_ROWS:,} rows and {_WIDEST_REFITTED} covariates; dml_plr has benchmarks for any."
        )
        return described
    described["benchmarks"] = [_benchmark(found, gain) for gain in gains(plan, name, most=_MOST_COVARIATES)]
    return described


def _benchmark(found: OmittedVariables, gain: Gain) -> Json:
    return {
        "covariate": gain.label,
        "c_outcome": number(gain.outcome),
        "c_treatment": number(gain.treatment),
        "adversity": number(gain.adversity),
        "change": number(gain.change),
        **_ends(found, gain.outcome, gain.treatment),
    }


def _ends(found: OmittedVariables, outcome: float, treatment: float) -> dict[str, Json]:
    """Bounds under a confounder of some strength; None where it is so strong that there are none."""
    ends = bounds(found, outcome, treatment)
    if ends is None:
        return {
            **dict.fromkeys(("lower", "upper", "confidence_lower", "confidence_upper")),
            "reason": "A confounder that adds this much to the representer's variance bounds nothing.",
        }
    (lower, upper), (confidence_lower, confidence_upper) = ends
    return {
        "lower": number(lower),
        "upper": number(upper),
        "confidence_lower": number(confidence_lower),
        "confidence_upper": number(confidence_upper),
    }
