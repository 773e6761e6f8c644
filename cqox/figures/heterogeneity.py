"""Heterogeneous effects: group effects by predicted effect, and the Qini curve."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount, p_text
from cqox.contract.labels import described
from cqox.contract.messages import Message, joined
from cqox.estimators import Json, Plan
from cqox.figures._reading import listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["heterogeneity"]


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
    title = Message("figures.heterogeneity", treatment=treatment)
    subtitle = _subtitle(found, average, 100 * (1 - plan.settings.alpha))
    spec = filled(template("heterogeneity"), rows, title=title, subtitle=subtitle, alt=_alt(groups, y, found))
    put(spec, Message("figures.effect-on", outcome=y), "hconcat", 0, "layer", 0, "encoding", "y", "axis", "title")
    return finished("heterogeneity", spec)


def _groups(groups: Sequence[Json]) -> list[dict[str, Json]]:
    rows: list[dict[str, Json]] = []
    for place, group in enumerate(groups):
        label = str(place + 1)
        if place == 0:
            label = Message("figures.heterogeneity-least", group=label)
        elif place == len(groups) - 1:
            label = Message("figures.heterogeneity-most", group=label)
        rows.append(
            {
                "kind": "group",
                "group": label,
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


def _subtitle(found: Json | Mapping[str, Json], average: float, level: float) -> list[Message]:
    learner = Message("figures.heterogeneity-learner", estimator=described(text_in(found, "estimator")))
    said = [Message("figures.heterogeneity-dashed", effect=amount(average))]
    p_value = number_in(found, "equal_groups", "p_value")
    if p_value is not None:
        said.append(Message("figures.heterogeneity-test", p=p_text(p_value)))
    return [learner, joined([*said, Message("figures.heterogeneity-intervals", level=level)])]


def _alt(groups: Sequence[Json], y: str, found: Json | Mapping[str, Json]) -> Message:
    values = [value for group in groups if (value := number_in(group, "estimate")) is not None]
    qini, error = number_in(found, "qini", "estimate"), number_in(found, "qini", "standard_error")
    said = [Message("figures.heterogeneity-alt", outcome=y, effects=[amount(value) for value in values])]
    if qini is not None and error is not None:
        said.append(Message("figures.heterogeneity-qini-and-error", area=amount(qini), error=amount(error)))
    elif qini is not None:
        said.append(Message("figures.heterogeneity-qini", area=amount(qini)))
    return joined(said)
