"""Heterogeneous effects: group effects by predicted effect, and the Qini curve."""

from collections.abc import Mapping, Sequence
from functools import cache

import altair as alt

from cqox.estimators import Json, Plan
from cqox.figures._reading import listed, number_in, text_in
from cqox.figures._style import BLUE, GREY, ORANGE, RULE
from cqox.figures._template import compiled, filled, put
from cqox.figures._words import amount, described, p_text, short
from cqox.figures.figure import Figure, Spec

__all__ = ["heterogeneity", "heterogeneity_template"]

_WIDTH, _HEIGHT = 300, 260


def heterogeneity(plan: Plan, treatment: str, diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the group effects and the Qini curve; None if no learner's predictions were validated.

    Args:
        plan: the contrast's plan, for the name of the outcome.
        treatment: label of the treatment in the title.
        diagnostics: from `cqox.diagnostics.diagnose`.
    """
    found = diagnostics.get("heterogeneity")
    groups, curve = listed(found, "groups"), listed(found, "curve")
    average = number_in(found, "average_effect")
    if len(groups) < 2 or not curve or average is None:
        return None
    mean: dict[str, Json] = {"kind": "average", "effect": average}
    rows = [*_groups(groups), *_curve(curve), mean]
    y = short(plan.label("y"), 32)
    title, values = f"Heterogeneous effects of {treatment}", _alt(groups, y, found)
    subtitle = _subtitle(found, average, f"{100 * (1 - plan.settings.alpha):.3g}%")
    spec = filled(heterogeneity_template(), rows, title=title, subtitle=subtitle, alt=values)
    put(spec, f"Effect on {y}", "hconcat", 0, "layer", 0, "encoding", "y", "axis", "title")
    return Figure(name="heterogeneity", title=title, alt=values, spec=spec)


def _groups(groups: Sequence[Json]) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for place, group in enumerate(groups):
        word = " (least)" if place == 0 else " (most)" if place == len(groups) - 1 else ""
        rows.append(
            {
                "kind": "group",
                "group": f"{place + 1}{word}",
                "effect": number_in(group, "estimate"),
                "lower": number_in(group, "ci_lower"),
                "upper": number_in(group, "ci_upper"),
                "predicted": number_in(group, "predicted"),
                "rows": number_in(group, "rows"),
            }
        )
    return rows


def _curve(curve: Sequence[Json]) -> list[dict[str, Json]]:
    """Return the Qini curve: gain per treated row times the share treated, from 0 to 1."""
    rows: list[dict[str, Json]] = [{"kind": "curve", "share": 0.0, "gain": 0.0, "lower": 0.0, "upper": 0.0}]
    for point in curve:
        share = number_in(point, "share")
        if share is not None:
            ends = {key: number_in(point, key) for key in ("gain", "lower", "upper")}
            rows.append(
                {"kind": "curve", "share": share, **{k: None if v is None else share * v for k, v in ends.items()}}
            )
    return [*rows, {"kind": "curve", "share": 1.0, "gain": 0.0, "lower": 0.0, "upper": 0.0}]


def _subtitle(found: Json | Mapping[str, Json], average: float, percent: str) -> list[str]:
    learner = f"Predicted by: {described(text_in(found, 'estimator'))}; evaluated out of sample."
    said = f"Dashed: average effect, {amount(average)}."
    p_value = number_in(found, "equal_groups", "p_value")
    if p_value is not None:
        said += f" Test of equal group effects: {p_text(p_value)}."
    return [learner, f"{said} Bars and band: {percent} intervals."]


def _alt(groups: Sequence[Json], y: str, found: Json | Mapping[str, Json]) -> str:
    values = [value for group in groups if (value := number_in(group, "estimate")) is not None]
    qini, error = number_in(found, "qini", "estimate"), number_in(found, "qini", "standard_error")
    shown = ", ".join(amount(value) for value in values)
    area = "" if qini is None else f" The area under the Qini curve is {amount(qini)}"
    if area:
        area += "." if error is None else f", with a standard error of {amount(error)}."
    return f"Effects on {y} in groups by the predicted effect, from the least to the most: {shown}.{area}"


@cache
def heterogeneity_template() -> Spec:
    """Compile the Vega-Lite template of heterogeneous effects."""
    every = alt.Chart()
    groups = every.transform_filter("datum.kind === 'group'")
    x = alt.X("group:N", sort=None, axis=alt.Axis(title="Fifths by predicted effect", labelAngle=0, grid=False))
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
        axis=alt.Axis(title="Share treated, largest predicted effect first", format="~%", tickCount=6, grid=False),
    )
    gain = alt.Y("lower:Q", axis=alt.Axis(title="Gain for each row over treating at random", tickCount=6))
    band = curve.mark_area(color=ORANGE, opacity=0.15).encode(x=share, y=gain, y2="upper:Q")
    line = curve.mark_line(color=ORANGE, strokeWidth=2, strokeJoin="round").encode(
        x="share:Q", y="gain:Q", tooltip=["share:Q", "gain:Q", "lower:Q", "upper:Q"]
    )
    base = alt.Chart().transform_aggregate(rows="count()").mark_rule(color=RULE).encode(y=alt.YDatum(0))
    left = alt.layer(point, bar, average).properties(width=_WIDTH, height=_HEIGHT)
    right = alt.layer(band, base, line).properties(width=_WIDTH, height=_HEIGHT)
    return compiled(alt.hconcat(left, right, spacing=36))
