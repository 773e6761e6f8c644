"""Dose-response curve: doubly robust means by dose with pointwise intervals and a uniform band."""

from collections.abc import Mapping, Sequence
from functools import cache

import altair as alt

from cqox.estimators import Estimate, Json, Plan
from cqox.figures._reading import listed, number_in
from cqox.figures._style import BLUE, GREY
from cqox.figures._template import compiled, filled, put
from cqox.figures._words import amount, plural, short
from cqox.figures.figure import Figure, Spec

__all__ = ["dose_curve", "dose_curve_template"]

_WIDTH, _HEIGHT = 520, 300


def dose_curve(plan: Plan, treatment: str, estimates: Sequence[Estimate]) -> Figure | None:
    """Draw the curve; None if it was not estimated, or if a mapped instrument implies a confounded dose.

    Args:
        plan: the contrast's plan.
        treatment: label of the dose in the title.
        estimates: results of the estimators.
    """
    found = next((estimate for estimate in estimates if estimate.name == "dose_curve"), None)
    points = listed(found.diagnostics, "curve") if found is not None else []
    if found is None or found.estimate is None or len(points) < 3 or plan.has("instrument"):
        return None
    y, percent = short(plan.label("y"), 32), f"{100 * (1 - plan.settings.alpha):.3g}%"
    rows: list[dict[str, Json]] = [{"kind": "dose", **row} for row in points if isinstance(row, dict)]
    quartiles = [number_in(found.diagnostics, key) for key in ("from_dose", "to_dose")]
    rows += [{"kind": "quartile", "dose": dose} for dose in quartiles]
    title = f"Mean {y} by {treatment}"
    slope = f"Mean slope between the quartiles of the dose (dashed): {amount(found.estimate)}"
    if found.ci_lower is not None and found.ci_upper is not None:
        slope += f" ({percent} interval {amount(found.ci_lower)} to {amount(found.ci_upper)})"
    subtitle = [f"{slope}.", f"Dark: {percent} intervals of each point. Light: a {percent} band for the whole curve."]
    values = _alt(points, y, treatment, slope)
    spec = filled(dose_curve_template(), rows, title=title, subtitle=subtitle, alt=values)
    doses = [dose for row in points if (dose := number_in(row, "dose")) is not None]
    put(spec, [doses[0], doses[-1]], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, treatment, "layer", 0, "encoding", "x", "axis", "title")
    put(spec, f"Mean of {y}", "layer", 0, "encoding", "y", "axis", "title")
    return Figure(name="dose_curve", title=title, alt=values, spec=spec)


def _alt(points: Sequence[Json | Mapping[str, Json]], y: str, treatment: str, slope: str) -> str:
    chosen = [points[place] for place in (0, len(points) // 2, -1)]
    values = ", ".join(
        f"{amount(number_in(each, 'estimate') or 0.0)} at {amount(number_in(each, 'dose') or 0.0)}" for each in chosen
    )
    return f"A curve of mean {y} at {plural(len(points), 'dose')} of {treatment}, with a band: {values}. {slope}."


@cache
def dose_curve_template() -> Spec:
    """Compile the Vega-Lite template of dose-response curves."""
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
    return compiled(alt.layer(band, interval, quartiles, line).properties(width=_WIDTH, height=_HEIGHT))
