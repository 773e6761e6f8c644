"""Assumptions of an interrupted series: no concurrent event, and a trend that would have gone on."""

from cqox.contract import Assumption
from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.diagnostics.identification.entry import NO_EVIDENCE, Evidence, Judged, assumption
from cqox.diagnostics.tables import Table, number_in, table_in

__all__ = ["EVENT_CONTRADICTS", "SUPPORTS", "TREND_CONTRADICTS", "series_assumptions"]

SUPPORTS = 0.05
EVENT_CONTRADICTS, TREND_CONTRADICTS = 0.01, 0.001

_TREND_TESTS = 3
"""Placebo dates, breaks and curvature: all three support together."""


def series_assumptions(judged: Judged) -> tuple[Assumption, ...]:
    """Return the entries of an interrupted series."""
    return (_no_concurrent_event(judged), _stable_trend(judged))


def _no_concurrent_event(judged: Judged) -> Assumption:
    name = "no_concurrent_event"
    return assumption(
        name, Message("identification.no-concurrent-event"), _control_series(judged), declared=judged.declares(name),
        remedy=Message("identification.no-concurrent-event-remedy"),
    )  # fmt: skip


def _control_series(judged: Judged) -> Evidence:
    """Return the breaks of the control series at the intervention."""
    table = table_in(judged.diagnostics, "series_checks", "control_series")
    p_value, detectable = number_in(table.get("p_value")), number_in(table.get("detectable_effect"))
    rows = table.get("series")
    if p_value is None or detectable is None or not isinstance(rows, list):
        return NO_EVIDENCE
    sentences = tuple(sentence for row in rows if isinstance(row, dict) for sentence in _break_of(row))
    unmet = []
    if p_value < SUPPORTS:
        unmet.append(Message("identification.needs-quiet-controls", p_value=p_value, needed=SUPPORTS))
    if detectable >= judged.seen:
        unmet.append(Message("identification.needs-smaller-event", detectable=detectable, needed=judged.seen))
    return Evidence(
        sentences=sentences, supports=not unmet, contradicts=p_value < EVENT_CONTRADICTS, unmet=tuple(unmet)
    )


def _break_of(row: Table) -> tuple[Message, ...]:
    estimate, p_value = number_in(row.get("estimate")), number_in(row.get("p_value"))
    detectable = number_in(row.get("detectable_effect"))
    if estimate is None or p_value is None or detectable is None:
        return ()
    return (
        Message(
            "identification.control-series", column=str(row.get("column")), estimate=estimate, p_value=p_value,
            detectable=detectable,
        ),
    )  # fmt: skip


def _stable_trend(judged: Judged) -> Assumption:
    name = "stable_trend"
    return assumption(
        name, Message("identification.stable-trend"), _trend(judged), declared=judged.declares(name),
        remedy=Message("identification.stable-trend-remedy"),
    )  # fmt: skip


def _trend(judged: Judged) -> Evidence:
    """Return the tests of the trend before the intervention."""
    checks = table_in(judged.diagnostics, "series_checks")
    dates, breaks, curvature = (table_in(checks, name) for name in ("placebo_dates", "breaks", "curvature"))
    sentences, p_values = list[Message](), list[float]()
    if (p_value := number_in(dates.get("p_value"))) is not None:
        count = int(number_in(dates.get("dates")) or 0)
        sentences.append(Message("identification.placebo-dates", dates=count, p_value=p_value))
        p_values.append(p_value)
    biases = list[float]()
    p_value, bias = number_in(breaks.get("p_value")), number_in(breaks.get("detectable_bias"))
    if p_value is not None and bias is not None:
        sentences.append(Message("identification.trend-breaks", p_value=p_value, bias=bias))
        p_values.append(p_value)
        biases.append(bias)
    p_value, bias = number_in(curvature.get("p_value")), number_in(curvature.get("detectable_bias"))
    largest = number_in(curvature.get("largest_bias"))
    if p_value is not None and bias is not None and largest is not None:
        sentences.append(Message("identification.trend-curvature", p_value=p_value, bias=bias, largest=largest))
        p_values.append(p_value)
        # A curve just below significance can explain the effect: its limit must not.
        biases += [bias, largest]
    if not p_values:
        return NO_EVIDENCE
    smallest = min(holm(p_values))
    unmet = []
    if len(p_values) < _TREND_TESTS:
        unmet.append(Message("identification.needs-trend-tests", tests=len(p_values), needed=_TREND_TESTS))
    if smallest < SUPPORTS:
        unmet.append(Message("identification.needs-steady-trend", p_value=smallest, needed=SUPPORTS))
    if biases and max(biases) >= judged.seen:
        unmet.append(Message("identification.needs-smaller-bias", bias=max(biases), needed=judged.seen))
    return Evidence(
        sentences=tuple(sentences), supports=not unmet, contradicts=smallest < TREND_CONTRADICTS, unmet=tuple(unmet)
    )
