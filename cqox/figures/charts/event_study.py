"""Chart of event studies."""

import altair as alt

from cqox.contract.messages import Message
from cqox.figures.charts.chart import Chart
from cqox.figures.event_study import BAND, INTERVAL, WIDTH
from cqox.figures.style import BLUE, GREY, PALE

__all__ = ["EVENT_STUDY"]

_HEIGHT = 300


def _chart() -> Chart:
    every = alt.Chart()
    effects = every.transform_filter("datum.kind === 'effect'")
    colour = alt.Color("after:N", scale=alt.Scale(domain=[False, True], range=[GREY, BLUE]), legend=None)
    tooltip = ["event:Q", "estimate:Q", "standard_error:Q", "lower:Q", "upper:Q", "band_lower:Q", "band_upper:Q"]
    band = effects.mark_rule(strokeWidth=BAND, opacity=0.8).encode(
        x=alt.X(
            "event:Q",
            scale=alt.Scale(domain=[0, 1], nice=False, zero=False),
            axis=alt.Axis(title=Message("figures.event-study-time"), format="d", tickMinStep=1, grid=False),
        ),
        y=alt.Y(
            "band_from:Q",
            scale=alt.Scale(domain=[0, 1], nice=False, zero=False),
            axis=alt.Axis(title="", tickCount=6, gridColor=PALE),
        ),
        y2="band_to:Q",
        color=colour,
    )
    interval = effects.mark_rule(strokeWidth=INTERVAL).encode(x="event:Q", y="from:Q", y2="to:Q", color=colour)
    none = every.transform_aggregate(rows="count()").mark_rule(color=GREY, strokeWidth=1).encode(y=alt.YDatum(0))
    start = (
        every.transform_filter("datum.kind === 'start'")
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x="event:Q")
    )
    before, after = (
        effects.transform_filter(test)
        .mark_point(size=52, opacity=1, strokeWidth=1.8, **look)
        .encode(x="event:Q", y="estimate:Q", color="after:N", tooltip=tooltip)
        for test, look in (("!datum.after", {"filled": False, "fill": "white"}), ("datum.after", {"filled": True}))
    )
    return alt.layer(band, interval, none, start, before, after).properties(width=WIDTH, height=_HEIGHT)


EVENT_STUDY = _chart()
