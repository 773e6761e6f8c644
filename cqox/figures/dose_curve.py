"""Dose-response curve: doubly robust means by dose with pointwise intervals and a uniform band."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount
from cqox.contract.messages import Message, joined
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._reading import listed, number_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["dose_curve"]


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
    y, level = short(plan.label("y"), 32), 100 * (1 - plan.settings.alpha)
    rows: list[dict[str, Json]] = [{"kind": "dose", **row} for row in points if isinstance(row, dict)]
    quartiles = [number_in(found.diagnostics, key) for key in ("from_dose", "to_dose")]
    rows += [{"kind": "quartile", "dose": dose} for dose in quartiles]
    title, slope = Message("figures.dose-curve", outcome=y, treatment=treatment), amount(found.estimate)
    said = Message("figures.dose-curve-slope", slope=slope)
    if found.ci_lower is not None and found.ci_upper is not None:
        low, high = amount(found.ci_lower), amount(found.ci_upper)
        said = Message("figures.dose-curve-slope-and-interval", slope=slope, level=level, low=low, high=high)
    subtitle = [said, Message("figures.dose-curve-key", level=level)]
    alt_text = joined([_alt(points, y, treatment), said])
    spec = filled(template("dose_curve"), rows, title=title, subtitle=subtitle, alt=alt_text)
    doses = [dose for row in points if (dose := number_in(row, "dose")) is not None]
    put(spec, [doses[0], doses[-1]], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, treatment, "layer", 0, "encoding", "x", "axis", "title")
    put(spec, Message("figures.mean-of", column=y), "layer", 0, "encoding", "y", "axis", "title")
    return finished("dose_curve", spec)


def _alt(points: Sequence[Json | Mapping[str, Json]], y: str, treatment: str) -> Message:
    values = []
    for place in (0, len(points) // 2, -1):
        mean, dose = (amount(number_in(points[place], key) or 0.0) for key in ("estimate", "dose"))
        values.append(Message("figures.dose-curve-value", mean=mean, dose=dose))
    return Message("figures.dose-curve-alt", outcome=y, doses=len(points), treatment=treatment, values=values)
