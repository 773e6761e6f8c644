"""Density of the score on both sides of a cutoff; a jump at the cutoff is evidence of manipulation."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount, p_text
from cqox.contract.messages import Message, joined
from cqox.estimators import Json, Plan
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["score_density"]


def score_density(plan: Plan, diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the histogram with the local density on each side; None if manipulation was not tested.

    Args:
        plan: the contrast's plan.
        diagnostics: from `cqox.diagnostics.diagnose`.
    """
    found = at(diagnostics, "discontinuity", "manipulation")
    bars, curves = listed(found, "bars"), listed(found, "curves")
    p, cutoff = number_in(found, "p_value"), plan.data.cutoff
    if not bars or not curves or cutoff is None:
        return None
    rows = [_row("bar", each, ("from", "to", "density", "rows")) for each in bars]
    rows += [_row("curve", each, ("score", "density")) for each in curves]
    rows.append({"kind": "cutoff", "score": cutoff})
    x = short(plan.label("running"), 32)
    title = Message("figures.score-density", score=x, cutoff=cutoff)
    below, above = (amount(number_in(found, key) or 0.0) for key in ("density_below", "density_above"))
    if p is None:
        said = Message("figures.score-density-values", below=below, above=above)
    else:
        said = Message("figures.score-density-values-and-test", below=below, above=above, p=p_text(p))
    subtitle = [Message("figures.score-density-key"), said]
    alt_text = joined([Message("figures.score-density-alt", score=x, cutoff=cutoff), said])
    spec = filled(template("score_density"), rows, title=title, subtitle=subtitle, alt=alt_text)
    ends = [value for row in rows for key in ("from", "to", "score") if (value := number_in(row, key)) is not None]
    put(spec, [min(ends), max(ends)], "layer", 0, "encoding", "x", "scale", "domain")
    put(spec, x, "layer", 0, "encoding", "x", "axis", "title")
    return finished("score_density", spec)


def _row(kind: str, each: Json, keys: Sequence[str]) -> dict[str, Json]:
    return {"kind": kind, "side": text_in(each, "side"), **{key: number_in(each, key) for key in keys}}
