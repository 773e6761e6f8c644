"""Interrupted time series: observed values, segmented fit and the counterfactual trend."""

from collections.abc import Sequence

from cqox.contract.amounts import amount
from cqox.contract.messages import Message
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._periods import period_labels, ticks
from cqox.figures._reading import at, listed, number_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short, with_contrast
from cqox.figures.figure import Figure

__all__ = ["interrupted_series"]

_GAP = 0.065
"""Minimum distance between two labels, as a share of the height."""

_MOST_MARKS = 150
"""Number of periods above which points are small."""


def interrupted_series(plan: Plan, levels: str, estimates: Sequence[Estimate]) -> Figure | None:
    """Draw the series and its segmented fit; None if no interrupted time series was estimated.

    Args:
        plan: the contrast's plan.
        levels: treatment levels compared, for the title; empty for a single contrast.
        estimates: results of the estimators.
    """
    found = next((estimate for estimate in estimates if estimate.name == "interrupted_series"), None)
    diagnostics = None if found is None else found.diagnostics
    periods, start = listed(diagnostics, "periods"), number_in(diagnostics, "first_period_after")
    if found is None or found.estimate is None or len(periods) < 3 or start is None:
        return None
    times = [time for row in periods if (time := number_in(row, "time")) is not None]
    y, names = short(plan.label("y"), 32), period_labels(plan)
    low, high = _range(periods)
    rows: list[dict[str, Json]] = [
        {"kind": "period", "after": (number_in(row, "time") or 0.0) >= start, **row}
        for row in periods
        if isinstance(row, dict)
    ]
    rows += [{"kind": "start", "time": start}, *_labels(periods, low, high)]
    title = with_contrast(Message("figures.interrupted-series", outcome=y), levels)
    alt_text = _alt(found, periods, y, names.get(start, f"{start:g}"))
    spec = filled(template("interrupted_series"), rows, title=title, subtitle=_subtitle(plan, found), alt=alt_text)
    margin = 0.02 * (times[-1] - times[0])
    put(spec, [times[0] - margin, times[-1] + margin], "layer", 0, "encoding", "x", "scale", "domain")
    axis = {"title": short(plan.label("time"), 32), "grid": False, **ticks(times, names)}
    put(spec, axis, "layer", 0, "encoding", "x", "axis")
    put(spec, [low, high], "layer", 0, "encoding", "y", "scale", "domain")
    put(spec, y, "layer", 0, "encoding", "y", "axis", "title")
    if len(times) > _MOST_MARKS:
        put(spec, 9, "layer", 0, "mark", "size")
    return finished("interrupted_series", spec)


def _range(periods: Sequence[Json]) -> tuple[float, float]:
    keys = ("observed", "fitted", "counterfactual")
    ends = [value for row in periods for key in keys if (value := number_in(row, key)) is not None]
    low, high = min(ends), max(ends)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _labels(periods: Sequence[Json], low: float, high: float) -> list[dict[str, Json]]:
    """Place the line names next to the line ends, without overlap."""
    fitted, before = (number_in(periods[-1], key) or 0.0 for key in ("fitted", "counterfactual"))
    middle, apart = (fitted + before) / 2, max(abs(fitted - before), _GAP * (high - low)) / 2
    up = 1.0 if fitted >= before else -1.0
    after, extended = Message("figures.interrupted-series-fitted"), Message("figures.interrupted-series-counterfactual")
    return [
        {"kind": "label", "of": "fitted", "at": middle + up * apart, "label": after},
        {"kind": "label", "of": "counterfactual", "at": middle - up * apart, "label": extended},
    ]


def _subtitle(plan: Plan, found: Estimate) -> list[Message]:
    value, low, high = amount(found.estimate or 0.0), found.ci_lower, found.ci_upper
    seasons = at(found.diagnostics, "seasons", "adjusted") is True
    trend = Message("figures.trend-and-seasons") if seasons else Message("figures.trend")
    effect = Message("figures.interrupted-series-effect", trend=trend, effect=value)
    if low is not None and high is not None:
        effect = Message(
            "figures.interrupted-series-effect-and-interval",
            trend=trend,
            effect=value,
            level=100 * (1 - plan.settings.alpha),
            low=amount(low),
            high=amount(high),
        )
    return [effect, Message("figures.interrupted-series-key", trend=trend)]


def _alt(found: Estimate, periods: Sequence[Json], y: str, start: str) -> Message:
    last = periods[-1]
    fitted, before = (number_in(last, key) or 0.0 for key in ("fitted", "counterfactual"))
    level = number_in(at(found.diagnostics, "level_change"), "estimate") or 0.0
    return Message(
        "figures.interrupted-series-alt",
        outcome=y,
        periods=len(periods),
        start=start,
        change=amount(level),
        fitted=amount(fitted),
        extrapolated=amount(before),
        effect=amount(found.estimate or 0.0),
    )
