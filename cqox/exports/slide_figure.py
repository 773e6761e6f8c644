"""Figures at the size of a slide: the title is that of the slide, and a long forest plot is cut."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from cqox.contract.messages import Language, Message
from cqox.exports.document import Picture

__all__ = ["SlideFigure", "slide_figure"]

type _Row = dict[str, JsonValue]

_MOST_ROWS = 14
"""Rows of a forest plot that are legible from the last row of a room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFigure:
    """A figure for a slide.

    Attributes:
        spec: the Vega-Lite specification without a title.
        keys: lines on what its marks mean.
    """

    spec: Mapping[str, JsonValue]
    keys: tuple[str, ...]


def slide_figure(picture: Picture, language: Language) -> SlideFigure:
    """Return a figure for a slide in the language of the document."""
    spec = deepcopy(dict(picture.spec))
    title = spec.pop("title", None)
    found = title.get("subtitle") if isinstance(title, dict) else None
    keys = [str(line) for line in found] if isinstance(found, list) else [str(found)] if found else []
    data = spec.get("data")
    rows = data.get("values") if isinstance(data, dict) else None
    if _is_forest(picture, rows) and len(cast("list[_Row]", rows)) > _MOST_ROWS:
        listed = cast("list[_Row]", rows)
        kept = _cut(listed)
        said = Message("exports.slide-estimates", shown=_estimates(kept), estimates=_estimates(listed))
        keys[:1] = [said.in_language(language)]
        height = spec.get("height")
        if isinstance(height, int | float):
            spec["height"] = height * len(kept) / len(listed)
        spec["data"] = {"values": cast("JsonValue", kept)}
    return SlideFigure(spec=spec, keys=tuple(keys))


def _is_forest(picture: Picture, rows: JsonValue) -> bool:
    is_list = isinstance(rows, list) and all(isinstance(row, dict) and "row" in row for row in rows)
    return picture.name.startswith("forest") and is_list


def _estimates(rows: Sequence[_Row]) -> int:
    return sum(row.get("kind") == "estimate" for row in rows)


def _cut(rows: list[_Row]) -> list[_Row]:
    """Return the group of the primary estimate, the first one without it; of a large one an even selection.

    The rows of a group are in the order of their estimates; the smallest, the largest and the primary are kept.
    """
    groups: list[list[_Row]] = []
    for row in rows:
        if row.get("kind") == "heading" or not groups:
            groups.append([])
        groups[-1].append(row)
    group = next((each for each in groups if any(row.get("role") == "primary" for row in each)), groups[0])
    heading, estimates = [row for row in group if row.get("kind") == "heading"], group[1:]
    most = _MOST_ROWS - 1
    if len(estimates) > most:
        step = (len(estimates) - 1) / (most - 2)
        places = {round(step * number) for number in range(most - 1)}
        places |= {place for place, row in enumerate(estimates) if row.get("role") == "primary"}
        estimates = [estimates[place] for place in sorted(places)]
    return [row | {"row": number} for number, row in enumerate([*heading, *estimates])]
