"""Whether the errors of a series depend on those of the periods before."""

from collections.abc import Sequence

from cqox.contract import Gate
from cqox.diagnostics.tables import NO_PRIMARY, below, number_in, skip, table_in
from cqox.estimators import Estimate, Json

__all__ = ["serial_dependence", "serial_dependence_gate"]

_FAMILY = "interrupted_series"
_DEPENDENT = 0.05
_TOO_FEW = 8.0


def serial_dependence(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The tests of the residuals of an interrupted series.

    Returns:
        `durbin_watson`, `ljung_box` (lags, statistic, p-value), `ljung_box_of_innovations` (the same of what the
        autoregression leaves), `autoregressive_coefficients` of the errors and `effective_periods`: as many independent
        ones tell as much about a mean.
    """
    for estimate in estimates:
        told = estimate.diagnostics.get("residuals")
        if estimate.family == _FAMILY and estimate.estimate is not None and isinstance(told, dict):
            return dict(told)
    return {"reason": "No interrupted series was estimated."}


def serial_dependence_gate(chosen: Estimate | None) -> Gate:
    """Whether the primary's standard error allows for the dependence of the errors along time.

    Dependence as such is no doubt: the intervals cover as they should under errors that are autoregressive.
    """
    rule = (
        f"Ljung and Box's test of what an autoregression leaves of the residuals has a p-value of at least "
        f"{_DEPENDENT}; fails where the errors depend on each other so much that the series tells no more than "
        f"{_TOO_FEW:g} independent periods."
    )
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != _FAMILY:
        return skip(rule, f"The primary, {chosen.name}, is no series whose errors stand in an order.")
    told = table_in(chosen.diagnostics, "residuals")
    value = number_in(table_in(told, "ljung_box_of_innovations").get("p_value"))
    effective = number_in(told.get("effective_periods"))
    if value is None or effective is None:
        return skip(rule, "The series lies on its two lines without error.")
    status = "fail" if effective < _TOO_FEW else below(value, _DEPENDENT, 0.0)
    said = None
    if status == "fail":
        said = f"Errors hang together so much that the series tells as much as {effective:.1f} independent periods."
    elif status == "warn":
        said = f"An autoregression leaves dependence in the residuals (p = {value:.2g}): the interval may be too short."
    return Gate(status=status, value=value, threshold=_DEPENDENT, rule=rule, reason=said)
