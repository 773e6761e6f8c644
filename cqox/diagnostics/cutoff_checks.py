"""Gates on a regression discontinuity: manipulation of the score, continuity of covariates, placebo cutoffs, the
polynomial order and the bandwidth.

A test warns at 1% and not at 5%: several gates together should rarely withhold GO from a good study.
"""

from typing import Literal

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics.tables import (
    NO_PRIMARY,
    SOME_COVARIATE,
    Table,
    below,
    number_in,
    reason_or,
    skip,
    table_in,
    text_or,
)
from cqox.estimators import Estimate

__all__ = ["bandwidth_sensitivity", "continuity", "manipulation", "placebo_cutoffs", "polynomial_order"]

_LEVEL, _FAILS = 0.01, 0.001

_NARROWER = 0.5
"""The multiple of the bandwidth that the estimate is compared with: a wider one may be biased where it is not."""


def manipulation(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the score for manipulation at the cutoff; also without a primary estimate, if the test was computed."""
    rule = Message("gates.manipulation-rule", level=_LEVEL, fails=_FAILS)
    found = table_in(diagnostics, "discontinuity", "manipulation")
    jump, heap = number_in(found.get("p_value")), number_in(table_in(found, "heap").get("p_value"))
    if chosen is not None and chosen.family != "discontinuity":
        return skip(rule, Message("gates.no-discontinuity", primary=chosen.name))
    tests = [value for value in (jump, heap) if value is not None]
    if not tests:
        missing = NO_PRIMARY if chosen is None and not found else Message("gates.no-density-test")
        return skip(rule, reason_or(found.get("reason"), missing))
    value = min(1.0, len(tests) * min(tests))
    status = below(value, _LEVEL, _FAILS)
    reason = None
    if status != "pass":
        reason = (
            _heaped(found) if heap is not None and heap == min(tests) else _jumping(found, rounded=heap is not None)
        )
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=reason)


def _jumping(found: Table, *, rounded: bool) -> Message:
    left, right = number_in(found.get("density_below")) or 0.0, number_in(found.get("density_above")) or 0.0
    evidence = Message("gates.manipulated-or-rounded") if rounded else Message("gates.manipulated")
    if right > left:
        return Message("gates.density-jumps-above", below=left, above=right, evidence=evidence)
    return Message("gates.density-jumps-below", below=left, above=right, evidence=evidence)


def _heaped(found: Table) -> Message:
    rows = table_in(found, "heap").get("rows")
    before, at, after = (number_in(count) or 0.0 for count in (rows if isinstance(rows, list) else [0, 0, 0]))
    value = number_in(table_in(found, "heap").get("value")) or 0.0
    evidence = Message("gates.manipulated-or-rounded")
    if 2 * at > before + after:
        return Message("gates.heap-at-cutoff", rows=at, value=value, before=before, after=after, evidence=evidence)
    return Message("gates.gap-at-cutoff", rows=at, value=value, before=before, after=after, evidence=evidence)


def continuity(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the covariates are continuous at the cutoff."""
    rule = Message("gates.continuity-rule", level=_LEVEL, fails=_FAILS)
    if chosen is None or chosen.estimate is None or chosen.family != "discontinuity":
        return _inapplicable(rule, chosen)
    found = table_in(diagnostics, "discontinuity", "covariates")
    value = number_in(found.get("adjusted_p_value"))
    if value is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-covariate-jump")))
    status = below(value, _LEVEL, _FAILS)
    reason = None if status == "pass" else Message("gates.covariate-jumps", covariate=_worst(found))
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=reason)


def _worst(found: Table) -> str:
    rows = found.get("jumps")
    tested = {
        text_or(row.get("covariate"), SOME_COVARIATE): value
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (value := number_in(row.get("p_value"))) is not None
    }
    return min(tested, key=lambda label: tested[label])


def placebo_cutoffs(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the outcome does not jump where the treatment does not change."""
    rule = Message("gates.placebo-cutoffs-rule", level=_LEVEL, fails=_FAILS)
    if chosen is None or chosen.estimate is None or chosen.family != "discontinuity":
        return _inapplicable(rule, chosen)
    found = table_in(diagnostics, "discontinuity", "placebo_cutoffs")
    value = number_in(found.get("adjusted_p_value"))
    if value is None:
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-placebo-cutoff")))
    status = below(value, _LEVEL, _FAILS)
    reason = None if status == "pass" else Message("gates.placebo-cutoff-jumps", cutoff=_worst_placebo(found))
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=reason)


def _worst_placebo(found: Table) -> float:
    rows = found.get("cutoffs")
    tested = {
        number_in(row.get("cutoff")) or 0.0: value
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (value := number_in(row.get("p_value"))) is not None
    }
    return min(tested, key=lambda cutoff: tested[cutoff])


def polynomial_order(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that polynomials of one order more give the same estimate."""
    rule = Message("gates.polynomial-order-rule", level=_LEVEL, fails=_FAILS)
    if chosen is None or chosen.estimate is None or chosen.family != "discontinuity":
        return _inapplicable(rule, chosen)
    found = table_in(diagnostics, "discontinuity", "curvature")
    reason = Message("gates.orders-differ", estimate=chosen.estimate, other=number_in(found.get("estimate")) or 0.0)
    return _differs(rule, found, chosen.estimate, Message("gates.no-higher-order"), reason)


def bandwidth_sensitivity(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that half the bandwidth gives the same estimate."""
    rule = Message("gates.bandwidth-rule", level=_LEVEL, fails=_FAILS)
    if chosen is None or chosen.estimate is None or chosen.family != "discontinuity":
        return _inapplicable(rule, chosen)
    rows = table_in(diagnostics, "discontinuity").get("bandwidths")
    found: Table = next(
        (
            row
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict) and row.get("times") == _NARROWER
        ),
        {},
    )
    reason = Message("gates.bandwidths-differ", estimate=chosen.estimate, other=number_in(found.get("estimate")) or 0.0)
    return _differs(rule, found, chosen.estimate, Message("gates.no-narrower-bandwidth"), reason)


def _inapplicable(rule: Message, chosen: Estimate | None) -> Gate:
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    return skip(rule, Message("gates.no-discontinuity", primary=chosen.name))


def _differs(rule: Message, found: Table, estimate: float, missing: Message, reason: Message) -> Gate:
    """Judge another estimate from the same rows: it fails where it differs and no effect is left."""
    value = number_in(found.get("difference_p_value"))
    if value is None:
        return skip(rule, reason_or(found.get("reason"), missing))
    status: Literal["pass", "warn", "fail"] = "pass"
    if value < _LEVEL:
        status = "fail" if value < _FAILS and _opposed(estimate, found) else "warn"
    return Gate(
        status=status, value=value, threshold=_LEVEL, rule=rule, reason=None if status == "pass" else reason
    )  # fmt: skip


def _opposed(estimate: float, found: Table) -> bool:
    """Return whether an interval holds no effect of the estimate's sign for sure."""
    end = number_in(found.get("ci_lower" if estimate > 0 else "ci_upper"))
    return end is None or end * estimate <= 0
