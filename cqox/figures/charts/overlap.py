"""Chart of overlap plots."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures._words import TREATED, UNTREATED
from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, ORANGE, PALE, RULE

__all__ = ["OVERLAP"]

_WIDTH, _HEIGHT = 520, 260


def _chart() -> Chart:
    every = alt.Chart()
    colour = alt.Color("arm:N", scale=alt.Scale(domain=[TREATED, UNTREATED], range=[ORANGE, BLUE]), legend=None)
    shade = (
        every.transform_filter("datum.kind === 'outside'")
        .mark_rect(color=PALE)
        .encode(x="from:Q", x2="to:Q", y=alt.value(0), y2=alt.value(_HEIGHT))
    )
    bars = (
        every.transform_filter("datum.kind === 'bin'")
        .mark_rect(opacity=0.85, stroke="white", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "from:Q",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(
                    title=Message("figures.overlap-probability"),
                    values=[0, 0.05, 0.25, 0.5, 0.75, 0.95, 1],
                    format=".2~f",
                    labelOverlap=False,
                    grid=False,
                ),
            ),
            x2="to:Q",
            y=alt.Y(
                "share:Q",
                scale=alt.Scale(domain=[-1, 1], nice=False),
                axis=alt.Axis(
                    title=Message("figures.overlap-share"),
                    labelExpr="format(abs(datum.value), '~%')",
                    tickCount=6,
                ),
            ),
            y2=alt.Y2Datum(0),
            color=colour,
            tooltip=["arm:N", "from:Q", "to:Q", "rows:Q"],
        )
    )
    base = alt.Chart().transform_aggregate(rows="count()").mark_rule(color=RULE).encode(y=alt.YDatum(0))
    labels = (
        every.transform_filter("datum.kind === 'label'")
        .mark_text(align="left", dx=12, fontSize=12, fontWeight="bold", lineHeight=16)
        .encode(x=alt.value(_WIDTH), y="at:Q", text="label:N", color=colour)
    )
    return alt.layer(shade, bars, base, labels).properties(width=_WIDTH, height=_HEIGHT)


OVERLAP = _chart()
