"""Chart of synthetic control plots."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY, INK, ORANGE, SILVER

__all__ = ["SYNTHETIC_CONTROL"]

_WIDTH, _HEIGHT = 520, 220


def _chart() -> Chart:
    every = alt.Chart()
    x = alt.X("time:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title=""))

    def y(field: str) -> alt.Y:
        return alt.Y(
            field, scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", tickCount=5)
        )

    periods = every.transform_filter("datum.kind === 'period'")
    start = every.transform_filter("datum.kind === 'start'").mark_rule(strokeDash=[4, 3], color=GREY).encode(x="time:Q")
    made = periods.mark_line(color=ORANGE, strokeDash=[6, 3], strokeWidth=2).encode(x=x, y=y("synthetic:Q"))
    tooltip = ["time:Q", "observed:Q", "synthetic:Q", "gap:Q"]
    seen = periods.mark_line(color=BLUE, strokeWidth=2).encode(x="time:Q", y="observed:Q", tooltip=tooltip)
    labels = [
        every.transform_filter(f"datum.kind === 'label' && datum.of === '{name}'")
        .mark_text(align="left", dx=8, fontSize=11, color=colour)
        .encode(x=alt.value(_WIDTH), y="at:Q", text="label:N")
        for name, colour in (("observed", BLUE), ("synthetic", ORANGE))
    ]
    top = alt.layer(made, seen, start, *labels).properties(width=_WIDTH, height=_HEIGHT)
    placebos = (
        every.transform_filter("datum.kind === 'placebo'")
        .mark_line(color=SILVER, strokeWidth=1, opacity=0.55)
        .encode(x=x, y=y("placebo_gap:Q"), detail="placebo:N", tooltip=["units:N"])
    )
    zero = alt.Chart().mark_rule(color=INK, strokeWidth=0.8).encode(y=alt.datum(0))
    gap = periods.mark_line(color=BLUE, strokeWidth=2.2).encode(x="time:Q", y="gap:Q", tooltip=tooltip)
    bottom = alt.layer(placebos, zero, start, gap).properties(width=_WIDTH, height=_HEIGHT)
    return alt.vconcat(top, bottom, spacing=24)


SYNTHETIC_CONTROL = _chart()
