"""Distribution of the weights of each weighting: mirrored histograms by arm."""

from collections.abc import Mapping
from functools import cache

import altair as alt

from cqox.contract.messages import Message, joined
from cqox.estimators import Json
from cqox.figures._reading import at, listed, number_in
from cqox.figures._template import compiled, filled, finished, put
from cqox.figures._words import TREATED, UNTREATED, WEIGHTINGS
from cqox.figures.figure import Figure, Spec
from cqox.figures.style import BLUE, GREY, ORANGE, RULE

__all__ = ["weights", "weights_others", "weights_template"]

_WIDTH, _WIDE, _HEIGHT, _HIGH = 250, 480, 130, 240
_PANELS_IN_A_ROW = 3
_TIMES = "datum.value < 1 ? '1/' + format(1 / datum.value, ',~g') : format(datum.value, ',~g')"
"""Axis labels of powers of two as fractions: 1/64 is shorter than 0.015625."""

_ARMS = (("treated", TREATED, 1.0), ("control", UNTREATED, -1.0))
_WORDS = {"treated": Message("figures.arm-treated"), "control": Message("figures.arm-untreated")}
"""Names of the arms within a sentence."""


def weights(treatment: str, diagnostics: Mapping[str, Json], own: str | None = None) -> Figure | None:
    """Draw the mirrored histogram of one weighting; None if no rows were weighted.

    Args:
        treatment: title of the treatment.
        diagnostics: from `cqox.diagnostics.diagnose`.
        own: name of the weighting of the primary estimate. Without it, or where it was not computed, the first.
    """
    first, _ = _divided(diagnostics.get("weights"), own)
    return _drawn("weights", Message("figures.weights", treatment=treatment), first)


def weights_others(treatment: str, diagnostics: Mapping[str, Json], own: str | None = None) -> Figure | None:
    """Draw the weightings that `weights` leaves out, a panel for each; None if there are none."""
    _, others = _divided(diagnostics.get("weights"), own)
    return _drawn("weights_others", Message("figures.weights-others", treatment=treatment), others)


def _divided(found: Json, own: str | None) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the weighting of the first figure and the others; those without a bar are left out."""
    known = found if isinstance(found, dict) else {}
    drawn = {name: each for name, each in known.items() if any(listed(each, key, "bins") for key, _, _ in _ARMS)}
    first = own if own in drawn else next(iter(drawn), None)
    return (
        {name: each for name, each in drawn.items() if name == first},
        {name: each for name, each in drawn.items() if name != first},
    )


def _drawn(name: str, title: Message, found: dict[str, Json]) -> Figure | None:
    rows = [row for weighting in found for arm in _ARMS for row in _bars(found, weighting, *arm)]
    if not rows:
        return None
    said = _heaviest(found)
    alt_text = joined([Message("figures.weights-alt", weightings=len(found)), said])
    subtitle = [Message("figures.weights-sides"), said]
    spec = filled(weights_template(), rows, title=title, subtitle=subtitle, alt=alt_text)
    ends = [value for row in rows for key in ("from", "to") if (value := number_in(row, key)) is not None]
    put(spec, [min(*ends, 0.5), max(*ends, 2.0)], "spec", "layer", 0, "encoding", "x", "scale", "domain")
    if len(found) < 2:
        put(spec, _WIDE, "spec", "width")
        put(spec, _HIGH, "spec", "height")
    return finished(name, spec)


def _heaviest(found: dict[str, Json]) -> Message:
    weighting, arm, times = "", "", 0.0
    for name in found:
        for key, word in _WORDS.items():
            largest = number_in(found, name, key, "maximum")
            if largest is not None and largest > times:
                weighting, arm, times = WEIGHTINGS.get(name, name), word, largest
    return Message("figures.weights-largest", times=times, weighting=weighting, arm=arm)


def _bars(found: Json, name: str, key: str, arm: str, side: float) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for each in listed(found, name, key, "bins"):
        share = number_in(each, "share")
        if share is not None and isinstance(at(each, "lower"), float):
            base: dict[str, Json] = {"panel": WEIGHTINGS.get(name, name), "arm": arm, "share": side * share}
            rows.append(base | {"from": number_in(each, "lower"), "to": number_in(each, "upper")})
    return rows


@cache
def weights_template() -> Spec:
    """Compile the Vega-Lite template of weight distributions."""
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
    return compiled(
        alt.layer(bars, base, mean)
        .properties(width=_WIDTH, height=_HEIGHT)
        .facet(facet=panels, columns=_PANELS_IN_A_ROW, data=alt.NamedData("rows"))
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )
