"""Every estimate with its interval, grouped by what it estimates."""

from collections.abc import Sequence
from functools import cache

import altair as alt
import numpy as np

from cqox.estimators import Estimate, Json, Plan
from cqox.figures._style import BLUE, GREY, INK, RULE
from cqox.figures._template import compiled, filled, put
from cqox.figures._words import ESTIMANDS, LABELS, amount, short
from cqox.figures.figure import Figure, Spec

__all__ = ["forest"]

_WIDTH, _STEP = 380, 22
_MOST_ROWS = 200
_REACH = 4.0
"""Intervals are cut where they reach this many typical half-widths beyond the estimates."""


def forest(plan: Plan, estimates: Sequence[Estimate]) -> Figure | None:
    """The forest plot; None where no estimate has a number."""
    known = [estimate for estimate in estimates if estimate.estimate is not None][:_MOST_ROWS]
    if not known:
        return None
    low, high = _domain(known)
    rows = _rows(known, low, high)
    level = f"{1 - plan.settings.alpha:.4g}".rstrip("0").rstrip(".")
    percent = f"{float(level):.0%}"
    effect = f"Effect of {short(plan.label('treatment'))} on {short(plan.label('y'))}"
    subtitle = [f"{_count(known)} with their {percent} intervals, from the same rows."]
    if any(estimate.status == "warning" for estimate in known):
        subtitle.append("Hollow: computed with a warning.")
    unit = "" if plan.data.treatment_kind == "binary" else f" per unit of {short(plan.label('treatment'))}"
    alt_text = _alt(effect, known, percent)
    spec = filled(_template(), rows, title=effect, subtitle=" ".join(subtitle), alt=alt_text)
    spec["height"] = _STEP * len(rows)
    put(spec, [low, high], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, f"Effect in units of {short(plan.label('y'))}{unit}", "layer", 0, "encoding", "x", "axis", "title")
    return Figure(name="forest", title=effect, alt=alt_text, spec=spec)


def _count(known: Sequence[Estimate]) -> str:
    estimands = len({estimate.estimand for estimate in known})
    of = "quantity" if estimands == 1 else "quantities"
    return f"{len(known)} estimate{'' if len(known) == 1 else 's'} of {estimands} {of}"


def _domain(known: Sequence[Estimate]) -> tuple[float, float]:
    """The range shown: no effect, every estimate, and intervals as far as they are not out of proportion."""
    points = [0.0, *(estimate.estimate or 0.0 for estimate in known)]
    halves = [
        (estimate.ci_upper - estimate.ci_lower) / 2
        for estimate in known
        if estimate.ci_lower is not None and estimate.ci_upper is not None
    ]
    typical = float(np.median(halves)) if halves else 0.0
    reach = _REACH * max(typical, (max(points) - min(points)) / _REACH)
    floor, ceiling = min(points) - reach, max(points) + reach
    ends = [
        min(max(end, floor), ceiling)
        for estimate in known
        for end in (estimate.ci_lower, estimate.ci_upper)
        if end is not None
    ]
    low, high = min([*points, *ends]), max([*points, *ends])
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _rows(known: Sequence[Estimate], low: float, high: float) -> list[dict[str, Json]]:
    order = {name: place for place, name in enumerate(ESTIMANDS)}
    estimands = sorted({estimate.estimand for estimate in known}, key=lambda name: (order.get(name, len(order)), name))
    rows: list[dict[str, Json]] = []
    for estimand in estimands:
        rows.append({"row": len(rows), "kind": "header", "label": ESTIMANDS.get(estimand, estimand)})
        group = [estimate for estimate in known if estimate.estimand == estimand]
        for estimate in sorted(group, key=lambda item: -(item.estimate or 0.0)):
            rows.append({"row": len(rows), **_row(estimate, low, high)})
    return rows


def _row(estimate: Estimate, low: float, high: float) -> dict[str, Json]:
    value = estimate.estimate or 0.0
    ends = estimate.ci_lower, estimate.ci_upper
    unknown = ends == (None, None)
    shown = "no interval" if unknown else ", ".join("∞" if end is None else amount(end) for end in ends)
    row: dict[str, Json] = {
        "kind": "estimate",
        "name": estimate.name,
        "label": LABELS.get(estimate.name, estimate.name),
        "estimate": value,
        "lower": ends[0],
        "upper": ends[1],
        "from": None if unknown else max(low, ends[0] if ends[0] is not None else low),
        "to": None if unknown else min(high, ends[1] if ends[1] is not None else high),
        "status": estimate.status,
        "numbers": f"{amount(value)}   [{shown}]" if not unknown else f"{amount(value)}   ({shown})",
    }
    if not unknown:
        row["cut_low"] = low if ends[0] is None or ends[0] < low else None
        row["cut_high"] = high if ends[1] is None or ends[1] > high else None
    return row


def _alt(effect: str, known: Sequence[Estimate], percent: str) -> str:
    said = [
        f"{LABELS.get(estimate.name, estimate.name)} ({estimate.estimand}) {amount(estimate.estimate or 0.0)}"
        for estimate in known[:12]
    ]
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"Forest plot. {effect}: {'; '.join(said)}{more}. Lines are {percent} intervals."


@cache
def _template() -> Spec:
    rows = alt.Chart().encode(y=alt.Y("row:O", axis=None))
    only = rows.transform_filter("datum.kind === 'estimate'")
    x = alt.X("from:Q", scale=alt.Scale(domain=[0, 1], nice=False, zero=False), axis=alt.Axis(title="", tickCount=6))
    interval = only.mark_rule(strokeWidth=1.8, color=BLUE).encode(x=x, x2="to:Q", tooltip=["name:N", "numbers:N"])
    none = alt.Chart().mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.XDatum(0))
    points = only.mark_point(size=62, filled=True, opacity=1, stroke=BLUE, strokeWidth=1.8).encode(
        x="estimate:Q",
        fill=alt.Fill("status:N", scale=alt.Scale(domain=["ok", "warning"], range=[BLUE, "white"]), legend=None),
        tooltip=["name:N", "numbers:N", "status:N"],
    )
    cut = [
        only.mark_point(shape=shape, size=46, filled=True, color=BLUE, opacity=1).encode(x=f"{field}:Q")
        for field, shape in (("cut_low", "triangle-left"), ("cut_high", "triangle-right"))
    ]
    labels = only.mark_text(align="right", dx=-14, color=INK, limit=250).encode(x=alt.value(0), text="label:N")
    numbers = only.mark_text(align="left", dx=14, color=GREY).encode(x=alt.value(_WIDTH), text="numbers:N")
    headers = rows.transform_filter("datum.kind === 'header'")
    titles = headers.mark_text(align="left", dx=-240, fontWeight="bold", color=INK).encode(
        x=alt.value(0), text="label:N"
    )
    lines = headers.mark_rule(color=RULE).encode(
        x=alt.value(-240), x2=alt.value(_WIDTH), y=alt.Y("row:O", axis=None, bandPosition=1)
    )
    return compiled(alt.layer(interval, none, lines, points, *cut, labels, numbers, titles).properties(width=_WIDTH))
