"""Whether a weighted sum of untreated units followed the treated ones before their treatment."""

import math
from collections.abc import Sequence

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, above, number_in, skip
from cqox.estimators import Estimate, Json

__all__ = ["donor_fit", "donor_fit_gate"]

_FAMILY = "synthetic_control"
_MISFIT, _MISFIT_FAILS = 0.5, 1.0


def donor_fit(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """How each synthetic control fits, how many donors it rests on, and what placebos say.

    Returns:
        By estimator: `misfit` (root mean square before treatment, in standard deviations of the untreated units'
        outcomes), `pre_rmspe` (the same in units of the outcome), `donors`, `effective_donors`, `largest_weight`,
        `p_value_in_space`, `p_value_in_space_well_fitted` and `gap_in_time`, null where it has none.
    """
    found: dict[str, Json] = {
        estimate.name: _described(estimate)
        for estimate in estimates
        if estimate.family == _FAMILY and estimate.estimate is not None
    }
    return found or {"reason": "No estimate that was computed rests on a synthetic control."}


def _described(estimate: Estimate) -> dict[str, Json]:
    told = estimate.diagnostics
    rows = told.get("donor_weights")
    weights = [
        weight
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (weight := number_in(row.get("weight"))) is not None
    ]
    squares = math.fsum(weight * weight for weight in weights)
    space, time = told.get("placebo_in_space"), told.get("placebo_in_time")
    return {
        "misfit": told.get("pre_fit"),
        "pre_rmspe": told.get("pre_rmspe"),
        "donors": told.get("donors"),
        "effective_donors": 1 / squares if squares > 0 else None,
        "largest_weight": max(weights, default=None),
        "p_value_in_space": space.get("p_value") if isinstance(space, dict) else told.get("p_value_placebo"),
        "p_value_in_space_well_fitted": space.get("p_value_well_fitted") if isinstance(space, dict) else None,
        "gap_in_time": time.get("average_gap") if isinstance(time, dict) else None,
    }


def donor_fit_gate(chosen: Estimate | None) -> Gate:
    """Whether the donors of the primary could follow the treated units."""
    rule = (
        f"Before treatment the synthetic control misses the treated units by at most {_MISFIT} standard deviations of "
        f"the untreated units' outcomes (root mean square); fails above {_MISFIT_FAILS:g}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != _FAMILY:
        return skip(rule, f"The primary, {chosen.name}, rests on no synthetic control.")
    value = number_in(chosen.diagnostics.get("pre_fit"))
    if value is None:
        return skip(rule, "The fit before treatment is not known.")
    status = above(value, _MISFIT, _MISFIT_FAILS)
    said = None if status == "pass" else f"No donor fits: the misfit is {value:.2f} standard deviations."
    return Gate(status=status, value=value, threshold=_MISFIT, rule=rule, reason=said)
