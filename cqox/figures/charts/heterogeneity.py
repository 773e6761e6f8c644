"""Chart of heterogeneous effects."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, ORANGE, RULE

__all__ = ["HETEROGENEITY"]

_WIDTH, _HEIGHT = 300, 260


def _chart() -> Chart:
    every = alt.Chart()
    groups = every.transform_filter("datum.kind === 'group'")
    x = alt.X(
        "group:N", sort=None, axis=alt.Axis(title=Message("figures.heterogeneity-groups"), labelAngle=0, grid=False)
    )
    y = alt.Y("effect:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="", tickCount=6))
    point = groups.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(
        x=x, y=y, tooltip=["group:N", "effect:Q", "lower:Q", "upper:Q", "predicted:Q", "rows:Q"]
    )
    bar = groups.mark_rule(color=BLUE, strokeWidth=2).encode(x="group:N", y="lower:Q", y2="upper:Q")
    average = (
        every.transform_filter("datum.kind === 'average'")
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.4)
        .encode(y="effect:Q")
    )
    curve = every.transform_filter("datum.kind === 'curve'")
    share = alt.X(
        "share:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(title=Message("figures.heterogeneity-share"), format="~%", tickCount=6, grid=False),
    )
    gain = alt.Y("lower:Q", axis=alt.Axis(title=Message("figures.heterogeneity-gain"), tickCount=6))
    band = curve.mark_area(color=ORANGE, opacity=0.15).encode(x=share, y=gain, y2="upper:Q")
    line = curve.mark_line(color=ORANGE, strokeWidth=2, strokeJoin="round").encode(
        x="share:Q", y="gain:Q", tooltip=["share:Q", "gain:Q", "lower:Q", "upper:Q"]
    )
    base = alt.Chart().transform_aggregate(rows="count()").mark_rule(color=RULE).encode(y=alt.YDatum(0))
    left = alt.layer(point, bar, average).properties(width=_WIDTH, height=_HEIGHT)
    right = alt.layer(band, base, line).properties(width=_WIDTH, height=_HEIGHT)
    return alt.hconcat(left, right, spacing=36)


HETEROGENEITY = _chart()
