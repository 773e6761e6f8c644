"""Forest plot: every estimate with its interval, grouped by estimand."""

from collections.abc import Sequence

import numpy as np

from cqox.contract.amounts import amount, decimals_for, fixed
from cqox.contract.labels import ESTIMANDS, NO_EFFECTS, POLICY_VALUE, described, estimand_name
from cqox.contract.messages import Message, joined
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._reading import number_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["STEP", "forest"]

STEP = 22
"""Height of a row, in pixels."""

_MOST_ROWS, _MOST_IN_WORDS = 200, 12
_REACH = 3.0
"""Axis range beyond the estimates, in median half-widths; longer intervals are truncated."""


def forest(plan: Plan, treatment: str, estimates: Sequence[Estimate], primary: str | None) -> Figure | None:
    """Draw the forest plot; None if no estimate has a number."""
    effects = [estimate for estimate in estimates if estimate.estimand not in NO_EFFECTS]
    known = [estimate for estimate in effects if estimate.estimate is not None][:_MOST_ROWS]
    if not known:
        return None
    low, high = _domain(known)
    rows = _rows(known, low, high, primary)
    level = 100 * (1 - plan.settings.alpha)
    effect, axis = _effect(plan, treatment, known)
    alt_text = _alt(effect, known, level, primary)
    subtitle = _subtitle(rows, known, level)
    spec = filled(template("forest"), rows, title=effect, subtitle=subtitle, alt=alt_text)
    spec["height"] = STEP * len(rows)
    put(spec, [low, high], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, axis, "layer", 0, "encoding", "x", "axis", "title")
    return finished("forest", spec)


def _effect(plan: Plan, treatment: str, known: Sequence[Estimate]) -> tuple[Message, Message]:
    """Return the title and the title of the axis."""
    y = short(plan.label("y"), 32)
    if all(estimate.estimand == POLICY_VALUE for estimate in known):
        y = short(plan.label("reward" if "reward" in plan.data.names else "y"), 32)
        axis = Message("figures.mean-for-each-decision", outcome=y)
        return Message("figures.policy-value", outcome=y), axis
    axis = Message("figures.effect-in-units", outcome=y)
    if plan.data.treatment_kind == "continuous":
        axis = Message("figures.effect-in-units-per-unit", outcome=y, treatment=treatment)
    return Message("figures.effect", treatment=treatment, outcome=y), axis


def _subtitle(rows: Sequence[dict[str, Json]], known: Sequence[Estimate], level: float) -> list[Message]:
    keys = []
    if any(row.get("role") == "primary" for row in rows):
        keys.append(Message("figures.forest-orange"))
    if any(row.get("status") == "warning" for row in rows):
        keys.append(Message("figures.forest-hollow"))
    if any(row.get("cut_low") is not None or row.get("cut_high") is not None for row in rows):
        keys.append(Message("figures.forest-arrows"))
    values = (_reference(each) for each in known if each.estimand == POLICY_VALUE)
    logged = next((value for value in values if value is not None), None)
    said = [] if logged is None else [Message("figures.forest-logged-policy", value=amount(logged))]
    return [_counted(known, level), *said, *([joined(keys)] if keys else [])]


def _counted(known: Sequence[Estimate], level: float) -> Message:
    quantities = len({estimate.estimand for estimate in known})
    if len(known) == 1:
        return Message("figures.forest-one-estimate", level=level)
    if quantities == 1:
        return Message("figures.forest-estimates-of-one-quantity", estimates=len(known), level=level)
    return Message("figures.forest-estimates", estimates=len(known), quantities=quantities, level=level)


def _reference(estimate: Estimate) -> float | None:
    """Return the reference value of an estimate: no effect, or the value of the logged policy if known."""
    return number_in(estimate.diagnostics, "logged_value") if estimate.estimand == POLICY_VALUE else 0.0


def _domain(known: Sequence[Estimate]) -> tuple[float, float]:
    """Return the axis range: every reference and estimate, and intervals unless out of proportion."""
    references = [value for value in map(_reference, known) if value is not None]
    points = [*references, *(estimate.estimate or 0.0 for estimate in known)]
    halves = [
        (estimate.ci_upper - estimate.ci_lower) / 2
        for estimate in known
        if estimate.ci_lower is not None and estimate.ci_upper is not None
    ]
    typical = float(np.median(halves)) if halves else 0.0
    reach = _REACH * max(typical, (max(points) - min(points)) / 6)
    floor, ceiling = min(points) - reach, max(points) + reach
    ends = [
        min(max(end, floor), ceiling)
        for estimate in known
        for end in (estimate.ci_lower, estimate.ci_upper)
        if end is not None
    ]
    low, high = min([*points, *ends]), max([*points, *ends])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _rows(known: Sequence[Estimate], low: float, high: float, primary: str | None) -> list[dict[str, Json]]:
    """Return a row per heading and estimate, top to bottom; the largest estimate first within its group."""
    order = {name: place for place, name in enumerate(ESTIMANDS)}
    estimands = sorted({estimate.estimand for estimate in known}, key=lambda name: (order.get(name, len(order)), name))
    decimals = decimals_for(high - low)
    rows: list[dict[str, Json]] = []
    for estimand in estimands:
        rows.append({"row": len(rows), "kind": "heading", "label": ESTIMANDS.get(estimand, estimand)})
        group = [estimate for estimate in known if estimate.estimand == estimand]
        for estimate in sorted(group, key=lambda item: -(item.estimate or 0.0)):
            role = "primary" if estimate.name == primary else "other"
            rows.append({"row": len(rows), "role": role, **_row(estimate, low, high, decimals)})
    return rows


def _row(estimate: Estimate, low: float, high: float, decimals: int) -> dict[str, Json]:
    value, lower, upper = estimate.estimate or 0.0, estimate.ci_lower, estimate.ci_upper
    row: dict[str, Json] = {
        "kind": "estimate",
        "name": estimate.name,
        "estimand": estimate.estimand,
        "label": described(estimate.name),
        "estimate": value,
        "reference": _reference(estimate),
        "standard_error": estimate.standard_error,
        "se_method": estimate.se_method,
        "lower": lower,
        "upper": upper,
        "n": estimate.n,
        "status": estimate.status,
        "value": fixed(value, decimals),
        "interval": Message("figures.no-interval"),
    }
    if lower is None and upper is None:
        return row
    ends = ("−∞" if lower is None else fixed(lower, decimals)), ("∞" if upper is None else fixed(upper, decimals))
    return row | {
        "interval": f"[{ends[0]}, {ends[1]}]",
        "from": low if lower is None else max(low, lower),
        "to": high if upper is None else min(high, upper),
        "cut_low": low if lower is None or lower < low else None,
        "cut_high": high if upper is None or upper > high else None,
    }


def _alt(effect: Message, known: Sequence[Estimate], level: float, primary: str | None) -> Message:
    ordered = sorted(known, key=lambda estimate: estimate.name != primary)
    decimals = decimals_for(max(abs(estimate.estimate or 0.0) for estimate in known))
    said = []
    for estimate in ordered[:_MOST_IN_WORDS]:
        value = fixed(estimate.estimate or 0.0, decimals)
        if estimate.ci_lower is not None and estimate.ci_upper is not None:
            value += f" [{fixed(estimate.ci_lower, decimals)}, {fixed(estimate.ci_upper, decimals)}]"
        label, estimand = described(estimate.name), estimand_name(estimate.estimand)
        if estimate.name == primary:
            said.append(Message("figures.forest-primary-value", estimator=label, estimand=estimand, value=value))
        else:
            said.append(Message("figures.forest-value", estimator=label, estimand=estimand, value=value))
    more = len(known) - _MOST_IN_WORDS
    if more > 0:
        return Message("figures.forest-alt-of-many", effect=effect, level=level, values=said, more=more)
    return Message("figures.forest-alt", effect=effect, level=level, values=said)
