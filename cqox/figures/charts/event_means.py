"""Chart of mean outcomes over time."""

import altair as alt

from cqox.figures.charts.chart import Chart

__all__ = ["EVENT_MEANS"]

_WIDTH, _HEIGHT = 520, 300


def _chart() -> Chart:
    every = alt.Chart()
    means = every.transform_filter("datum.kind === 'mean'")
    colour = alt.Color("group:N", scale=alt.Scale(domain=[""], range=[""]), legend=None)
    band = (
        means.transform_filter("datum.band")
        .mark_area(opacity=0.13)
        .encode(
            x=alt.X("time:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="")),
            y=alt.Y(
                "lower:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", tickCount=6)
            ),
            y2="upper:Q",
            color=colour,
        )
    )
    line = means.mark_line(strokeWidth=2, strokeJoin="round").encode(x="time:Q", y="mean:Q", color="group:N")
    tooltip = ["group:N", "time:Q", "mean:Q", "rows:Q"]
    before, since = (
        means.transform_filter(test)
        .mark_point(size=34, opacity=1, strokeWidth=1.6, **look)
        .encode(x="time:Q", y="mean:Q", color="group:N", tooltip=tooltip)
        for test, look in (("!datum.treated", {"filled": False, "fill": "white"}), ("datum.treated", {"filled": True}))
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
    return alt.layer(band, start, line, before, since, labels).properties(width=_WIDTH, height=_HEIGHT)


EVENT_MEANS = _chart()
