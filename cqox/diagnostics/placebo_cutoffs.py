"""Effects at placebo cutoffs, where the treatment does not change and no jump is expected."""

from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan
from cqox.estimators.numerics.quantiles import two_sided
from cqox.estimators.rd.placebo import placebo_studies
from cqox.estimators.rd.study import Effect, Study, effective_degrees

__all__ = ["placebo_cutoffs"]

_SHARES = (0.2, 0.4, 0.6, 0.8)
"""Shares of a side's rows between the real cutoff and the placebo cutoffs."""


def placebo_cutoffs(plan: Plan, of: Study) -> Json:
    """Return the jumps of the outcome, net of covariates, at quantiles of the score on each side; p-values by Holm.

    Few rows are near a placebo cutoff, so that p-values are of t by their effective degrees of freedom.

    Raises:
        UnusableData: no side has enough rows around a placebo cutoff.
    """
    unit, cutoff = of.score.unit, plan.data.cutoff or 0.0
    rows: list[dict[str, Json]] = []
    values: list[float] = []
    for placebo in placebo_studies(of, _SHARES):
        found = placebo.study
        effect = found.outcome_jump(found.jump)
        row = effect.json(plan.settings.alpha)
        if row["standard_error"] is None:
            continue
        place = cutoff + (1.0 if placebo.above else -1.0) * placebo.distance * unit
        values.append(_p_value(effect))
        side = "above" if placebo.above else "below"
        rows.append(
            {
                "cutoff": place, "side": side, "h": found.jump.h * unit, "N_h": list(found.jump.within_h),
                **row, "p_value": values[-1],
            }
        )  # fmt: skip
    if not rows:
        raise UnusableData(Message("diagnostics.no-placebo-cutoff"))
    adjusted = holm(values)
    for row, value in zip(rows, adjusted, strict=True):
        row["adjusted_p_value"] = value
    return {"tested": len(rows), "smallest_p_value": min(values), "adjusted_p_value": min(adjusted), "cutoffs": [*rows]}


def _p_value(effect: Effect) -> float:
    errors = effect.errors
    degrees = effective_degrees(errors.parts) if errors.degrees is None else errors.degrees
    return two_sided(effect.corrected / (errors.robust * effect.scale), degrees)
