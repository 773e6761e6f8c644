"""Sensitivity contour plot: adjusted estimates by strength of an unmeasured confounder, with benchmark covariates."""

import math
from collections.abc import Mapping, Sequence

from cqox.contract.amounts import amount
from cqox.contract.labels import described
from cqox.contract.messages import Message, joined, width
from cqox.estimators import Json, Plan
from cqox.figures._reading import listed, number_in, text_in
from cqox.figures._template import filled, finished, put, template
from cqox.figures._words import short
from cqox.figures.figure import Figure

__all__ = ["ASIDE", "HEIGHT", "RISES", "WIDTH", "sensitivity_contour"]

_ABOUT = "ols_adjustment"
"""Estimate that the robustness values refer to."""

WIDTH, HEIGHT = 620, 360
_MARGIN = 0.03
"""Room around the shares, as a part of the largest, so that no diamond lies over an axis."""

_POINTS = 48
_LEVELS = (0.75, 0.5, 0.25, 0.0, -0.5)
"""Shares of the estimate along the contour lines."""

_MOST_COVARIATES, _MOST_BEYOND = 6, 3
_MOST_OF_LINES = 0.99
"""Largest share on a contour line: a confounder that explains everything leaves no estimate."""

_LEAST_RANGE = 0.02
_LEAST_IN_VIEW = 0.15
"""Minimum share of the width that a contour line must span to be drawn."""

_LETTER, ASIDE, _LABEL_HEIGHT = 6.0, 10, 13
RISES = (6.0, 14.0, -14.0)
"""Pixels: letter width of a covariate's name, its distance from the diamond, label height, and the places of a name
above its diamond or below, in order of preference."""


def sensitivity_contour(
    plan: Plan, treatment: str, diagnostics: Mapping[str, Json], primary: str | None = None
) -> Figure | None:
    """Draw the contours of the adjusted estimate; None if no adjusted regression was computed."""
    found = diagnostics.get("robustness")
    value, error = number_in(found, "estimate"), number_in(found, "standard_error")
    degrees, robust = number_in(found, "degrees_of_freedom"), number_in(found, "robustness_value")
    if not value or not error or not degrees or robust is None:
        return None
    marks = _marks(found)
    reach = [1.25 * robust, *(1.15 * each for row in marks for each in (row["x"], row["y"]) if isinstance(each, float))]
    end = min(max(*reach, _LEAST_RANGE), 1.0)
    rows = _lines(value, error, degrees, min((1 + _MARGIN) * end, _MOST_OF_LINES))
    rows += _named([_in_view(row) for row in marks], [row for row in rows if row["kind"] == "label"], end)
    rows.append(
        {"kind": "robust", "x": robust, "y": robust, "label": Message("figures.robustness-value", value=robust)}
    )
    title = Message("figures.sensitivity-contour", treatment=treatment)
    said = Message("figures.sensitivity-value", estimator=described(_ABOUT), estimate=amount(value), share=robust)
    strongest = [Message("figures.sensitivity-strongest", covariate=text_in(marks[0], "label"))] if marks else []
    alt_text = joined([Message("figures.sensitivity-alt"), said, *strongest])
    subtitle = [*_subtitle(said, marks, primary), *_beyond(found)]
    spec = filled(template("sensitivity_contour"), rows, title=title, subtitle=subtitle, alt=alt_text)
    for axis in ("x", "y"):
        put(spec, [-_MARGIN * end, (1 + _MARGIN) * end], "layer", 0, "encoding", axis, "scale", "domain")
    for axis, column in (("y", short(plan.label("y"), 32)), ("x", treatment)):
        put(spec, Message("figures.residual-share", column=column), "layer", 0, "encoding", axis, "axis", "title")
    return finished("sensitivity_contour", spec)


def _subtitle(said: Message, marks: Sequence[dict[str, Json]], primary: str | None) -> list[Message]:
    keys = [Message("figures.sensitivity-lines")]
    if any(row["times"] != 1 for row in marks):
        keys.append(Message("figures.sensitivity-diamonds-and-multiples"))
    elif marks:
        keys.append(Message("figures.sensitivity-diamonds"))
    if primary in (None, _ABOUT):
        return [said, joined(keys)]
    return [said, Message("figures.sensitivity-other-primary", estimator=described(primary)), joined(keys)]


def _beyond(found: Json) -> list[Message]:
    """Return a line on covariates so strong that there is no diamond for them."""
    names = [short(name, 22) for name in listed(found, "beyond_benchmarks") if isinstance(name, str)]
    if not names:
        return []
    return [Message("figures.sensitivity-beyond", covariates=names[:_MOST_BEYOND], number=len(names))]


def _in_view(row: dict[str, Json]) -> dict[str, Json]:
    """Limit the shares of a mark to 1: a multiple of a strong covariate would explain more than there is."""
    return row | {axis: min(share, 1.0) for axis in ("x", "y") if isinstance(share := row[axis], float)}


def _marks(found: Json) -> list[dict[str, Json]]:
    """Return a diamond per benchmark covariate, strongest first, with its multiple if not 1."""
    names: list[str] = []
    rows: list[dict[str, Json]] = []
    for each in listed(found, "benchmarks"):
        name, times = text_in(each, "covariate"), number_in(each, "times_as_strong")
        x, y = number_in(each, "r2_treatment"), number_in(each, "r2_outcome")
        if times is None or x is None or y is None:
            continue
        if name not in names:
            names.append(name)
        if len(names) > _MOST_COVARIATES:
            break
        if times == 1 or name == names[0]:
            label = short(name, 22) if times == 1 else Message("figures.times-as-strong", times=times)
            rows.append({
                "kind": "mark", "x": x, "y": y, "label": label, "times": times,
                "estimate": number_in(each, "adjusted_estimate"),
            })  # fmt: skip
    return rows


def _named(marks: Sequence[dict[str, Json]], labels: Sequence[dict[str, Json]], end: float) -> list[dict[str, Json]]:
    """Return the marks whose names fit between the labels of the lines; covariates take precedence over multiples.

    A name stands where it covers no other diamond; that of the strongest covariate also where each place covers one.
    """
    taken: list[tuple[float, float, float]] = []
    for row in labels:
        left, height, text = _placed(row, end)
        taken.append((left - text / 2, left + text / 2, height))
    diamonds = [_placed(row, end)[:2] for row in marks]
    names: dict[int, tuple[Json, float]] = {}
    for place in sorted(range(len(marks)), key=lambda place: marks[place]["times"] != 1):
        boxes = [(*_span(marks[place], rise, end), rise) for rise in RISES]
        others = [each for at, each in enumerate(diamonds) if at != place]
        free = [box for box in boxes if box[2] >= _LABEL_HEIGHT / 2 and not any(_meet(box, other) for other in taken)]
        clear = [box for box in free if not any(_meet(box, (at, at, height)) for at, height in others)]
        if clear or (free and place == 0):
            *box, rise = (clear or free)[0]
            taken.append((box[0], box[1], box[2]))
            names[place] = marks[place]["label"], rise
    return [
        row | dict(zip(("name", "rise"), names.get(place, ("", 0.0)), strict=True)) for place, row in enumerate(marks)
    ]


def _span(row: dict[str, Json], rise: float, end: float) -> tuple[float, float, float]:
    """Return both ends and the height of a mark's name, in pixels: next to the diamond, or from it on if further up."""
    left, height, text = _placed(row, end)
    if rise == RISES[0]:
        return left, left + 2 * ASIDE + text, height + rise
    return left - ASIDE, left + ASIDE + text, height + rise


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two labels, given by both ends and height, lie over each other."""
    return one[1] >= other[0] and one[0] <= other[1] and abs(one[2] - other[2]) < _LABEL_HEIGHT


def _placed(row: dict[str, Json], end: float) -> tuple[float, float, float]:
    """Return place and height of a row in the view and the width of its label, in pixels."""
    x, y, label = row["x"], row["y"], row["label"]
    assert isinstance(x, float)
    assert isinstance(y, float)
    assert isinstance(label, str)
    left, height = (size * (share / end + _MARGIN) / (1 + 2 * _MARGIN) for size, share in ((WIDTH, x), (HEIGHT, y)))
    return left, height, _LETTER * width(label)


def _lines(value: float, error: float, degrees: float, end: float) -> list[dict[str, Json]]:
    """Return the contour lines within the view, each with its adjusted estimate."""
    rows: list[dict[str, Json]] = []
    for share in _LEVELS:
        product = ((1 - share) * value / error) ** 2 / degrees
        # The contour is y = product (1 - x) / x; it enters the view at y = end.
        first = product / (product + end)
        if first > (1 - _LEAST_IN_VIEW) * end:
            continue
        level = amount(share * value)
        base: dict[str, Json] = {"line": level, "level": share * value, "away": share == 0}
        for step in range(_POINTS + 1):
            x = first * (end / first) ** (step / _POINTS)
            rows.append({"kind": "line", "x": x, "y": min(product * (1 - x) / x, end), **base})
        middle = 0.5 * (math.sqrt(product**2 + 4 * product) - product)
        if share and middle < end:
            rows.append({"kind": "label", "x": middle, "y": middle, "label": level, **base})
    return rows
