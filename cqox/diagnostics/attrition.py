"""Differential attrition and bounds on the effect under missing outcomes."""

from dataclasses import asdict

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.adjustment.missing_outcome_bounds import Bounds, trimming_bounds, worst_case_bounds
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["attrition"]


def attrition(plan: Plan) -> dict[str, Json]:
    """Compare the share of missing outcomes between the arms and bound the effect of a randomised treatment.

    Raises:
        UnusableData: the treatment is not binary, no outcome is mapped, or no outcome is missing.
    """
    data = plan.data
    if data.treatment_kind != "binary" or not plan.has("y"):
        raise UnusableData(Message("diagnostics.attrition-needs"))
    sample = plan.sample("treatment")
    y, treated = sample.take(data.y), plan.treated(sample)
    missing = np.isnan(y)
    if not missing.any():
        raise UnusableData(Message("diagnostics.no-missing-outcome"))
    rows = [int(np.count_nonzero(missing & (treated == level))) for level in (0.0, 1.0)]
    sizes = [int(np.count_nonzero(treated == level)) for level in (0.0, 1.0)]
    share = [lost / size if size else 0.0 for lost, size in zip(rows, sizes, strict=True)]
    error = float(np.sqrt(sum(p * (1 - p) / max(size, 1) for p, size in zip(share, sizes, strict=True))))
    weights = plan.weights(sample)
    worst = worst_case_bounds(y, treated, weights, plan.settings.outcome_range, plan.settings.alpha)
    return {
        "untreated_rows_missing": rows[0],
        "treated_rows_missing": rows[1],
        "difference_in_shares": number(share[1] - share[0]),
        "p_value": number(two_sided((share[1] - share[0]) / error, None)) if error > 0 else None,
        "worst_case": _as_json(worst),
        "trimming": _as_json(trimming_bounds(y, treated, weights, plan.settings.alpha)),
        "assumes": Message("diagnostics.attrition-assumes"),
    }


def _as_json(bounds: Bounds) -> dict[str, Json]:
    return {key: value if isinstance(value, str) else number(value) for key, value in asdict(bounds).items()}
