"""How strong a confounder that nobody measured would have to be to change what the estimates say."""

from collections.abc import Sequence

import numpy as np

from cqox.diagnostics._json import number
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan
from cqox.estimators.sensitivity import EValue, e_value_of_difference, e_value_of_risks, regression_sensitivity

__all__ = ["e_values", "regression_robustness"]

_FAMILIES = ("regression", "weighting", "doubly_robust", "double_ml")
"""Families whose bias, if any, is that of a common cause of treatment and outcome."""


def regression_robustness(plan: Plan) -> dict[str, Json]:
    """Robustness values of `ols_adjustment`, and what confounders as strong as the covariates would make of it.

    Raises:
        UnusableData: there is no such regression.
    """
    if plan.has("fixed_effects"):
        raise UnusableData("Robustness values are not computed beside fixed effects.")
    found = regression_sensitivity(plan)
    benchmarks: list[Json] = [
        {
            "covariate": benchmark.label,
            "multiple": benchmark.multiple,
            "r2_treatment": number(benchmark.r2_treatment),
            "r2_outcome": number(benchmark.r2_outcome),
            "estimate": number(benchmark.estimate),
            "standard_error": number(benchmark.standard_error),
            "statistic": number(benchmark.estimate / benchmark.standard_error) if benchmark.standard_error else None,
        }
        for benchmark in found.benchmarks
    ]
    return {
        "estimate": number(found.estimate),
        "standard_error": number(found.standard_error),
        "degrees": found.degrees,
        "partial_r2": number(found.partial_r2),
        "robustness_value": number(found.robustness_value),
        "robustness_value_alpha": number(found.robustness_value_alpha),
        "benchmarks": benchmarks,
    }


def e_values(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The E-value of each computed estimate that a common cause could bias, and of its interval's nearer end.

    Risk ratios for a binary outcome, by the risk of the untreated rows; else exp(0.91·d) of the difference in standard
    deviations of the outcome.
    """
    chosen = [estimate for estimate in estimates if estimate.family in _FAMILIES and estimate.estimate is not None]
    if plan.data.treatment_kind != "binary":
        return {"reason": "E-values compare two levels of treatment; this treatment is an amount."} if chosen else {}
    if not chosen:
        return {"reason": "No estimate was computed that a common cause of treatment and outcome could bias."}
    sample = plan.sample("y", "treatment")
    y, treated = sample.take(plan.data.y), plan.treated(sample) > 0
    result: dict[str, Json] = {}
    if plan.data.y_kind == "binary":
        weights = plan.weights(sample)
        risk = float(np.average(y[~treated], weights=None if weights is None else weights[~treated]))
        for estimate in chosen:
            assert estimate.estimate is not None
            found = e_value_of_risks(estimate.estimate, estimate.ci_lower, estimate.ci_upper, risk)
            result[estimate.name] = _told(found, f"A risk of {risk:.3g} without treatment leaves no room for it.")
        return {"scale": "risk ratio", "untreated_risk": number(risk), "estimates": result}
    sd = float(y.std(ddof=1))
    for estimate in chosen:
        assert estimate.estimate is not None
        result[estimate.name] = _told(e_value_of_difference(estimate.estimate, estimate.standard_error, sd), "")
    return {"scale": "exp(0.91 d)", "sd_y": number(sd), "estimates": result}


def _told(found: EValue | None, reason: str) -> Json:
    if found is None:
        return {"e_value": None, "interval": None, "reason": reason}
    return {
        "risk_ratio": number(found.risk_ratio),
        "e_value": number(found.estimate),
        "interval": number(found.interval),
    }
