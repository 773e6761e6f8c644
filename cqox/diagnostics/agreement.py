"""Pairwise differences between estimates of the same estimand, with the standard errors of the differences.

Estimates from one data set are correlated, so their intervals say little about their difference; its standard error
comes from the difference of their influence functions, and where one has none (matching), from both standard errors as
if they were independent, which is too large rather than too small. Estimates are comparable if they share the estimand
and the kind of identifying assumption: adjustment for covariates, or parallel trends. The unadjusted difference in
means is excluded because it differs from the adjusted estimates wherever the covariates confound; strata are excluded
because they leave about a tenth of that bias. A standard error of a difference has a floor at the rounding error, so
that estimates of a noiseless outcome agree when they differ in their last digits alone.
"""

import math
from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.sensitivity import outcome_scale, unconfounded
from cqox.diagnostics.tables import number_in
from cqox.estimators import Estimate, Json, Plan, Vector
from cqox.estimators.numerics.array_store import drop_pages

__all__ = ["agreement", "cluster_sums", "comparable"]

_BLOCK = 65_536
_ROUNDING = 1e-8
"""Floor of the standard error of a difference, as a share of the estimates and of the outcome's standard deviation."""

_OF_MODEL = "ope_dm"
_COARSE = ("difference_in_means", "propensity_strata")


def comparable(estimate: Estimate, other: Estimate) -> bool:
    """Return whether another estimate can confirm one: they share the estimand and the kind of identifying assumption.

    The direct method is the only one of a policy's value that needs a correct model of rewards, so that its misfit says
    nothing against the others.
    """
    if other.name == _OF_MODEL:
        return False
    return estimate.estimand == other.estimand and _kind(estimate) == _kind(other) is not None


def _kind(estimate: Estimate) -> str | None:
    if estimate.name in _COARSE or estimate.estimate is None:
        return None
    if unconfounded(estimate):
        return "unconfounded"
    return "instruments" if estimate.estimand == "LATE" else estimate.family


def agreement(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the range of each set of comparable estimates and the standard errors of their pairwise differences."""
    groups: dict[tuple[str, str], list[Estimate]] = {}
    for estimate in estimates:
        kind = _kind(estimate)
        if kind is not None:
            groups.setdefault((estimate.estimand, kind), []).append(estimate)
    found = [_group(plan, estimand, group) for (estimand, _), group in groups.items() if len(group) > 1]
    if not found:
        return {"reason": Message("diagnostics.no-two-comparable")}
    return {"groups": found}


def _group(plan: Plan, estimand: str, group: Sequence[Estimate]) -> Json:
    values = [estimate.estimate for estimate in group if estimate.estimate is not None]
    covariance, least = _covariance(plan, group), _ROUNDING * _scale(plan, values)
    errors: list[Json] = []
    for row in range(len(group)):
        line: list[Json] = []
        for column in range(len(group)):
            variance = covariance[row, row] + covariance[column, column] - 2 * covariance[row, column]
            if not math.isfinite(variance):
                variance = _sum_of_variances(group[row], group[column]) if row != column else 0.0
            floor = 0.0 if row == column else least
            line.append(max(math.sqrt(max(float(variance), 0.0)), floor) if math.isfinite(variance) else None)
        errors.append(line)
    return {
        "estimand": estimand,
        "estimators": [estimate.name for estimate in group],
        "estimates": list(values),
        "lowest": min(values),
        "highest": max(values),
        "median": float(np.median(values)),
        "standard_errors_of_differences": errors,
    }


def _sum_of_variances(one: Estimate, other: Estimate) -> float:
    """Return the variance of the difference of independent estimates; NaN without both standard errors."""
    if one.standard_error is None or other.standard_error is None:
        return math.nan
    return one.standard_error**2 + other.standard_error**2


def _scale(plan: Plan, values: Sequence[float]) -> float:
    """Return the magnitude that rounding errors scale with: the estimates, or one standard deviation of the outcome."""
    outcome = outcome_scale(plan) if plan.has("y") else {}
    sd, per = number_in(outcome.get("sd")) or 0.0, number_in(outcome.get("treatment_sd"))
    return max(sd / per if per else sd, *map(abs, values))


def _covariance(plan: Plan, group: Sequence[Estimate]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the (k, k) covariance of the estimates from their influence functions; NaN for those without one."""
    sums = {
        position: (cluster_sums(plan, estimate.influence), estimate.n)
        for position, estimate in enumerate(group)
        if estimate.influence is not None and estimate.n
    }
    covariance = np.full((len(group), len(group)), np.nan)
    if sums:
        known, scales = list(sums), np.asarray([1.0 / n for _, n in sums.values()])
        total = np.zeros((len(known), len(known)))
        for start in range(0, len(next(iter(sums.values()))[0]), _BLOCK):
            block = np.stack([values[start : start + _BLOCK] for values, _ in sums.values()]) * scales[:, None]
            total += block @ block.T
            drop_pages()
        covariance[np.ix_(known, known)] = total
    return covariance


def cluster_sums(plan: Plan, influence: Vector) -> Vector:
    """Return the sums of an influence function within clusters, the first dimension if there are several; the function
    itself without clusters."""
    codes = plan.data.clusters[0] if plan.data.clusters else plan.data.unit if plan.clusters_are_units else None
    if codes is None:
        return influence
    return np.bincount(codes + 1, influence)
