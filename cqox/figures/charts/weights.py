"""Chart of weight distributions."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures._words import TREATED, UNTREATED
from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, ORANGE, RULE

__all__ = ["WEIGHTS"]

_WIDTH, _HEIGHT = 250, 130
_PANELS_IN_A_ROW = 3
_TIMES = "datum.value < 1 ? '1/' + format(1 / datum.value, ',~g') : format(datum.value, ',~g')"
"""Axis labels of powers of two as fractions: 1/64 is shorter than 0.015625."""


def _chart() -> Chart:
    every = alt.Chart()
    scale = alt.Scale(domain=[TREATED, UNTREATED], range=[ORANGE, BLUE])
    bars = every.mark_rect(opacity=0.85, stroke="white", strokeWidth=0.4).encode(
        x=alt.X(
            "from:Q",
            scale=alt.Scale(type="log", base=2, domain=[0.5, 2], nice=False),
            axis=alt.Axis(
                title=Message("figures.weights-weight"),
                tickCount=6,
                labelExpr=_TIMES,
                labelOverlap="greedy",
                labelSeparation=8,
                grid=False,
            ),
        ),
        x2="to:Q",
        y=alt.Y(
            "share:Q",
            scale=alt.Scale(nice=False, padding=6),
            axis=alt.Axis(
                title=Message("figures.weights-share"),
                labelExpr="format(abs(datum.value), '~%')",
                tickCount=5,
                minExtent=42,
            ),
        ),
        y2=alt.Y2Datum(0),
        color=alt.Color("arm:N", scale=scale, legend=alt.Legend(title=None, orient="top", direction="horizontal")),
        tooltip=["arm:N", "from:Q", "to:Q", "share:Q"],
    )
    once = alt.Chart().transform_aggregate(rows="count()")
    base = once.mark_rule(color=RULE).encode(y=alt.YDatum(0))
    mean = once.mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.XDatum(1))
    panels = alt.Facet("panel:N", title=None, sort=None, header=alt.Header(labelOrient="top", labelAnchor="start"))
    panelled: alt.FacetChart = (
        alt.layer(bars, base, mean)
        .properties(width=_WIDTH, height=_HEIGHT)
        .facet(facet=panels, columns=_PANELS_IN_A_ROW, data=alt.NamedData("rows"))
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )
    return panelled


WEIGHTS = _chart()
