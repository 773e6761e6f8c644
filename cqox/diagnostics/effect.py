"""The primary effect in the units of a decision: relative to the outcome without treatment, in total, net of cost.

The outcome without treatment is the mean outcome less what the estimate attributes to treatment: of the treated rows
for effects on the treated, of all rows otherwise, by the treated share. The interval of the relative effect is by the
delta method, from the influence functions of estimate and mean. The total is the effect on the treated times the
treated rows, for series and panels.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract import Effect
from cqox.contract.messages import Message
from cqox.diagnostics.agreement import cluster_sums
from cqox.diagnostics.json_values import number
from cqox.diagnostics.tables import number_in
from cqox.estimators import Estimate, Plan, Sample, Vector
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["OVER_TIME", "effect", "treated_rows_of"]

OVER_TIME = ("did", "did_staggered", "synthetic_control", "interrupted_series")
"""Families whose effects add up over treated rows."""
_OF_CONTRAST = frozenset({"ATE", "ATT"})
_LEAST_SHARE = 1e-6
"""Share of the mean absolute outcome below which the outcome without treatment counts as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    """The mean outcome without treatment.

    Attributes:
        value: the mean.
        influence: (n_total,) its influence function; None where the estimate has none.
    """

    value: float
    influence: Vector | None


def effect(plan: Plan, chosen: Estimate | None) -> Effect | None:
    """Return the primary effect with its relative size, its total and its value net of cost; None without a number.

    Args:
        plan: the contrast's plan.
        chosen: the primary estimate.
    """
    if chosen is None or chosen.estimate is None:
        return None
    names = plan.data.names
    value, lower, upper = chosen.estimate, chosen.ci_lower, chosen.ci_upper
    outcome = next((names[role][0] for role in ("y", "reward") if names.get(role)), None)
    treatment = next((names[role][0] for role in ("treatment", "dose", "action") if names.get(role)), None)
    made: dict[str, object] = {"outcome": outcome, "treatment": treatment}
    if chosen.family == "off_policy":
        lift, error = (
            number_in(chosen.diagnostics.get("lift")),
            number_in(chosen.diagnostics.get("lift_standard_error")),
        )
        if lift is None:
            return None
        half = None if error is None else critical_value(plan.settings.alpha, None) * error
        lower, upper = (None, None) if half is None else (lift - half, lift + half)
        logged, value = value - lift, lift
        made |= _of_policy(logged, lift, lower, upper)
    else:
        made |= _relative(plan, chosen, value)
        made |= _total(plan, chosen, value) | _net(plan, chosen, value)
    return Effect(estimate=value, lower=lower, upper=upper, **made)  # type: ignore[arg-type]


def _of_policy(logged: float, lift: float, lower: float | None, upper: float | None) -> dict[str, object]:
    if not logged > 0:
        return {"relative_reason": Message("effect.no-positive-baseline")}
    ends = {"relative_lower": lower, "relative_upper": upper}
    return {"baseline": logged, "relative": lift / logged} | {
        name: None if end is None else end / logged for name, end in ends.items()
    }


def _relative(plan: Plan, chosen: Estimate, value: float) -> dict[str, object]:
    found = _baseline(plan, chosen, value)
    if isinstance(found, Message):
        return {"relative_reason": found}
    relative = value / found.value
    made: dict[str, object] = {"baseline": found.value, "relative": relative}
    error = _error(plan, chosen, found, relative)
    if error is None:
        return made | {"relative_reason": Message("effect.no-relative-interval", primary=chosen.name)}
    half = critical_value(plan.settings.alpha, None) * error
    return made | {"relative_lower": relative - half, "relative_upper": relative + half}


def _baseline(plan: Plan, chosen: Estimate, value: float) -> _Baseline | Message:
    data = plan.data
    if chosen.estimand not in _OF_CONTRAST or data.treatment_kind == "continuous" or not plan.has("y"):
        return Message("effect.no-baseline", estimand=chosen.estimand)
    sample, treated = _treated(plan, chosen)
    if sample is None or treated is None or not treated.any():
        return Message("effect.no-baseline", estimand=chosen.estimand)
    y, weights = sample.take(data.y), plan.weights(sample)
    w = np.ones(sample.n) if weights is None else weights
    on_treated = chosen.estimand == "ATT"
    rows = w * treated if on_treated else w
    share = 1.0 if on_treated else float(np.average(treated, weights=w))
    mean = float(np.average(y, weights=rows))
    base = mean - share * value
    if (y < 0).any() or base <= _LEAST_SHARE * float(np.abs(y).mean()):
        return Message("effect.no-positive-baseline")
    influence = None
    if chosen.influence is not None:
        own = rows * (y - mean) / rows.mean()
        if not on_treated:
            own = own - value * w * (treated - share) / w.mean()
        influence = _spread(plan, sample, own) - share * _per_row(chosen, sample.n)
    return _Baseline(value=base, influence=influence)


def _treated(plan: Plan, chosen: Estimate) -> tuple[Sample | None, NDArray[np.bool_] | None]:
    """Return the rows with an outcome, and which of them are treated; (None, None) if that is not determined."""
    data = plan.data
    if chosen.family == "interrupted_series":
        if data.post is None:
            return None, None
        sample = plan.sample("y", "post")
        return sample, sample.take(data.post) > 0
    if data.treatment_kind != "binary":
        return None, None
    roles = ["y", "treatment", *(["post"] if data.post is not None else [])]
    sample = plan.sample(*roles)
    treated = plan.treated(sample) > 0
    return sample, treated & (sample.take(data.post) > 0) if data.post is not None else treated


def _per_row(chosen: Estimate, rows: int) -> Vector:
    """Return (n_total,) the influence function, scaled so that its mean over the rows is the error of the estimate."""
    assert chosen.influence is not None
    return chosen.influence * (rows / (chosen.n or rows))


def _spread(plan: Plan, sample: Sample, values: Vector) -> Vector:
    if sample.index is None:
        return values
    placed = np.zeros(plan.data.n)
    placed[sample.index] = values
    return placed


def _error(plan: Plan, chosen: Estimate, base: _Baseline, relative: float) -> float | None:
    """Return the standard error of the relative effect, scaled to the standard error of the estimate."""
    if base.influence is None or chosen.influence is None or not chosen.standard_error:
        return None
    sample, _ = _treated(plan, chosen)
    assert sample is not None
    own = _per_row(chosen, sample.n)
    ratio = (own - relative * base.influence) / base.value
    spread, of_estimate = (float(np.square(cluster_sums(plan, each)).sum()) for each in (ratio, own))
    if not of_estimate > 0:
        return None
    return number(math.sqrt(spread / of_estimate) * chosen.standard_error)


def _total(plan: Plan, chosen: Estimate, value: float) -> dict[str, object]:
    if chosen.family not in OVER_TIME:
        return {}
    rows = plan.share(treated_rows_of(chosen.family), lambda: _treated_rows(plan, chosen))
    if isinstance(rows, Message):
        return {"total_reason": rows}
    if not rows:
        return {"total_reason": Message("effect.no-treated-rows")}
    ends = {"total_lower": chosen.ci_lower, "total_upper": chosen.ci_upper}
    return {"total": value * rows, "total_rows": rows} | {
        name: None if end is None else end * rows for name, end in ends.items()
    }


def treated_rows_of(family: str) -> object:
    """Return what a plan shares the number of treated rows under, or the reason why that is unknown.

    The plan of a sample shares that of all rows of its table.
    """
    return "treated rows", family == "interrupted_series"


def _treated_rows(plan: Plan, chosen: Estimate) -> int | Message:
    _, treated = _treated(plan, chosen)
    return Message("effect.treated-rows-unknown") if treated is None else int(np.count_nonzero(treated))


def _net(plan: Plan, chosen: Estimate, value: float) -> dict[str, object]:
    if plan.data.cost is None or chosen.estimand not in _OF_CONTRAST:
        return {}
    sample, treated = _treated(plan, chosen)
    if sample is None or treated is None:
        return {}
    costs = sample.take(plan.data.cost)[treated]
    costs = costs[np.isfinite(costs)]
    if not len(costs):
        return {}
    cost = float(costs.mean())
    ends = {"net_lower": chosen.ci_lower, "net_upper": chosen.ci_upper}
    return {"mean_cost": cost, "net_of_cost": value - cost} | {
        name: None if end is None else end - cost for name, end in ends.items()
    }
