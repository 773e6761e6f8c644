"""Chart of regression discontinuity plots."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, ORANGE, PALE

__all__ = ["DISCONTINUITY"]

_WIDTH, _HEIGHT = 520, 320


def _chart() -> Chart:
    every = alt.Chart()
    sides = alt.Scale(domain=["below", "above"], range=[BLUE, ORANGE])
    colour = alt.Color("side:N", scale=sides, legend=None)
    within = (
        every.transform_filter("datum.kind === 'within'")
        .mark_rect(color=PALE, clip=True)
        .encode(x="from:Q", x2="to:Q", y=alt.value(0), y2=alt.value(_HEIGHT))
    )
    means = every.transform_filter("datum.kind === 'mean'")
    intervals = means.mark_rule(strokeWidth=1, opacity=0.45, clip=True).encode(
        x=alt.X("score:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", grid=False)),
        y=alt.Y("lower:Q", scale=alt.Scale(domain=[0, 1], nice=True, zero=False), axis=alt.Axis(title="", tickCount=6)),
        y2="upper:Q",
        color=colour,
    )
    points = means.mark_point(filled=True, size=26, opacity=0.9).encode(
        x="score:Q", y="mean:Q", color=colour, tooltip=["score:Q", "mean:Q", "rows:Q"]
    )
    cutoff = (
        every.transform_filter("datum.kind === 'cutoff'")
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x="score:Q")
    )
    line = (
        every.transform_filter("datum.kind === 'line'")
        .mark_line(strokeWidth=2.6, clip=True)
        .encode(x="score:Q", y="fit:Q", color=colour)
    )
    return alt.layer(within, intervals, points, cutoff, line).properties(width=_WIDTH, height=_HEIGHT)


DISCONTINUITY = _chart()
