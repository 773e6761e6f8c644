"""Pre-treatment fit of synthetic controls, their donor weights and placebo tests."""

import math
from collections.abc import Sequence

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics.tables import NO_PRIMARY, above, number_in, skip
from cqox.estimators import Estimate, Json

__all__ = ["MISFIT", "MISFIT_FAILS", "donor_fit", "donor_fit_gate"]

_FAMILY = "synthetic_control"
MISFIT, MISFIT_FAILS = 0.5, 1.0
"""Misfit from which the gate warns, and from which it fails."""


def donor_fit(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the pre-treatment fit, the donor weights and the placebo tests of each synthetic control.

    Returns:
        By estimator: `misfit` (root mean square before treatment, in standard deviations of the untreated units'
        outcomes), `pre_rmspe` (the same in units of the outcome), `donors`, `effective_donors`, `largest_weight`,
        `placebos`, `p_value_in_space`, `p_value_in_space_well_fitted`, `gap_in_time` and `p_value_in_time`, each null
        if not computed.
    """
    found: dict[str, Json] = {
        estimate.name: _described(estimate)
        for estimate in estimates
        if estimate.family == _FAMILY and estimate.estimate is not None
    }
    return found or {"reason": Message("diagnostics.no-synthetic-control")}


def _described(estimate: Estimate) -> dict[str, Json]:
    diagnostics = estimate.diagnostics
    rows = diagnostics.get("donor_weights")
    weights = [
        weight
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (weight := number_in(row.get("weight"))) is not None
    ]
    squares = math.fsum(weight * weight for weight in weights)
    space, time = diagnostics.get("placebo_in_space"), diagnostics.get("placebo_in_time")
    return {
        "misfit": diagnostics.get("pre_fit"),
        "pre_rmspe": diagnostics.get("pre_rmspe"),
        "donors": diagnostics.get("donors"),
        "effective_donors": 1 / squares if squares > 0 else None,
        "largest_weight": max(weights, default=None),
        "placebos": space.get("placebos") if isinstance(space, dict) else diagnostics.get("placebos"),
        "p_value_in_space": space.get("p_value") if isinstance(space, dict) else diagnostics.get("p_value_placebo"),
        "p_value_in_space_well_fitted": space.get("p_value_well_fitted") if isinstance(space, dict) else None,
        "gap_in_time": time.get("average_gap") if isinstance(time, dict) else None,
        "p_value_in_time": time.get("p_value") if isinstance(time, dict) else None,
    }


def donor_fit_gate(chosen: Estimate | None) -> Gate:
    """Check the pre-treatment fit of the primary's synthetic control."""
    rule = Message("gates.donor-fit-rule", most=MISFIT, fails=MISFIT_FAILS)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != _FAMILY:
        return skip(rule, Message("gates.no-synthetic-control", primary=chosen.name))
    value = number_in(chosen.diagnostics.get("pre_fit"))
    if value is None:
        return skip(rule, Message("gates.no-fit"))
    status = above(value, MISFIT, MISFIT_FAILS)
    reason = None if status == "pass" else Message("gates.poor-fit", rmse=value)
    return Gate(status=status, value=value, threshold=MISFIT, rule=rule, reason=reason)
