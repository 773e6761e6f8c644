"""Distribution of the weights of each weighting: mirrored histograms by arm."""

from collections.abc import Mapping

from cqox.contract.messages import Message, joined
from cqox.estimators import Json
from cqox.figures._reading import at, listed, number_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import TREATED, UNTREATED, WEIGHTINGS
from cqox.figures.figure import Figure

__all__ = ["weights", "weights_others"]

_WIDE, _HIGH = 480, 240
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
    spec = filled(template("weights"), rows, title=title, subtitle=subtitle, alt=alt_text)
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
