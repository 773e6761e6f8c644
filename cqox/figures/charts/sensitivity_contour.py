"""Chart of sensitivity contour plots."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.sensitivity_contour import ASIDE, HEIGHT, RISES, WIDTH
from cqox.figures.style import BLUE, GREY, INK, ORANGE, RULE

__all__ = ["SENSITIVITY_CONTOUR"]


def _chart() -> Chart:
    every = alt.Chart()
    shares = alt.Scale(domain=[0, 1], nice=False)
    away = alt.condition("datum.away", alt.value(ORANGE), alt.value(GREY))
    lines = (
        every.transform_filter("datum.kind === 'line'")
        .mark_line(clip=True)
        .encode(
            x=alt.X("x:Q", scale=shares, axis=alt.Axis(title="", format="~%", tickCount=6, grid=False)),
            y=alt.Y("y:Q", scale=shares, axis=alt.Axis(title="", format="~%", tickCount=6, grid=False)),
            detail="line:N",
            color=away,
            strokeWidth=alt.condition("datum.away", alt.value(2.6), alt.value(1.2)),
        )
    )
    labels = (
        every.transform_filter("datum.kind === 'label'")
        .mark_text(fontSize=11, fontWeight="bold", color=GREY)
        .encode(x="x:Q", y="y:Q", text="label:N")
    )
    halo = (
        every.transform_filter("datum.kind === 'label'")
        .mark_point(shape="circle", size=420, filled=True, color="white", opacity=1)
        .encode(x="x:Q", y="y:Q")
    )
    robust = every.transform_filter("datum.kind === 'robust'")
    ring = robust.mark_point(size=70, stroke=ORANGE, fill="white", strokeWidth=2, opacity=1).encode(x="x:Q", y="y:Q")
    ring_text = robust.mark_text(align="left", dx=9, dy=-8, color=ORANGE, fontSize=11).encode(
        x="x:Q", y="y:Q", text="label:N"
    )
    marks = every.transform_filter("datum.kind === 'mark'")
    points = marks.mark_point(shape="diamond", size=70, filled=True, color=BLUE, opacity=1).encode(
        x="x:Q", y="y:Q", tooltip=["label:N", "x:Q", "y:Q", "estimate:Q"]
    )
    names = marks.mark_text(
        align="left",
        dx=alt.ExprRef(f"datum.rise === {RISES[0]} ? {ASIDE} : -4"),
        dy=alt.ExprRef("-datum.rise"),
        color=INK,
        fontSize=10.5,
    ).encode(x="x:Q", y="y:Q", text="name:N")
    diagonal = (
        every.transform_aggregate(rows="count()")
        .mark_rule(color=RULE, strokeDash=[2, 4])
        .encode(x=alt.value(0), y=alt.value(HEIGHT), x2=alt.value(WIDTH), y2=alt.value(0))
    )
    return alt.layer(lines, diagonal, halo, labels, points, names, ring, ring_text).properties(
        width=WIDTH, height=HEIGHT
    )


SENSITIVITY_CONTOUR = _chart()
