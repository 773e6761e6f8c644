"""Synthetic control plot: observed and synthetic paths, and the gap with placebo gaps."""

from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount, p_text
from cqox.contract.messages import Message, joined
from cqox.estimators import Estimate, Json, Plan
from cqox.figures._periods import period_labels, ticks
from cqox.figures._reading import at, listed, number_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["synthetic_control"]

_MANY_TIMES = 5.0
"""Largest ratio of a placebo's pre-treatment RMSPE to that of the treated units for it to be shown."""

_OF_DONORS = ("synthetic_did", "synthetic_control", "synthetic_control_augmented")

_GAP = 0.08
"""Minimum distance between two labels, as a share of the height."""


def synthetic_control(
    plan: Plan, treatment: str, estimates: Sequence[Estimate], primary: str | None = None
) -> Figure | None:
    """Draw the paths and the gap of the primary estimate, if it is of donors, else of the synthetic control.

    Args:
        plan: the contrast's plan.
        treatment: label of the treatment.
        estimates: results of the estimators.
        primary: name of the primary estimate.

    Returns:
        None if it was not computed.
    """
    wanted = primary if primary in _OF_DONORS else "synthetic_control"
    found = next((estimate for estimate in estimates if estimate.name == wanted), None)
    diagnostics = None if found is None else found.diagnostics
    periods = listed(diagnostics, "periods")
    start, value = number_in(diagnostics, "first_treated_period"), None if found is None else found.estimate
    if found is None or len(periods) < 3 or start is None or value is None:
        return None
    times = [time for row in periods if (time := number_in(row, "time")) is not None]
    y = short(plan.label("y"), 32)
    placebos = _placebos(found, times)
    rows = _paths(periods) + placebos + [{"kind": "start", "time": start}]
    path, gap = _range(periods, ("observed", "synthetic")), _range([*periods, *placebos], ("gap", "placebo_gap"))
    rows += _labels(periods, path)
    title = _title(found.name, y, treatment)
    names = period_labels(plan)
    alt_text = _alt(found, periods, y, value, names.get(start, f"{start:g}"))
    spec = filled(template("synthetic_control"), rows, title=title, subtitle=_subtitle(found, placebos), alt=alt_text)
    span = [min(*times, start), max(*times, start)]
    margin = 0.02 * (span[1] - span[0])
    axis = {"grid": False, **ticks(times, names)}
    for part, domain, words, title_x in (
        (0, path, Message("figures.mean-of", column=y), None),
        (1, gap, Message("figures.synthetic-control-gap"), short(plan.label("time"), 32)),
    ):
        x = ("vconcat", part, "layer", 0, "encoding", "x")
        put(spec, [span[0] - margin, span[1] + margin], *x, "scale", "domain")
        put(spec, {"title": title_x, **axis}, *x, "axis")
        put(spec, list(domain), "vconcat", part, "layer", 0, "encoding", "y", "scale", "domain")
        put(spec, words, "vconcat", part, "layer", 0, "encoding", "y", "axis", "title")
    return finished("synthetic_control", spec)


def _title(name: str, y: str, treatment: str) -> Message:
    match name:
        case "synthetic_did":
            return Message("figures.synthetic-did", outcome=y, treatment=treatment)
        case "synthetic_control_augmented":
            return Message("figures.synthetic-control-augmented", outcome=y, treatment=treatment)
    return Message("figures.synthetic-control", outcome=y, treatment=treatment)


def _paths(periods: Sequence[Json]) -> list[dict[str, Json]]:
    return [{"kind": "period", **row} for row in periods if isinstance(row, dict)]


def _placebos(found: Estimate, times: Sequence[float]) -> list[dict[str, Json]]:
    """Return a row per placebo and period, for the placebos with sufficient pre-treatment fit."""
    worst = _MANY_TIMES * (number_in(found.diagnostics, "pre_rmspe") or 0.0)
    rows: list[dict[str, Json]] = []
    for number, placebo in enumerate(_placebo_gaps(found)):
        gaps = listed(placebo, "gaps")
        if (number_in(placebo, "pre_rmspe") or 0.0) > worst or len(gaps) != len(times):
            continue
        units = ", ".join(str(unit) for unit in listed(placebo, "units"))
        for time, gap in zip(times, gaps, strict=True):
            rows.append({
                "kind": "placebo", "placebo": number, "units": short(units, 48), "time": time, "placebo_gap": gap,
            })  # fmt: skip
    return rows


def _placebo_gaps(found: Estimate) -> Sequence[Json]:
    if found.name == "synthetic_did":
        return listed(found.diagnostics, "placebo_gaps")
    return listed(found.diagnostics, "placebo_in_space", "gaps")


def _range(rows: Sequence[Json], keys: Sequence[str]) -> tuple[float, float]:
    ends = [value for row in rows for key in keys if (value := number_in(row, key)) is not None]
    if "gap" in keys:
        ends.append(0.0)
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _labels(periods: Sequence[Json], path: tuple[float, float]) -> list[dict[str, Json]]:
    """Place the names next to the last points of both paths, without overlap."""
    seen, made = (number_in(periods[-1], key) or 0.0 for key in ("observed", "synthetic"))
    least = _GAP * (path[1] - path[0])
    middle, apart = (seen + made) / 2, max(abs(seen - made), least) / 2
    up = 1.0 if seen >= made else -1.0
    observed, synthetic = Message("figures.synthetic-control-observed"), Message("figures.synthetic-control-synthetic")
    return [
        {"kind": "label", "of": "observed", "at": middle + up * apart, "label": observed},
        {"kind": "label", "of": "synthetic", "at": middle - up * apart, "label": synthetic},
    ]


def _subtitle(found: Estimate, placebos: Sequence[Mapping[str, Json]]) -> list[Message]:
    diagnostics = found.diagnostics
    treated, donors = number_in(diagnostics, "treated_units") or 0.0, len(listed(diagnostics, "donor_weights"))
    first = Message("figures.synthetic-control-units", treated=round(treated), donors=donors)
    if found.name == "synthetic_did":
        first = Message("figures.synthetic-did-units", treated=round(treated), donors=donors)
    shown = len({row["placebo"] for row in placebos})
    if not shown:
        return [first]
    grey = Message("figures.synthetic-control-placebo-groups", groups=shown)
    if treated <= 1:
        grey = Message("figures.synthetic-control-placebos", units=shown)
    rank = _rank_p(found)
    if rank is None:
        return [first, grey]
    return [first, joined([grey, Message("figures.synthetic-control-rank", p=p_text(rank))])]


def _rank_p(found: Estimate) -> float | None:
    """Return the p-value by rank among the placebos; that of synthetic differences comes from a standard error."""
    return number_in(found.diagnostics, "p_value_placebo") if found.name == "synthetic_did" else found.p_value


def _alt(found: Estimate, periods: Sequence[Json], y: str, value: float, start: str) -> Message:
    first, last = periods[0], periods[-1]
    begun, seen, made = (
        amount(number_in(row, key) or 0.0)
        for row, key in ((first, "observed"), (last, "observed"), (last, "synthetic"))
    )
    misfit, mean = amount(number_in(found.diagnostics, "pre_rmspe") or 0.0), amount(value)
    gap = Message("figures.synthetic-control-gaps", misfit=misfit, start=start, effect=mean)
    rank = _rank_p(found)
    if rank is not None:
        gap = Message("figures.synthetic-control-gaps-and-p-value", misfit=misfit, start=start, effect=mean, p=rank)
    paths = Message("figures.synthetic-control-alt", outcome=y, first=begun, observed=seen, synthetic=made)
    if not _placebo_gaps(found):
        return joined([paths, gap])
    counted = found.diagnostics if found.name == "synthetic_did" else at(found.diagnostics, "placebo_in_space")
    placebos = round(number_in(counted, "placebos") or 0.0)
    return joined([paths, gap, Message("figures.synthetic-control-alt-placebos", placebos=placebos)])
