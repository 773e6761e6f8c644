"""Construction of the reported `Estimate` from a value and its uncertainty, and applicability rules shared by
families."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.inference.arm_sizes import RowsByArm, allowing_for_few_clusters, doubtful_rows, rows_by_arm
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.numerics.absorb import compress, is_nested
from cqox.estimators.numerics.array_store import empty
from cqox.estimators.numerics.quantiles import critical_value, two_sided
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = [
    "EstimateId",
    "assembled",
    "effective_rows",
    "finite",
    "make_estimate",
    "no_absorbing",
    "only_panel_effects",
    "pooled_periods",
    "two_arms",
    "varying_outcome",
]

_FEWEST_ROWS = 4


@dataclass(frozen=True, slots=True)
class EstimateId:
    """Name, family and estimand of an estimate."""

    name: str
    family: str
    estimand: str


def make_estimate(
    identity: EstimateId,
    plan: Plan,
    sample: Sample,
    value: float,
    contributions: Vector | None,
    uncertainty: Uncertainty,
    *,
    n_effective: float | None = None,
    diagnostics: Mapping[str, Json] | None = None,
    notes: Iterable[Message] = (),
    warnings: Iterable[Message] = (),
) -> Estimate:
    """Return the estimate with its interval and p-value.

    Args:
        identity: its name, family and estimand.
        plan: the request's plan, for the level of the interval.
        sample: the rows used.
        value: the point estimate.
        contributions: (sample.n,) of the rows; the influence function is n times as large.
        uncertainty: its standard error.
        n_effective: effective rows; by the sampling weights where None.
        diagnostics: numbers about the estimate.
        notes: what was done, reported among the diagnostics.
        warnings: caveats, reported after those about the standard error.
    """
    uncertainty = allowing_for_few_clusters(uncertainty, plan, sample, identity.family, identity.estimand)
    return assembled(
        identity, plan, value, uncertainty, n=sample.n,
        arms=rows_by_arm(plan, sample, identity.family, identity.estimand),
        n_effective=effective_rows(plan.weights(sample), sample.n) if n_effective is None else n_effective,
        influence=None if contributions is None else _influence(sample, contributions), diagnostics=diagnostics,
        notes=notes, warnings=warnings,
    )  # fmt: skip


def assembled(
    identity: EstimateId,
    plan: Plan,
    value: float,
    uncertainty: Uncertainty,
    *,
    n: int,
    arms: RowsByArm | None,
    n_effective: float,
    influence: Vector | None,
    diagnostics: Mapping[str, Json] | None = None,
    notes: Iterable[Message] = (),
    warnings: Iterable[Message] = (),
) -> Estimate:
    """Return the estimate with its interval and p-value, from numbers about its rows wherever these are.

    Args:
        identity: its name, family and estimand.
        plan: the request's plan, for the level of the interval and the roles.
        value: the point estimate.
        uncertainty: its standard error, with the clusters by arm.
        n: rows used.
        arms: of them in each arm; None for an estimator that does not compare the rows of two arms.
        n_effective: effective rows.
        influence: (n_total,) influence function values; None where none are known.
        diagnostics: numbers about the estimate.
        notes: what was done, reported among the diagnostics.
        warnings: caveats, reported after those about the standard error.
    """
    error = uncertainty.standard_error
    doubts = [*uncertainty.warnings, *warnings]
    if arms is not None and error is not None:
        doubts += doubtful_rows(arms, plan, identity.family, uncertainty)
    lower = upper = p_value = None
    if error is None:
        if not uncertainty.warnings:
            doubts.insert(0, Message("inference.no-variation"))
    else:
        half = critical_value(plan.settings.alpha, uncertainty.degrees) * error
        lower, upper, p_value = value - half, value + half, two_sided(value / error, uncertainty.degrees)
    remarks = list(dict.fromkeys([*notes, *uncertainty.notes]))
    details: dict[str, Json] = {"standard_errors": dict(uncertainty.alternates), **(diagnostics or {})}
    if uncertainty.degrees is not None:
        details["degrees_of_freedom"] = uncertainty.degrees
    if arms is not None:
        details["rows_by_arm"] = {"untreated": arms.untreated, "treated": arms.treated}
    if uncertainty.by_arm is not None:
        by_arm = uncertainty.by_arm
        details["clusters_by_arm"] = {"untreated": by_arm.untreated, "treated": by_arm.treated}
    if remarks:
        details["notes"] = list(remarks)
    return Estimate(
        name=identity.name,
        family=identity.family,
        estimand=identity.estimand,
        status="warning" if doubts else "ok",
        estimate=value,
        standard_error=error,
        ci_lower=lower,
        ci_upper=upper,
        p_value=p_value,
        se_method=uncertainty.method if error is not None else None,
        n=n,
        n_effective=n_effective,
        influence=influence,
        diagnostics=details,
        warnings=tuple(dict.fromkeys(doubts)),
    )


def _influence(sample: Sample, contributions: Vector) -> Vector:
    values = empty(sample.total)
    if sample.index is None:
        return np.multiply(contributions, sample.n, out=values)
    values[:] = 0.0
    values[sample.index] = contributions
    values *= sample.n
    return values


def effective_rows(weights: Vector | None, n: int) -> float:
    """Return Kish's effective sample size (Σw)²/Σw²; n without weights."""
    if weights is None:
        return float(n)
    return float(weights.sum() ** 2 / (weights @ weights))


def finite(value: float) -> float | None:
    """Return the number, or None if it is not finite, as JSON requires."""
    return value if math.isfinite(value) else None


def varying_outcome(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if the outcome of the sample is constant, or the sample is too small; None otherwise."""
    if sample.n < _FEWEST_ROWS:
        return Message("inference.few-complete-rows", rows=sample.n, least=_FEWEST_ROWS)
    y = sample.take(plan.data.y)
    if float(np.ptp(y)) == 0:
        return Message("inference.constant-outcome", outcome=plan.label("y"), rows=sample.n)
    return None


def two_arms(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if the sample does not hold two rows of each arm with a varying outcome; None otherwise."""
    reason = varying_outcome(plan, sample)
    if reason is not None:
        return reason
    for arm, rows in zip(ARMS, plan.arm_rows(sample), strict=True):
        if rows < 2:
            return Message("inference.arm-too-small", arm=arm, rows=rows)
    return None


def pooled_periods(plan: Plan) -> tuple[Message, ...]:
    """Return a warning if rows of different periods or several rows per unit are pooled."""
    seen = np.empty(0) if plan.data.time is None else plan.data.time[plan.data.time >= 0]
    if plan.has("post") or (len(seen) and seen.max() > seen.min()):
        return (Message("inference.pooled-periods"),)
    if plan.units_repeat:
        return (Message("inference.pooled-rows-of-units"),)
    return ()


def only_panel_effects(plan: Plan, sample: Sample) -> Message | None:
    """Return a reason if fixed effects are mapped that differences within units by period do not remove."""
    for effect in plan.data.fixed_effects:
        codes, _ = compress(sample.take(effect))
        panel = [compress(sample.take(each)) for each in (plan.data.unit, plan.data.time) if each is not None]
        if not any(is_nested(own, codes, levels) for own, levels in panel):
            return no_absorbing(plan)
    return None


def no_absorbing(plan: Plan) -> Message | None:
    """Return a reason if fixed effects are mapped, for an estimator that cannot absorb them."""
    if plan.has("fixed_effects"):
        return Message("inference.effects-not-absorbed", effects=plan.label("fixed_effects"))
    return None
