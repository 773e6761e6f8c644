"""Serial dependence of the errors of an interrupted time series."""

from collections.abc import Sequence

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics.tables import NO_PRIMARY, below, number_in, skip, table_in
from cqox.estimators import Estimate, Json

__all__ = ["serial_dependence", "serial_dependence_gate"]

_FAMILY = "interrupted_series"
_DEPENDENT = 0.01
_TOO_FEW = 8.0


def serial_dependence(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the residual tests of an interrupted time series.

    Returns:
        `durbin_watson`, `ljung_box` (lags, statistic, p-value), `ljung_box_of_innovations` (the same for the residuals
        of the autoregression), `autoregressive_coefficients` of the errors and `effective_periods`, the effective
        number of independent periods for a mean.
    """
    for estimate in estimates:
        residuals = estimate.diagnostics.get("residuals")
        if estimate.family == _FAMILY and estimate.estimate is not None and isinstance(residuals, dict):
            return dict(residuals)
    return {"reason": Message("diagnostics.no-time-series")}


def serial_dependence_gate(chosen: Estimate | None) -> Gate:
    """Check that the primary's standard error accounts for the serial dependence of the errors.

    Dependence alone is not a warning: the intervals have nominal coverage under autoregressive errors.
    """
    rule = Message("gates.serial-dependence-rule", level=_DEPENDENT, fewest=_TOO_FEW)
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    if chosen.family != _FAMILY:
        return skip(rule, Message("gates.no-time-series", primary=chosen.name))
    residuals = table_in(chosen.diagnostics, "residuals")
    value = number_in(table_in(residuals, "ljung_box_of_innovations").get("p_value"))
    effective = number_in(residuals.get("effective_periods"))
    if value is None or effective is None:
        return skip(rule, Message("gates.no-residual-variance"))
    status = "fail" if effective < _TOO_FEW else below(value, _DEPENDENT, 0.0)
    reason = None
    if status == "fail":
        reason = Message("gates.strong-autocorrelation", periods=effective)
    elif status == "warn":
        reason = Message("gates.autocorrelation-left", p=value)
    return Gate(status=status, value=value, threshold=_DEPENDENT, rule=rule, reason=reason)
