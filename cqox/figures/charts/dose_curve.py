"""Chart of dose-response curves."""

import altair as alt

from cqox.figures.charts.chart import Chart
from cqox.figures.style import BLUE, GREY

__all__ = ["DOSE_CURVE"]

_WIDTH, _HEIGHT = 520, 300


def _chart() -> Chart:
    every = alt.Chart()
    points = every.transform_filter("datum.kind === 'dose'")
    x = alt.X("dose:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", grid=False))
    y = alt.Y("band_lower:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="", tickCount=6))
    band = points.mark_area(color=BLUE, opacity=0.13).encode(x=x, y=y, y2="band_upper:Q")
    interval = points.mark_area(color=BLUE, opacity=0.22).encode(x="dose:Q", y="lower:Q", y2="upper:Q")
    line = points.mark_line(color=BLUE, strokeWidth=2.4).encode(
        x="dose:Q", y="estimate:Q", tooltip=["dose:Q", "estimate:Q", "lower:Q", "upper:Q", "effective_rows:Q"]
    )
    quartiles = (
        every.transform_filter("datum.kind === 'quartile'")
        .mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(x="dose:Q")
    )
    return alt.layer(band, interval, quartiles, line).properties(width=_WIDTH, height=_HEIGHT)


DOSE_CURVE = _chart()
