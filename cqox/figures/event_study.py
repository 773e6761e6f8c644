"""Event study plot: effects by event time with pointwise intervals and a uniform band."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount, p_text
from cqox.contract.messages import Message, joined
from cqox.estimators import Json, Plan
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure, Spec

__all__ = ["BAND", "INTERVAL", "WIDTH", "event_study"]

WIDTH = 520
BAND, INTERVAL = 1.2, 3.6
"""Pixels: width of the marks of band and interval."""
_MOST_EVENTS = 400
_MOST_MARKS, _LAYERS, _INTERVALS = 40, (4, 5), (0, 1)
"""Number of events above which points are small, their layers in the template, and those of band and interval."""

_SMALL, _THIN, _PALER = 14, (0.6, 0.45), 0.45
"""Size of small points, part of an event's room that band and interval then take, and their opacity under points."""

_REACH = 4.0
"""Axis range beyond the estimates, in median half-widths; longer intervals are truncated."""


def event_study(plan: Plan, treatment: str, diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the event study; None if effects by event time were not estimated.

    Args:
        plan: the contrast's plan.
        treatment: label of the treatment.
        diagnostics: from `cqox.diagnostics.diagnose`.
    """
    found = diagnostics.get("event_study")
    events = [row for row in listed(found, "events") if number_in(row, "estimate") is not None][-_MOST_EVENTS:]
    if len(events) < 2:
        return None
    y, level = short(plan.label("y"), 32), 100 * (1 - plan.settings.alpha)
    low, high = _range(events)
    rows = _rows(events, low, high)
    title = Message("figures.event-study", treatment=treatment, outcome=y)
    alt_text = _alt(title, events, found, level)
    spec = filled(template("event_study"), rows, title=title, subtitle=_subtitle(found, rows, level), alt=alt_text)
    steps = [number_in(row, "event") or 0.0 for row in events]
    margin = 0.6 + 0.02 * (steps[-1] - steps[0])
    put(spec, [steps[0] - margin, steps[-1] + margin], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, [low, high], "layer", 0, "encoding", "y", "scale", "domain")
    put(spec, Message("figures.effect-in-units", outcome=y), "layer", 0, "encoding", "y", "axis", "title")
    if len(events) > _MOST_MARKS:
        _put_thin_marks(spec, WIDTH / (steps[-1] - steps[0] + 2 * margin))
    return finished("event_study", spec)


def _put_thin_marks(spec: Spec, room: float) -> None:
    """Draw points over intervals that leave them in view.

    Args:
        spec: the specification.
        room: pixels from one event to the next.
    """
    for layer in _LAYERS:
        put(spec, _SMALL, "layer", layer, "mark", "size")
    for layer, part, most in zip(_INTERVALS, _THIN, (BAND, INTERVAL), strict=True):
        put(spec, round(min(most, part * room), 2), "layer", layer, "mark", "strokeWidth")
        put(spec, _PALER, "layer", layer, "mark", "opacity")


def _range(events: Sequence[Json]) -> tuple[float, float]:
    values = [0.0, *(value for row in events if (value := number_in(row, "estimate")) is not None)]
    halves = sorted(
        (high - low) / 2
        for row in events
        if (low := number_in(row, "band_lower")) is not None and (high := number_in(row, "band_upper")) is not None
    )
    typical = halves[len(halves) // 2] if halves else 0.0
    floor, ceiling = min(values) - _REACH * typical, max(values) + _REACH * typical
    ends = [
        min(max(end, floor), ceiling)
        for row in events
        for key in ("band_lower", "band_upper", "lower", "upper")
        if (end := number_in(row, key)) is not None
    ]
    low, high = min([*values, *ends]), max([*values, *ends])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _rows(events: Sequence[Json], low: float, high: float) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = [{"kind": "start", "event": -0.5}]
    for event in events:
        if not isinstance(event, dict):
            continue
        row: dict[str, Json] = {"kind": "effect", "after": (number_in(event, "event") or 0.0) >= 0}
        for key in ("event", "estimate", "standard_error", "lower", "upper", "band_lower", "band_upper"):
            row[key] = number_in(event, key)
        for name in ("", "band_"):
            bottom, top = number_in(event, f"{name}lower"), number_in(event, f"{name}upper")
            row[f"{name}from"] = None if bottom is None else max(bottom, low)
            row[f"{name}to"] = None if top is None else min(top, high)
        rows.append(row)
    return rows


def _subtitle(found: Json, rows: Sequence[dict[str, Json]], level: float) -> list[Message]:
    first = [Message("figures.event-study-thick", level=level)]
    if any(row.get("band_from") is not None for row in rows):
        first.append(Message("figures.event-study-thin", level=level))
    changes = text_in(found, "base_period") == "varying"
    second = [Message("figures.event-study-varying-base") if changes else Message("figures.event-study-fixed-base")]
    p_value = number_in(found, "pre_trends", "p_value")
    if p_value is not None:
        second.append(Message("figures.event-study-test", p=p_text(p_value)))
    lines = [joined(first), joined(second)]
    slope = number_in(found, "pre_trends", "detectable_slope")
    if slope is not None:
        lines.append(Message("figures.event-study-power", slope=amount(slope)))
    return lines


def _alt(title: Message, events: Sequence[Json], found: Json, level: float) -> Message:
    said = []
    for event in events if len(events) <= 12 else [*events[:6], *events[-6:]]:
        text = f"{number_in(event, 'event') or 0.0:.0f}: {amount(number_in(event, 'estimate') or 0.0)}"
        low, high = number_in(event, "lower"), number_in(event, "upper")
        said.append(text if low is None or high is None else f"{text} [{amount(low)}, {amount(high)}]")
    overall = number_in(at(found, "overall"))
    text = Message("figures.event-study-alt", title=title, periods=len(events), level=level, effects=said)
    return text if overall is None else joined([text, Message("figures.event-study-mean", effect=amount(overall))])
