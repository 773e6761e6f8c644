"""Gates on the result: computation, warnings, precision, agreement with other estimates, and robustness."""

import math
from collections.abc import Sequence
from typing import Literal

from cqox.contract import Gate
from cqox.contract.messages import Message, joined
from cqox.diagnostics.agreement import comparable
from cqox.diagnostics.json_values import number
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import (
    NO_PRIMARY,
    SOME_COVARIATE,
    Table,
    above,
    number_in,
    reason_or,
    skip,
    table_in,
    text_or,
)
from cqox.estimators import Estimate
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["agreement", "computation", "precision", "primary_warnings", "robustness"]

_WIDE = 0.5


def computation(diagnostics: Table, estimates: Sequence[Estimate], chosen: Estimate | None) -> Gate:
    """Check that every applicable estimator and diagnostic gave a result."""
    rule = Message("gates.computation-rule")
    failed = [estimate.name for estimate in estimates if estimate.status == "failed"]
    failed += [name for name in diagnostics if table_in(diagnostics, name).get("failed")]
    value = float(len(failed))
    if chosen is None or chosen.estimate is None:
        why = NO_PRIMARY
        if chosen is not None and chosen.reason is not None:
            why = Message("gates.primary-without-number", primary=chosen.name, reason=chosen.reason)
        return Gate(status="fail", value=value, threshold=0.0, rule=rule, reason=why)
    reason = Message("gates.failed", names=failed) if failed else None
    return Gate(status="warn" if failed else "pass", value=value, threshold=0.0, rule=rule, reason=reason)


def primary_warnings(chosen: Estimate | None) -> Gate:
    """Check that the primary estimate has no warnings."""
    rule = Message("gates.primary-warnings-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    reason = joined(chosen.warnings) if chosen.warnings else None
    doubtful = reason is not None or chosen.status == "warning"
    return Gate(
        status="warn" if doubtful else "pass",
        value=float(len(chosen.warnings)),
        threshold=0.0,
        rule=rule,
        reason=reason,
    )


def precision(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the interval is narrow relative to the variation of the outcome."""
    rule = Message("gates.precision-rule", most=_WIDE)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.ci_lower is None or chosen.ci_upper is None:
        unbounded = Message("gates.unbounded-interval", primary=chosen.name)
        return Gate(status="fail", threshold=_WIDE, rule=rule, reason=unbounded)
    outcome = table_in(diagnostics, "outcome")
    sd, per = number_in(outcome.get("sd")), number_in(outcome.get("treatment_sd"))
    if sd is None or sd <= 0:
        return skip(rule, Message("gates.no-outcome-deviation"))
    value = (chosen.ci_upper - chosen.ci_lower) / 2 / sd * (1.0 if per is None else per)
    status = above(value, _WIDE, math.inf)
    reason = None if status == "pass" else Message("gates.wide-interval", half_width=value)
    return Gate(status=status, value=value, threshold=_WIDE, rule=rule, reason=reason)


def agreement(diagnostics: Table, estimates: Sequence[Estimate], chosen: Estimate | None) -> Gate:
    """Check that comparable estimates of the same estimand agree with the primary."""
    rule = Message("gates.agreement-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    others = [other for other in estimates if other is not chosen and comparable(chosen, other)]
    errors = _difference_errors(diagnostics, chosen)
    distances: list[tuple[float, Estimate]] = []
    for other in others:
        if other.estimate is not None and other.name in errors and chosen.standard_error:
            chance = critical_value(0.05 / len(others), None) * errors[other.name]
            distances.append((abs(other.estimate - chosen.estimate) / max(chosen.standard_error, chance), other))
    if not distances:
        return skip(rule, Message("gates.nothing-to-compare", estimand=chosen.estimand, primary=chosen.name))
    value, farthest = max(distances, key=lambda pair: pair[0])
    opposed = [
        other
        for distance, other in distances
        if distance > 1 and _opposite(chosen, other) and _excludes_none(chosen) and _excludes_none(other)
    ]
    status: Literal["pass", "warn", "fail"] = "fail" if opposed else "warn" if value > 1 else "pass"
    reason = None
    if status != "pass":
        differing = opposed[0] if opposed else farthest
        reason = Message(
            "gates.estimates-differ",
            other=differing.name,
            other_value=differing.estimate,
            primary=chosen.name,
            primary_value=chosen.estimate,
        )
    return Gate(status=status, value=value, threshold=1.0, rule=rule, reason=reason)


def _difference_errors(diagnostics: Table, chosen: Estimate) -> dict[str, float]:
    """Return the standard error of the difference between the primary and each comparable estimate."""
    groups = table_in(diagnostics, "agreement").get("groups")
    for group in groups if isinstance(groups, list) else []:
        if not isinstance(group, dict):
            continue
        names, rows = group.get("estimators"), group.get("standard_errors_of_differences")
        if isinstance(names, list) and isinstance(rows, list) and chosen.name in names:
            row = rows[names.index(chosen.name)]
            if isinstance(row, list):
                pairs = ((str(name), number_in(error)) for name, error in zip(names, row, strict=True))
                return {name: error for name, error in pairs if error is not None}
    return {}


def _excludes_none(estimate: Estimate) -> bool:
    lower, upper = estimate.ci_lower, estimate.ci_upper
    return (lower is not None and lower > 0) or (upper is not None and upper < 0)


def _opposite(one: Estimate, other: Estimate) -> bool:
    return (one.estimate or 0.0) * (other.estimate or 0.0) < 0


def robustness(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that a confounder as strong as the strongest covariate would not change the conclusion."""
    rule = Message("gates.robustness-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if not unconfounded(chosen) or chosen.name == "difference_in_means":
        return skip(rule, Message("gates.not-all-confounders", primary=chosen.name))
    found = table_in(diagnostics, "robustness")
    estimate, at_level = number_in(found.get("estimate")), number_in(found.get("robustness_value_alpha"))
    critical = number_in(found.get("critical_value"))
    if estimate is None or at_level is None or critical is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-robustness-value")))
    if at_level == 0:
        return skip(rule, Message("gates.insignificant-regression"))
    left = _adjusted_t(found, estimate)
    beyond = found.get("beyond_benchmarks")
    if isinstance(beyond, list) and beyond:
        return Gate(
            status="warn", value=None, threshold=critical, rule=rule,
            reason=Message("gates.confounder-explains-all", covariate=beyond[0]),
        )  # fmt: skip
    if not left:
        return skip(rule, Message("gates.no-benchmark"))
    worst = min(left, key=lambda label: left[label])
    value = left[worst]
    status: Literal["pass", "warn", "fail"] = "fail" if value <= 0 else "warn" if value <= critical else "pass"
    reason = None if status == "pass" else _undone(worst, value)
    return Gate(status=status, value=number(value), threshold=critical, rule=rule, reason=reason)


def _undone(covariate: str, statistic: float) -> Message:
    if statistic <= 0:
        return Message("gates.confounder-changes-sign", covariate=covariate)
    return Message("gates.confounder-removes-significance", covariate=covariate)


def _adjusted_t(found: Table, estimate: float) -> dict[str, float]:
    """Return the t statistic adjusted for a confounder as strong as each covariate, signed by the estimate."""
    left: dict[str, float] = {}
    rows = found.get("benchmarks")
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict) or row.get("times_as_strong") != 1.0:
            continue
        adjusted, error = number_in(row.get("adjusted_estimate")), number_in(row.get("adjusted_standard_error"))
        if adjusted is None or error is None:
            continue
        remaining = math.copysign(1.0, estimate) * adjusted
        # A confounder that explains all residual variance of the outcome leaves a standard error of 0.
        statistic = remaining / error if error > 0 else math.copysign(math.inf, remaining)
        left[text_or(row.get("covariate"), SOME_COVARIATE)] = statistic
    return left
