"""Mean outcomes over time of units that share the start of their treatment."""

from collections.abc import Mapping, Sequence
from functools import cache

import altair as alt

from cqox.estimators import Json, Plan
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._style import GREY, PALETTE
from cqox.figures._template import compiled, filled, put
from cqox.figures._words import amount, short
from cqox.figures.figure import Figure, Spec

__all__ = ["event_means"]

_WIDTH, _HEIGHT = 520, 300
_UNTREATED = ("never treated", "untreated")
_MOST_BANDS = 2
"""Bands of more groups than this hide each other, so that they have none."""

_GAP = 0.065
"""Least distance between two labels, as a share of the height."""


def event_means(plan: Plan, diagnostics: Mapping[str, Json]) -> Figure | None:
    """The means of each group over time; None where the data are no panel of at least two periods."""
    found = diagnostics.get("event_means")
    points, groups = listed(found, "points"), listed(found, "groups")
    times = sorted({value for point in points if (value := number_in(point, "time")) is not None})
    if not groups or len(times) < 2:
        return None
    colours = _colours(groups)
    two_times = at(found, "before_and_after_only") is True
    band = len(groups) <= _MOST_BANDS
    rows: list[dict[str, Json]] = [
        {"kind": "mean", "band": band, **point} for point in points if isinstance(point, dict)
    ]
    low, high = _range(points)
    rows += _labels(points, groups, high - low)
    rows += [{"kind": "start", "time": 0.5, "group": text_in(groups[-1], "label")}] if two_times else _starts(groups)
    y, time = short(plan.label("y")), short(plan.label("time" if plan.has("time") else "post"))
    title = f"Mean {y} before and after, by arm" if two_times else f"Mean {y} over {time}, by start of treatment"
    pooled = number_in(found, "periods_per_point") or 1
    subtitle = f"Dashed: {'the intervention' if two_times else 'first treated period'}."
    if band:
        subtitle = f"Bands: pointwise 95% intervals of the means. {subtitle}"
    if pooled > 1:
        subtitle += f" Each point pools {pooled:.0f} periods."
    alt_text = _alt(points, groups, y, times)
    spec = filled(_template(), rows, title=title, subtitle=subtitle, alt=alt_text)
    put(spec, list(colours), "layer", 0, "encoding", "color", "scale", "domain")
    put(spec, list(colours.values()), "layer", 0, "encoding", "color", "scale", "range")
    margin = 0.03 * (times[-1] - times[0])
    put(spec, [times[0] - margin, times[-1] + margin], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, [low, high], "layer", 0, "encoding", "y", "scale", "domain")
    put(spec, _time_axis(time, times, two_times), "layer", 0, "encoding", "x", "axis")
    put(spec, f"Mean of {y}", "layer", 0, "encoding", "y", "axis", "title")
    return Figure(name="event_means", title=title, alt=alt_text, spec=spec)


def _colours(groups: Sequence[Json]) -> dict[str, str]:
    """A colour for each group; units that are never treated are grey."""
    colours: dict[str, str] = {}
    bright = iter(PALETTE * 4)
    for group in groups:
        label = text_in(group, "label")
        colours[label] = GREY if label in _UNTREATED else next(bright)
    return colours


def _time_axis(time: str, times: Sequence[float], before_and_after: bool) -> dict[str, Json]:
    axis: dict[str, Json] = {"title": time, "grid": False, "tickCount": 8}
    if before_and_after:
        return axis | {"values": [0, 1], "labelExpr": "datum.value ? 'after' : 'before'"}
    if all(value == int(value) for value in times):
        axis |= {"format": "d", "tickMinStep": 1}
    return axis


def _range(points: Sequence[Json]) -> tuple[float, float]:
    ends = [
        value for point in points for key in ("mean", "lower", "upper") if (value := number_in(point, key)) is not None
    ]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _labels(points: Sequence[Json], groups: Sequence[Json], height: float) -> list[dict[str, Json]]:
    """The groups' names beside their last points, moved apart where they would cover each other."""
    last: dict[str, tuple[float, float]] = {}
    for point in points:
        time, mean, label = number_in(point, "time"), number_in(point, "mean"), text_in(point, "group")
        if time is not None and mean is not None and (label not in last or time >= last[label][0]):
            last[label] = (time, mean)
    order = sorted(last, key=lambda label: last[label][1])
    placed: list[float] = []
    for label in order:
        mean = last[label][1]
        placed.append(max(mean, placed[-1] + _GAP * height) if placed else mean)
    shift = sum(place - last[label][1] for place, label in zip(placed, order, strict=True)) / max(len(order), 1)
    units = {text_in(group, "label"): number_in(group, "units") for group in groups}
    rows: list[dict[str, Json]] = []
    for place, label in zip(placed, order, strict=True):
        count = units.get(label)
        text = label if count is None else f"{label} ({count:,.0f} unit{'' if count == 1 else 's'})"
        rows.append({"kind": "label", "group": label, "at": place - shift, "label": text})
    return rows


def _starts(groups: Sequence[Json]) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for group in groups:
        start = number_in(group, "first_treated")
        if start is not None:
            rows.append({"kind": "start", "group": text_in(group, "label"), "time": start})
    return rows


def _alt(points: Sequence[Json], groups: Sequence[Json], y: str, times: Sequence[float]) -> str:
    said = []
    for group in groups:
        label = text_in(group, "label")
        means = [
            mean
            for point in points
            if text_in(point, "group") == label and (mean := number_in(point, "mean")) is not None
        ]
        if means:
            said.append(f"{label} from {amount(means[0])} to {amount(means[-1])}")
    return f"Lines of mean {y} over {len(times)} periods: {'; '.join(said)}."


@cache
def _template() -> Spec:
    every = alt.Chart()
    means = every.transform_filter("datum.kind === 'mean'")
    colour = alt.Color("group:N", scale=alt.Scale(domain=[""], range=[""]), legend=None)
    x = alt.X("time:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title=""))
    y = alt.Y("lower:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", tickCount=6))
    band = means.transform_filter("datum.band").mark_area(opacity=0.13).encode(x=x, y=y, y2="upper:Q", color=colour)
    line = means.mark_line(strokeWidth=2).encode(x="time:Q", y="mean:Q", color="group:N")
    point = means.mark_point(size=26, filled=True, opacity=1).encode(
        x="time:Q", y="mean:Q", color="group:N", tooltip=["group:N", "time:Q", "mean:Q", "rows:Q"]
    )
    start = (
        every.transform_filter("datum.kind === 'start'")
        .mark_rule(strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x="time:Q", color="group:N")
    )
    labels = (
        every.transform_filter("datum.kind === 'label'")
        .mark_text(align="left", dx=8, fontSize=11)
        .encode(x=alt.value(_WIDTH), y="at:Q", text="label:N", color="group:N")
    )
    return compiled(alt.layer(band, start, line, point, labels).properties(width=_WIDTH, height=_HEIGHT))
