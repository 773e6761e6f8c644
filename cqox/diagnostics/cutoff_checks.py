"""Gates on a regression discontinuity: whether units chose their side, and whether covariates jump as well."""

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, Table, below, number_in, skip, table_in, text_or
from cqox.estimators import Estimate

__all__ = ["continuity", "manipulation"]

_LEVEL, _FAILS = 0.05, 0.001


def manipulation(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether the score heaps up on a side of the cutoff; without a primary it is all that there is to check."""
    rule = (
        "The smaller p-value of the test of a jump in the score's density at the cutoff (Cattaneo, Jansson and Ma "
        "2020) and, for a score of mass points, of a heap at the cutoff (Frandsen 2017), times the number of tests, is "
        f"at least {_LEVEL}; fails below {_FAILS}. A pass is no proof that nobody chose a side."
    )
    found = table_in(diagnostics, "discontinuity", "manipulation")
    jump, heap = number_in(found.get("p_value")), number_in(table_in(found, "heap").get("p_value"))
    if chosen is not None and chosen.family != "discontinuity":
        return skip(rule, f"The primary, {chosen.name}, does not rest on a cutoff.")
    tests = [value for value in (jump, heap) if value is not None]
    if not tests:
        missing = NO_PRIMARY if chosen is None and not found else "There is no test of the score's density."
        return skip(rule, text_or(found.get("reason"), missing))
    value = min(1.0, len(tests) * min(tests))
    status = below(value, _LEVEL, _FAILS)
    said = None
    if status != "pass":
        said = _heaped(found) if heap is not None and heap == min(tests) else _jumping(found, rounded=heap is not None)
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=said)


_ROUNDED = ", or the score is rounded and heaps at round values"


def _jumping(found: Table, *, rounded: bool) -> str:
    left, right = number_in(found.get("density_below")) or 0.0, number_in(found.get("density_above")) or 0.0
    more = "above" if right > left else "below"
    return (
        f"Units heap up just {more} the cutoff (density {left:.4g} below, {right:.4g} above): some chose a side"
        f"{_ROUNDED if rounded else ''}."
    )


def _heaped(found: Table) -> str:
    rows = table_in(found, "heap").get("rows")
    before, at, after = (number_in(count) or 0.0 for count in (rows if isinstance(rows, list) else [0, 0, 0]))
    how = "heap up" if 2 * at > before + after else "are rare"
    value = number_in(table_in(found, "heap").get("value")) or 0.0
    return (
        f"Units {how} at the cutoff ({at:.0f} rows at the value {value:g}, {before:.0f} at the one before, "
        f"{after:.0f} at the one after): some chose a side{_ROUNDED}."
    )


def continuity(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Whether what was fixed before treatment jumps at the cutoff."""
    rule = (
        f"The smallest p-value of the covariates' jumps at the cutoff, times their number, is at least {_LEVEL}; fails "
        f"below {_FAILS}."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != "discontinuity":
        return skip(rule, f"The primary, {chosen.name}, does not rest on a cutoff.")
    found = table_in(diagnostics, "discontinuity", "covariates")
    value = number_in(found.get("adjusted_p_value"))
    if value is None:
        return skip(rule, text_or(found.get("reason"), "No jump of a covariate was computed."))
    status = below(value, _LEVEL, _FAILS)
    said = None if status == "pass" else f"'{_worst(found)}' jumps at the cutoff too: the two sides are not alike."
    return Gate(status=status, value=value, threshold=_LEVEL, rule=rule, reason=said)


def _worst(found: Table) -> str:
    rows = found.get("jumps")
    tested = {
        text_or(row.get("covariate"), "a covariate"): value
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (value := number_in(row.get("p_value"))) is not None
    }
    return min(tested, key=lambda label: tested[label])
