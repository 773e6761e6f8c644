"""Regression discontinuity plot: binned means and the fits on both sides of the cutoff."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount, p_text
from cqox.contract.messages import Message, joined
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._reading import at, listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["discontinuity"]

_THIN = 0.25
"""Share of even bins with a single row above which quantile bins are used."""


def discontinuity(plan: Plan, estimates: Sequence[Estimate], diagnostics: Mapping[str, Json]) -> Figure | None:
    """Draw the binned means with the fits of both sides; None if no discontinuity was estimated.

    Args:
        plan: the contrast's plan.
        estimates: results of the estimators.
        diagnostics: from `cqox.diagnostics.diagnose`.
    """
    found = at(diagnostics, "discontinuity", "means")
    cutoff, bandwidth = number_in(found, "cutoff"), number_in(found, "bandwidth")
    name = text_in(diagnostics, "discontinuity", "of")
    estimate = next((each for each in estimates if each.name == name), None)
    bins, how = _chosen(found)
    if not bins or cutoff is None or bandwidth is None or estimate is None:
        return None
    points = [_point(each, cutoff) for each in bins]
    rows: list[dict[str, Json]] = [
        *points,
        *_line(found),
        {"kind": "within", "from": cutoff - bandwidth, "to": cutoff + bandwidth},
    ]
    rows.append({"kind": "cutoff", "score": cutoff})
    x, y = short(plan.label("running"), 32), short(plan.label("y"), 32)
    title = Message("figures.discontinuity", outcome=y, cutoff=cutoff, score=x)
    said = _said(diagnostics, estimate, plan.settings.alpha)
    axis, means = Message("figures.mean-of", column=y), Message("figures.discontinuity-points", bins=how)
    described = Message("figures.discontinuity-alt", outcome=y, score=x, bins=len(points))
    if at(found, "net_of_covariates") is True:
        axis, means = Message("figures.mean-net-of", column=y), Message("figures.discontinuity-net-points", bins=how)
        described = Message("figures.discontinuity-net-alt", outcome=y, score=x, bins=len(points))
    subtitle = [joined([means, _fits(plan, bandwidth)]), said]
    alt_text = joined([described, said])
    spec = filled(template("discontinuity"), rows, title=title, subtitle=subtitle, alt=alt_text)
    scores = [value for row in points if (value := number_in(row, "score")) is not None]
    margin = 0.02 * (max(scores) - min(scores)) or bandwidth
    put(spec, [min(scores) - margin, max(scores) + margin], "layer", 1, "encoding", "x", "scale", "domain")
    put(spec, x, "layer", 1, "encoding", "x", "axis", "title")
    put(spec, _heights(rows), "layer", 1, "encoding", "y", "scale", "domain")
    put(spec, axis, "layer", 1, "encoding", "y", "axis", "title")
    return finished("discontinuity", spec)


def _fits(plan: Plan, bandwidth: float) -> Message:
    order = plan.settings.rd_order
    if plan.settings.rd_bandwidth == "all":
        return Message("figures.discontinuity-global-fits", order=order)
    if order == 1:
        return Message("figures.discontinuity-lines", bandwidth=amount(bandwidth))
    return Message("figures.discontinuity-curves", order=order, bandwidth=amount(bandwidth))


def _chosen(found: Json | Mapping[str, Json]) -> tuple[Sequence[Json], Message]:
    """Choose even bins, or quantile bins if many even bins would hold a single row."""
    even, quantile = listed(found, "evenly_spaced"), listed(found, "quantile_spaced")
    single = sum(number_in(each, "rows") == 1 for each in even)
    if single > _THIN * len(even):
        return quantile, Message("figures.quantile-bins")
    return even, Message("figures.even-bins") if even != quantile else Message("figures.value-bins")


def _point(each: Json, cutoff: float) -> dict[str, Json]:
    score, mean, error = (number_in(each, key) or 0.0 for key in ("score", "mean", "standard_error"))
    return {
        "kind": "mean",
        "side": "above" if score >= cutoff else "below",
        "score": score,
        "mean": mean,
        "rows": number_in(each, "rows"),
        "lower": mean - 1.96 * error,
        "upper": mean + 1.96 * error,
    }


def _line(found: Json | Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return the end points of each side's fitted line, or points of a fit that is not straight."""
    rows: list[dict[str, Json]] = []
    for each in listed(found, "lines"):
        points = listed(each, "points")
        rows += [
            {
                "kind": "line",
                "side": text_in(each, "side"),
                "score": number_in(point, "score"),
                "fit": number_in(point, "fit"),
            }
            for point in points
        ]
        if points:
            continue
        for place, height in (("from", "at_cutoff"), ("to", "at_end")):
            ends = {"score": number_in(each, place), "fit": number_in(each, height)}
            rows.append({"kind": "line", "side": text_in(each, "side"), **ends})
    return rows


def _heights(rows: Sequence[dict[str, Json]]) -> list[Json]:
    """Return the range of means and lines, and of intervals unless they are out of proportion."""
    heights = [value for row in rows for key in ("mean", "fit") if (value := number_in(row, key)) is not None]
    low, high = min(heights), max(heights)
    reach = 0.25 * (high - low) or 1.0
    ends = [value for row in rows for key in ("lower", "upper") if (value := number_in(row, key)) is not None]
    return [max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach)]


def _said(diagnostics: Mapping[str, Json], estimate: Estimate, alpha: float) -> Message:
    ratio = estimate.name == "rd_fuzzy"
    what = Message("figures.discontinuity-ratio") if ratio else Message("figures.discontinuity-jump")
    value, low, high = amount(estimate.estimate or 0.0), estimate.ci_lower, estimate.ci_upper
    text = Message("figures.discontinuity-estimate", quantity=what, value=value)
    if low is not None and high is not None:
        text = Message(
            "figures.discontinuity-estimate-and-interval",
            quantity=what,
            value=value,
            level=100 * (1 - alpha),
            low=amount(low),
            high=amount(high),
        )
    manipulated = number_in(diagnostics, "discontinuity", "manipulation", "p_value")
    if manipulated is None:
        return text
    return joined([text, Message("figures.discontinuity-density-test", p=p_text(manipulated))])
