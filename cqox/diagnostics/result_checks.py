"""Gates on the result: computation, warnings, precision, agreement with other estimates, and robustness."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.contract import Gate
from cqox.contract.messages import Message, joined
from cqox.diagnostics.agreement import comparable
from cqox.diagnostics.json_values import number
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import (
    NO_PRIMARY,
    Table,
    below,
    number_in,
    reason_or,
    skip,
    table_in,
)
from cqox.estimators import Estimate
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["agreement", "computation", "precision", "primary_warnings", "robustness"]

_NEGLIGIBLE = 0.01
"""Partial R² of a confounder with treatment and outcome that is negligible: it has a correlation of .1 with each, which
any omitted variable may have."""

_DISAGREES = 0.01
"""Level of all comparisons of the primary with other estimates, by Bonferroni."""

_ONE_ESTIMATE = frozenset({"did_2x2_block", "twfe"})
"""Estimators that are one number in a panel whose units start together."""


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


_JUDGED_ELSEWHERE = frozenset(
    {
        "inference.few-clusters-in-arm",  # clusters
        "inference.few-rows-corrected",  # arm_rows
        "nuisance.extreme-probabilities",  # overlap
        "nuisance.clipped",  # overlap
        "inference.variances-added",  # conservative
    }
)
"""Warnings that another gate measures on its own scale, or that only widen the interval: notes to this gate."""


def primary_warnings(chosen: Estimate | None) -> Gate:
    """Check that the primary estimate has no warning that no other gate judges."""
    rule = Message("gates.primary-warnings-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    limits = [warning for warning in chosen.warnings if _code(warning) not in _JUDGED_ELSEWHERE]
    doubtful = bool(limits) or (chosen.status == "warning" and not chosen.warnings)
    return Gate(
        status="warn" if doubtful else "pass",
        value=float(len(limits)),
        threshold=0.0,
        rule=rule,
        reason=joined(limits) if limits else None,
    )


def _code(warning: str) -> str | None:
    return warning.code if isinstance(warning, Message) else None


def precision(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the interval is bounded; its half-width in standard deviations of the outcome is a number to read.

    How precise an estimate must be follows from the minimum effect, which the decision compares with the interval: a
    small trial of a large effect is precise enough.
    """
    rule = Message("gates.precision-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.ci_lower is None or chosen.ci_upper is None:
        return Gate(status="fail", rule=rule, reason=Message("gates.unbounded-interval", primary=chosen.name))
    outcome = table_in(diagnostics, "outcome")
    sd, per = number_in(outcome.get("sd")), number_in(outcome.get("treatment_sd"))
    value = None
    if sd is not None and sd > 0:
        value = number((chosen.ci_upper - chosen.ci_lower) / 2 / sd * (1.0 if per is None else per))
    return Gate(status="pass", value=value, rule=rule)


def agreement(diagnostics: Table, estimates: Sequence[Estimate], chosen: Estimate | None) -> Gate:
    """Check that comparable estimates of the same estimand, and the series regression, agree with the primary."""
    rule = Message("gates.agreement-rule", level=_DISAGREES)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    others = _others(diagnostics, estimates, chosen)
    distances: list[tuple[float, _Other]] = []
    for other in others:
        if other.error is not None and chosen.standard_error:
            chance = critical_value(_DISAGREES / len(others), None) * other.error
            distances.append((abs(other.estimate - chosen.estimate) / max(chosen.standard_error, chance), other))
    if not distances:
        return skip(rule, Message("gates.nothing-to-compare", estimand=chosen.estimand, primary=chosen.name))
    value, farthest = max(distances, key=lambda pair: pair[0])
    opposed = [
        other
        for distance, other in distances
        if distance > 1 and other.estimate * chosen.estimate < 0 and _excludes_none(chosen) and _excludes_none(other)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    """An estimate to compare with the primary, and the standard error of their difference."""

    name: str
    estimate: float
    ci_lower: float | None
    ci_upper: float | None
    error: float | None


def _others(diagnostics: Table, estimates: Sequence[Estimate], chosen: Estimate) -> list[_Other]:
    """Return the comparable estimates, without the one that is the primary under another name."""
    errors = _difference_errors(diagnostics, chosen)
    others = [
        _Other(
            name=other.name, estimate=other.estimate, ci_lower=other.ci_lower, ci_upper=other.ci_upper,
            error=errors.get(other.name),
        )
        for other in estimates
        if other is not chosen and other.estimate is not None and comparable(chosen, other)
        if not {chosen.name, other.name} <= _ONE_ESTIMATE
    ]  # fmt: skip
    series = table_in(diagnostics, "curvature")
    value = number_in(series.get("estimate"))
    if value is not None:
        others.append(
            _Other(
                name="series_regression", estimate=value, ci_lower=number_in(series.get("ci_lower")),
                ci_upper=number_in(series.get("ci_upper")), error=number_in(series.get("difference_standard_error")),
            )
        )  # fmt: skip
    return others


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


def _excludes_none(estimate: Estimate | _Other) -> bool:
    lower, upper = estimate.ci_lower, estimate.ci_upper
    return (lower is not None and lower > 0) or (upper is not None and upper < 0)


def robustness(diagnostics: Table, chosen: Estimate | None, *, randomized: bool = False) -> Gate:
    """Check that a confounder of negligible strength would not explain the whole effect.

    The value is the robustness value (Cinelli and Hazlett 2020, doi 10.1111/rssb.12348). It is not compared with the
    measured covariates: that a study measured its strongest confounder does not count against it.
    """
    rule = Message("gates.robustness-rule", least=_NEGLIGIBLE)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if not unconfounded(chosen) or chosen.name == "difference_in_means":
        return skip(rule, Message("gates.not-all-confounders", primary=chosen.name))
    if randomized:
        return skip(rule, Message("gates.no-confounder-of-a-draw"))
    found = table_in(diagnostics, "robustness")
    value = number_in(found.get("robustness_value"))
    if value is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-robustness-value")))
    status = below(value, _NEGLIGIBLE, -math.inf)
    reason = None if status == "pass" else Message("gates.confounder-of-no-strength", share=value)
    return Gate(status=status, value=value, threshold=_NEGLIGIBLE, rule=rule, reason=reason)
