"""Chart of score density plots."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, ORANGE

__all__ = ["SCORE_DENSITY"]

_WIDTH, _HEIGHT = 520, 240


def _chart() -> Chart:
    every = alt.Chart()
    colour = alt.Color("side:N", scale=alt.Scale(domain=["below", "above"], range=[BLUE, ORANGE]), legend=None)
    bars = (
        every.transform_filter("datum.kind === 'bar'")
        .mark_rect(opacity=0.3, stroke="white", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "from:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", grid=False)
            ),
            x2="to:Q",
            y=alt.Y(
                "density:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title=Message("figures.density"), tickCount=5)
            ),
            y2=alt.Y2Datum(0),
            color=colour,
            tooltip=["from:Q", "to:Q", "rows:Q"],
        )
    )
    curves = (
        every.transform_filter("datum.kind === 'curve'")
        .mark_line(strokeWidth=2.6)
        .encode(x="score:Q", y="density:Q", color=colour)
    )
    cutoff = (
        every.transform_filter("datum.kind === 'cutoff'")
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x="score:Q")
    )
    return alt.layer(bars, cutoff, curves).properties(width=_WIDTH, height=_HEIGHT)


SCORE_DENSITY = _chart()
