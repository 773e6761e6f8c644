"""Love plot: absolute standardised mean differences of the covariates before and after weighting."""

from collections.abc import Mapping, Sequence

from cqox.contract.messages import Message, joined
from cqox.estimators import Json
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import AFTER_WEIGHTING, BEFORE_WEIGHTING, WEIGHTINGS, short_names
from cqox.figures.figure import Figure

__all__ = ["love_plot", "love_plot_others"]

_WIDE, _STEP = 420, 20
_MOST_COVARIATES, _MOST_IN_A_PANEL = 20, 10
"""Most covariates of one weighting, and of each of several: a figure fits on a slide."""

_MOST_WORDS, _MOST_LETTERS = 8, 38
"""Covariates that the description names, and letters of a name on the axis, whose labels have 240 pixels."""


def love_plot(treatment: str, diagnostics: Mapping[str, Json], own: str | None = None) -> Figure | None:
    """Draw the balance under one weighting; None if no covariate was compared.

    Args:
        treatment: title of the treatment.
        diagnostics: from `cqox.diagnostics.diagnose`.
        own: name of the weighting of the primary estimate. Without it, or where it was not computed, the first.
    """
    found = diagnostics.get("balance")
    first, _ = _divided(found, own)
    covariates = listed(found, "covariates")
    title = Message("figures.love-plot", treatment=treatment, covariates=len(covariates))
    return _drawn("love_plot", title, found, first, most=_MOST_COVARIATES)


def love_plot_others(treatment: str, diagnostics: Mapping[str, Json], own: str | None = None) -> Figure | None:
    """Draw the balance under the weightings that `love_plot` leaves out, a panel for each; None if there are none."""
    found = diagnostics.get("balance")
    _, others = _divided(found, own)
    if not others:
        return None
    title = Message("figures.love-plot-others", treatment=treatment)
    return _drawn("love_plot_others", title, found, others, most=_MOST_IN_A_PANEL)


def _divided(found: Json, own: str | None) -> tuple[list[str], list[str]]:
    """Return the weighting of the first plot, none without weights, and the others."""
    targets = [name for name in listed(found, "weightings") if isinstance(name, str)]
    first = [own] if own in targets else targets[:1]
    return first, [name for name in targets if name not in first]


def _drawn(name: str, title: Message, found: Json, targets: Sequence[str], *, most: int) -> Figure | None:
    covariates = listed(found, "covariates")
    shown = _shown(covariates, targets, most)
    if not shown:
        return None
    rows: list[dict[str, Json]] = []
    labels = short_names([text_in(each, "name") for each in shown], _MOST_LETTERS)
    for target in targets or ["ATE"]:
        panel = WEIGHTINGS.get(target, target) if targets else Message("figures.not-weighted")
        for place, covariate in enumerate(shown):
            rows += _points(covariate, labels[place], target, panel, place, weighted=bool(targets))
    said = _said(found, targets)
    cut = [Message("figures.love-plot-cut", shown=len(shown))] if len(shown) < len(covariates) else []
    alt_text = joined([Message("figures.love-plot-alt"), said, *cut, _listed(shown, targets)])
    brief = said if len(targets) < 3 else _spread(found, targets)
    subtitle = joined([brief, *cut])
    spec = filled(template("love_plot"), rows, title=title, subtitle=subtitle, alt=alt_text)
    widest = max((value for row in rows if (value := number_in(row, "value")) is not None), default=0.0)
    put(spec, [0, max(1.06 * widest, 0.2)], "spec", "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, _STEP * len(shown), "spec", "height")
    if len(targets) < 2:
        put(spec, _WIDE, "spec", "width")
    return finished(name, spec)


def _listed(shown: Sequence[Json], targets: Sequence[str]) -> Message:
    """Describe the least balanced covariates in words."""
    first = targets[0] if targets else "ATE"
    said = []
    for each in shown[:_MOST_WORDS]:
        before, after = number_in(each, f"before_{first}"), number_in(each, f"after_{first}")
        name, size = text_in(each, "name"), abs(before or 0.0)
        if after is None:
            said.append(Message("figures.love-plot-covariate", name=name, before=size))
        else:
            said.append(Message("figures.love-plot-covariate-weighted", name=name, before=size, after=abs(after)))
    return Message("figures.love-plot-covariates", weighting=first, covariates=said)


def _shown(covariates: Sequence[Json], targets: Sequence[str], most: int) -> list[Json]:
    """Select the least balanced covariates before or after, ordered by the difference before."""
    first = targets[0] if targets else "ATE"
    by_name = {text_in(each, "name"): each for each in reversed(covariates)}
    known = [each for each in reversed(by_name.values()) if number_in(each, f"before_{first}") is not None]

    def worst(each: Json) -> float:
        keys = [f"{side}_{target}" for target in (targets or ["ATE"]) for side in ("before", "after")]
        return max(abs(number_in(each, key) or 0.0) for key in keys)

    kept = sorted(known, key=worst, reverse=True)[:most]
    return sorted(kept, key=lambda each: abs(number_in(each, f"before_{first}") or 0.0), reverse=True)


def _points(
    covariate: Json, label: str, target: str, panel: str, place: int, *, weighted: bool
) -> list[dict[str, Json]]:
    before = number_in(covariate, f"before_{target}")
    after = number_in(covariate, f"after_{target}") if weighted else None
    base: dict[str, Json] = {"covariate": label, "order": place, "panel": panel}
    rows: list[dict[str, Json]] = []
    if before is not None and after is not None:
        rows.append({**base, "kind": "change", "from": abs(before), "to": abs(after)})
    for when, value in ((BEFORE_WEIGHTING, before), (AFTER_WEIGHTING, after)):
        if value is not None:
            point: dict[str, Json] = {"kind": "point", "when": when, "value": abs(value), "signed": value}
            rows.append({**base, "name": text_in(covariate, "name"), **point})
    return rows


def _said(found: Json | Mapping[str, Json], targets: Sequence[str]) -> Message:
    parts = []
    for target in targets or ["ATE"]:
        before = number_in(at(found, "largest", f"before_{target}"), "value")
        after = number_in(at(found, "largest", f"after_{target}"), "value")
        if before is None:
            continue
        change = Message("figures.love-plot-before", before=before)
        if after is not None:
            change = Message("figures.love-plot-before-and-after", before=before, after=after)
        if len(targets) > 1:
            change = Message("figures.love-plot-weighting", change=change, weighting=target)
        parts.append(change)
    if not parts:
        return Message("figures.love-plot-no-difference")
    return Message("figures.love-plot-largest", differences=parts)


def _spread(found: Json | Mapping[str, Json], targets: Sequence[str]) -> Message:
    """Summarise many panels: the largest difference before and the range of the largest differences after."""
    sides = {
        side: [number_in(at(found, "largest", f"{side}_{target}"), "value") for target in targets]
        for side in ("before", "after")
    }
    before, after = ([value for value in sides[side] if value is not None] for side in ("before", "after"))
    if not before or not after:
        return _said(found, targets)
    return Message("figures.love-plot-largest-by-panel", before=max(before), least=min(after), most=max(after))
