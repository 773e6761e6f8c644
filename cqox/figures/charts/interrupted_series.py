"""Chart of interrupted time series."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, INK, ORANGE

__all__ = ["INTERRUPTED_SERIES"]

_WIDTH, _HEIGHT = 520, 300


def _chart() -> Chart:
    every = alt.Chart()
    periods = every.transform_filter("datum.kind === 'period'")
    tooltip = ["time:Q", "observed:Q", "fitted:Q", "counterfactual:Q"]
    points = periods.mark_point(size=28, strokeWidth=1.3, color=GREY, opacity=0.9).encode(
        x=alt.X("time:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="")),
        y=alt.Y(
            "observed:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", tickCount=6)
        ),
        fill=alt.condition("datum.after", alt.value(GREY), alt.value("white")),
        tooltip=tooltip,
    )
    carried = (
        every.transform_filter("datum.kind === 'period' && datum.after")
        .mark_line(color=ORANGE, strokeDash=[6, 3], strokeWidth=2)
        .encode(x="time:Q", y="counterfactual:Q")
    )
    lines = [
        every.transform_filter(f"datum.kind === 'period' && {test}")
        .mark_line(color=colour, strokeWidth=2.2)
        .encode(x="time:Q", y="fitted:Q")
        for test, colour in (("!datum.after", INK), ("datum.after", BLUE))
    ]
    start = every.transform_filter("datum.kind === 'start'").mark_rule(strokeDash=[4, 3], color=GREY).encode(x="time:Q")
    labels = [
        every.transform_filter(f"datum.kind === 'label' && datum.of === '{name}'")
        .mark_text(align="left", dx=8, fontSize=11, color=colour)
        .encode(x=alt.value(_WIDTH), y="at:Q", text="label:N")
        for name, colour in (("fitted", BLUE), ("counterfactual", ORANGE))
    ]
    return alt.layer(points, carried, *lines, start, *labels).properties(width=_WIDTH, height=_HEIGHT)


INTERRUPTED_SERIES = _chart()
