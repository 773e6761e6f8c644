"""Mean outcomes over time by treatment cohort."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount
from cqox.contract.messages import Message, joined
from cqox.estimators import Json, Plan
from cqox.figures._periods import before_and_after_axis, period_labels, ticks
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short, with_contrast
from cqox.figures.figure import Figure
from cqox.figures.style import GREY, PALETTE, SILVER

__all__ = ["event_means"]

_UNTREATED = ("never treated", "untreated")
_MOST_BANDS = 3
"""Most groups with confidence bands; more would overlap."""

_MOST_STARTS = 2
"""Most treatment starts marked by a rule; more are shown by filled points alone."""

_MOST_MARKS, _MARKS = 40, (3, 4)
"""Number of periods above which points are small, and their layers in the template."""

_GAP = 0.065
"""Minimum distance between two labels, as a share of the height."""


def event_means(plan: Plan, levels: str, diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the mean of each group over time; None if there are fewer than two periods.

    Args:
        plan: the contrast's plan.
        levels: treatment levels compared, for the title; empty for a single contrast.
        diagnostics: from `cqox.diagnostics.diagnose`.
    """
    found = diagnostics.get("event_means")
    points, groups = listed(found, "points"), listed(found, "groups")
    times = sorted({value for point in points if (value := number_in(point, "time")) is not None})
    if not groups or len(times) < 2:
        return None
    two_times = at(found, "before_and_after_only") is True
    starts = {text_in(group, "label"): number_in(group, "first_treated") for group in groups}
    band = len(groups) <= _MOST_BANDS
    low, high = _range(points, ("mean", "lower", "upper") if band else ("mean",))
    rows = _means(points, starts, band=band)
    rows += _labels(points, groups, low, high)
    rows += _rules(starts, two_times=two_times)
    y, time = short(plan.label("y"), 32), short(plan.label("time" if plan.has("time") else "post"), 32)
    title = Message("figures.event-means", outcome=y, time=time)
    if two_times:
        title = Message("figures.event-means-before-and-after", outcome=y)
    title = with_contrast(title, levels)
    alt_text = _alt(points, groups, y, len(times))
    subtitle = _subtitle(rows, number_in(found, "periods_per_point") or 1)
    spec = filled(template("event_means"), rows, title=title, subtitle=subtitle, alt=alt_text)
    colours = _colours(groups)
    put(spec, list(colours), "layer", 0, "encoding", "color", "scale", "domain")
    put(spec, list(colours.values()), "layer", 0, "encoding", "color", "scale", "range")
    if len(times) > _MOST_MARKS:
        for layer in _MARKS:
            put(spec, 12, "layer", layer, "mark", "size")
    margin = 0.03 * (times[-1] - times[0])
    put(spec, [times[0] - margin, times[-1] + margin], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, [low, high], "layer", 0, "encoding", "y", "scale", "domain")
    axis = before_and_after_axis() if two_times else ticks(times, period_labels(plan))
    put(spec, {"title": time, "grid": False, **axis}, "layer", 0, "encoding", "x", "axis")
    put(spec, Message("figures.mean-of", column=y), "layer", 0, "encoding", "y", "axis", "title")
    return finished("event_means", spec)


def _subtitle(rows: Sequence[dict[str, Json]], pooled: float) -> Message:
    parts = []
    if any(row.get("treated") for row in rows):
        parts.append(Message("figures.event-means-filled"))
    if any(row["kind"] == "start" for row in rows):
        parts.append(Message("figures.event-means-dashed"))
    if any(row.get("band") for row in rows):
        parts.append(Message("figures.event-means-bands"))
    if pooled > 1:
        parts.append(Message("figures.event-means-pooled", periods=pooled))
    return joined(parts)


def _means(points: Sequence[Json], starts: Mapping[str, float | None], *, band: bool) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for point in points:
        if isinstance(point, dict):
            start, time = starts.get(text_in(point, "group")), number_in(point, "time")
            treated = start is not None and time is not None and time >= start
            rows.append({"kind": "mean", "band": band, "treated": treated, **point})
    return rows


def _colours(groups: Sequence[Json]) -> dict[str, str]:
    """Return a colour for each group; grey for never treated groups and pooled cohorts."""
    colours: dict[str, str] = {}
    bright = iter(PALETTE)
    for group in groups:
        label = text_in(group, "label")
        if label in _UNTREATED:
            colours[label] = GREY
        else:
            colours[label] = SILVER if number_in(group, "first_treated") is None else next(bright, SILVER)
    return colours


def _range(points: Sequence[Json], keys: Sequence[str]) -> tuple[float, float]:
    ends = [value for point in points for key in keys if (value := number_in(point, key)) is not None]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _labels(points: Sequence[Json], groups: Sequence[Json], low: float, high: float) -> list[dict[str, Json]]:
    """Place the group names next to their last points, without overlap."""
    last: dict[str, tuple[float, float]] = {}
    for point in points:
        time, mean, label = number_in(point, "time"), number_in(point, "mean"), text_in(point, "group")
        if time is not None and mean is not None and (label not in last or time >= last[label][0]):
            last[label] = (time, mean)
    order = sorted(last, key=lambda label: last[label][1])
    placed: list[float] = []
    for label in order:
        mean = last[label][1]
        placed.append(max(mean, placed[-1] + _GAP * (high - low)) if placed else mean)
    shift = sum(place - last[label][1] for place, label in zip(placed, order, strict=True)) / max(len(order), 1)
    shift = min(max(shift, placed[-1] - high), placed[0] - low) if placed else 0.0
    units = {text_in(group, "label"): number_in(group, "units") for group in groups}
    rows: list[dict[str, Json]] = []
    for place, label in zip(placed, order, strict=True):
        count, text = units.get(label), short(label, 32)
        if count is not None:
            text = Message("figures.event-means-group", group=text, units=round(count))
        rows.append({"kind": "label", "group": label, "at": place - shift, "label": text})
    return rows


def _rules(starts: Mapping[str, float | None], *, two_times: bool) -> list[dict[str, Json]]:
    if two_times:
        return [{"kind": "start", "time": 0.5, "group": list(starts)[-1]}]
    known = [(label, start) for label, start in starts.items() if start is not None]
    if len(known) > _MOST_STARTS:
        return []
    return [{"kind": "start", "time": start, "group": label} for label, start in known]


def _alt(points: Sequence[Json], groups: Sequence[Json], y: str, periods: int) -> Message:
    said = []
    for group in groups:
        label = text_in(group, "label")
        means = [
            mean
            for point in points
            if text_in(point, "group") == label and (mean := number_in(point, "mean")) is not None
        ]
        if means:
            first, last = amount(means[0]), amount(means[-1])
            said.append(Message("figures.event-means-change", group=label, first=first, last=last))
    return Message("figures.event-means-alt", outcome=y, periods=periods, changes=said)
