"""Gates on a regression discontinuity: manipulation of the score and continuity of covariates at the cutoff."""

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, Table, below, number_in, skip, table_in, text_or
from cqox.estimators import Estimate

__all__ = ["continuity", "manipulation"]

_LEVEL, _FAILS = 0.05, 0.001


def manipulation(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check the score for manipulation at the cutoff; also without a primary estimate, if the test was computed."""
    rule = (
        "The smaller p-value of the test of a jump in the score's density at the cutoff (Cattaneo, Jansson and Ma "
        "2020) and, for a score of mass points, of a heap at the cutoff (Frandsen 2017), times the number of tests, is "
        f"at least {_LEVEL}; fails below {_FAILS}. A pass does not prove the absence of manipulation."
    )
    found = table_in(diagnostics, "discontinuity", "manipulation")
    jump, heap = number_in(found.get("p_value")), number_in(table_in(found, "heap").get("p_value"))
    if chosen is not None and chosen.family != "discontinuity":
        return skip(rule, f"The primary, {chosen.name}, is not a regression discontinuity.")
    tests = [value for value in (jump, heap) if value is not None]
    if not tests:
        missing = NO_PRIMARY if chosen is None and not found else "No density test of the score was computed."
        return skip(rule, text_or(found.get("reason"), missing))
    value = min(1.0, len(tests) * min(tests))
    status = below(value, _LEVEL, _FAILS)
    reason = None
    if status != "pass":
        reason = (
            _heaped(found) if heap is not None and heap == min(tests) else _jumping(found, rounded=heap is not None)
        )
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=reason)


_ROUNDED = ", or the score is rounded and heaps at round values"


def _jumping(found: Table, *, rounded: bool) -> str:
    left, right = number_in(found.get("density_below")) or 0.0, number_in(found.get("density_above")) or 0.0
    more = "above" if right > left else "below"
    return (
        f"The density jumps just {more} the cutoff ({left:.4g} below, {right:.4g} above): evidence of manipulation"
        f"{_ROUNDED if rounded else ''}."
    )


def _heaped(found: Table) -> str:
    rows = table_in(found, "heap").get("rows")
    before, at, after = (number_in(count) or 0.0 for count in (rows if isinstance(rows, list) else [0, 0, 0]))
    pattern = "heap" if 2 * at > before + after else "are missing"
    value = number_in(table_in(found, "heap").get("value")) or 0.0
    return (
        f"Units {pattern} at the cutoff ({at:.0f} rows at the value {value:g}, {before:.0f} at the one before, "
        f"{after:.0f} at the one after): evidence of manipulation{_ROUNDED}."
    )


def continuity(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the covariates are continuous at the cutoff."""
    rule = (
        f"The smallest p-value of the covariates' jumps at the cutoff, times their number (Bonferroni), is at least "
        f"{_LEVEL}; fails below {_FAILS}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != "discontinuity":
        return skip(rule, f"The primary, {chosen.name}, is not a regression discontinuity.")
    found = table_in(diagnostics, "discontinuity", "covariates")
    value = number_in(found.get("adjusted_p_value"))
    if value is None:
        return skip(rule, text_or(found.get("reason"), "No jump of a covariate at the cutoff was estimated."))
    status = below(value, _LEVEL, _FAILS)
    reason = None if status == "pass" else f"'{_worst(found)}' jumps at the cutoff: the sides are not comparable."
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=reason)


def _worst(found: Table) -> str:
    rows = found.get("jumps")
    tested = {
        text_or(row.get("covariate"), "a covariate"): value
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (value := number_in(row.get("p_value"))) is not None
    }
    return min(tested, key=lambda label: tested[label])
