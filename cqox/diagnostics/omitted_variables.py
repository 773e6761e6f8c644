"""Omitted-variable bounds for double machine learning, benchmarked on the observed covariates."""

import math
from collections.abc import Sequence
from dataclasses import replace

from cqox.contract.messages import Message
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
"""Strength of the reference confounder whose bounds are reported next to the benchmarks."""

_MOST_COVARIATES = 10
_REFITTED_ROWS = 2_000
_WIDEST_REFITTED = 20


def omitted_variable_bounds(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the bounds of each double machine learning estimate with linear nuisances, by its name.

    Without a standard error, as with one treated cluster, the bounds have no confidence limits.

    Raises:
        UnusableData: there is no such estimate, or its bounds cannot be computed.
    """
    found: dict[str, Json] = {
        estimate.name: _described(plan, estimate.name, has_error=estimate.standard_error is not None)
        for estimate in estimates
        if estimate.name in MODELS and estimate.estimate is not None
    }
    if not found:
        raise UnusableData(Message("diagnostics.no-double-ml"))
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
        described["interval_reason"] = Message("diagnostics.no-confidence-limits")
    rows, wide = plan.doubly_robust_sample().n, plan.data.covariates.shape[1]
    if name != "dml_plr" and (rows > _REFITTED_ROWS or wide > _WIDEST_REFITTED):
        described["benchmarks"] = []
        described["reason"] = Message(
            "diagnostics.benchmarks-too-large", rows=_REFITTED_ROWS, covariates=_WIDEST_REFITTED
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
    """Return the bounds under a confounder of given strength; null with a reason if they are unbounded."""
    ends = bounds(found, outcome, treatment)
    if ends is None:
        return {
            **dict.fromkeys(("lower", "upper", "confidence_lower", "confidence_upper")),
            "reason": Message("diagnostics.unbounded-effect"),
        }
    (lower, upper), (confidence_lower, confidence_upper) = ends
    return {
        "lower": number(lower),
        "upper": number(upper),
        "confidence_lower": number(confidence_lower),
        "confidence_upper": number(confidence_upper),
    }
