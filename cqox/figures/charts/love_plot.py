"""Chart of Love plots."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures._words import AFTER_WEIGHTING, BEFORE_WEIGHTING
from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, INK, ORANGE, RULE

__all__ = ["LOVE_PLOT"]

_WIDTH = 250
_PANELS_IN_A_ROW = 3
_THRESHOLD = 0.1


def _chart() -> Chart:
    rows = alt.Chart().encode(
        y=alt.Y(
            "covariate:N",
            sort=alt.EncodingSortField("order", order="ascending"),
            axis=alt.Axis(title=None, labelColor=INK, labelPadding=10, ticks=False, domain=False, grid=True),
        )
    )
    sides = [BEFORE_WEIGHTING, AFTER_WEIGHTING]
    when = alt.Scale(domain=sides, range=[ORANGE, BLUE])
    legend = alt.Legend(title=None, orient="top", direction="horizontal", offset=8)
    change = (
        rows.transform_filter("datum.kind === 'change'")
        .mark_rule(color=RULE, strokeWidth=2)
        .encode(
            x=alt.X(
                "from:Q",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(title=Message("figures.love-plot-difference"), tickCount=5, grid=False),
            ),
            x2="to:Q",
        )
    )
    once = alt.Chart().transform_aggregate(rows="count()")
    limit = once.mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.XDatum(_THRESHOLD))
    limit_text = once.mark_text(color=GREY, fontSize=10, baseline="bottom", dy=-4).encode(
        x=alt.XDatum(_THRESHOLD), y=alt.value(0), text=alt.datum(f"{_THRESHOLD:g}")
    )
    points = (
        rows.transform_filter("datum.kind === 'point'")
        .mark_point(size=64, filled=True, opacity=1)
        .encode(
            x="value:Q",
            color=alt.Color("when:N", scale=when, legend=legend),
            shape=alt.Shape("when:N", scale=alt.Scale(domain=sides, range=["diamond", "circle"]), legend=legend),
            tooltip=["name:N", "when:N", "signed:Q"],
        )
    )
    panels = alt.Facet("panel:N", title=None, header=alt.Header(labelOrient="top", labelAnchor="start"))
    return (
        alt.layer(change, limit, limit_text, points)
        .properties(width=_WIDTH)
        .facet(facet=panels, columns=_PANELS_IN_A_ROW, data=alt.NamedData("rows"))
    )


LOVE_PLOT = _chart()
