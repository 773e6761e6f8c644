"""Gates on a regression discontinuity: manipulation of the score and continuity of covariates at the cutoff."""

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

__all__ = ["continuity", "manipulation"]

_LEVEL, _FAILS = 0.05, 0.001


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
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != "discontinuity":
        return skip(rule, Message("gates.no-discontinuity", primary=chosen.name))
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
