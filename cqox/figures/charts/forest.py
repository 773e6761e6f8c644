"""Chart of forest plots."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.forest import STEP
from cqox.figures.style import BLUE, GREY, INK, ORANGE, PALE, RULE

__all__ = ["FOREST"]

_WIDTH, _NAMES, _VALUES = 380, 236, 62
"""Widths of the plot, of the label column and of the estimate column, in pixels."""


def _chart() -> Chart:
    rows = alt.Chart().encode(y=alt.Y("row:O", axis=None))
    only = rows.transform_filter("datum.kind === 'estimate'")
    roles = alt.Scale(domain=["primary", "other"], range=[ORANGE, BLUE])
    colour = alt.Color("role:N", scale=roles, legend=None)
    tooltip = ["label:N", "value:N", "interval:N", "standard_error:Q", "se_method:N", "n:Q", "status:N"]
    interval = only.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "from:Q",
            scale=alt.Scale(domain=[0, 1], nice=False, zero=False),
            axis=alt.Axis(title="", tickCount=6, gridColor=PALE),
        ),
        x2="to:Q",
        color=colour,
        tooltip=tooltip,
    )
    # One rule per row with a whole number of dashes, so that no rule crosses a heading.
    references = (
        rows.transform_filter("isValid(datum.reference)")
        .mark_rule(color=GREY, strokeDash=[STEP / 8, STEP / 8], yOffset=-STEP / 2, y2Offset=STEP / 2)
        .encode(x="reference:Q", y2="row:O")
    )
    points = only.mark_point(size=66, filled=True, opacity=1, strokeWidth=2).encode(
        x="estimate:Q",
        stroke=alt.Stroke("role:N", scale=roles, legend=None),
        fill=alt.condition(
            "datum.status === 'warning'", alt.value("white"), alt.Fill("role:N", scale=roles, legend=None)
        ),
        tooltip=tooltip,
    )
    cut = [
        only.mark_point(shape=shape, size=50, filled=True, opacity=1).encode(x=f"{field}:Q", color=colour)
        for field, shape in (("cut_low", "triangle-left"), ("cut_high", "triangle-right"))
    ]
    texts = [
        only.mark_text(align="right", dx=-14, color=INK, limit=_NAMES - 20).encode(x=alt.value(0), text="label:N"),
        only.mark_text(align="right", color=INK).encode(x=alt.value(_WIDTH + _VALUES), text="value:N"),
        only.mark_text(align="left", color=GREY).encode(x=alt.value(_WIDTH + _VALUES + 10), text="interval:N"),
    ]
    headings = rows.transform_filter("datum.kind === 'heading'")
    names = headings.mark_text(align="left", dx=-_NAMES, dy=2, fontWeight="bold", color=INK).encode(
        x=alt.value(0), text="label:N"
    )
    lines = headings.mark_rect(height=1, color=RULE, yOffset=STEP / 2).encode(
        x=alt.value(-_NAMES), x2=alt.value(_WIDTH)
    )
    return alt.layer(interval, references, lines, points, *cut, *texts, names).properties(width=_WIDTH)


FOREST = _chart()
