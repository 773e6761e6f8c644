"""Messages of a specification: code and parameters of its texts by JSON pointer, and the width that texts may have.

`cqox.contract.messages.translate_figure` reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from cqox.contract.messages import Message, as_json, messages_in, pointer_of
from cqox.estimators import Json
from cqox.figures.style import CONFIG

__all__ = ["messages_of"]

_PAGE = 680
"""Pixels that title and subtitle may take."""

_ROWS = ("data", "values")


def messages_of(spec: Mapping[str, Json]) -> dict[str, Json]:
    """Return code, parameters and, where lines have a bound, the width of each message in a specification.

    Of the rows that have the same text in the same field only the first is there.
    """
    found: dict[str, Json] = {}
    for pointer, message in messages_in({key: part for key, part in spec.items() if key not in ("data", "config")}):
        entry = cast("dict[str, Json]", as_json(message))
        most = _width(spec, pointer.split("/")[1:])
        found[pointer] = entry if most is None else {**entry, "width": most}
    for pointer, message in _in_rows(cast("dict[str, list[dict[str, Json]]]", spec["data"])["values"]):
        found[pointer] = cast("dict[str, Json]", as_json(message))
    return found


def _in_rows(rows: Sequence[Mapping[str, Json]]) -> Iterator[tuple[str, Message]]:
    """Yield pointer and message of the first row that has it in a field."""
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(rows):
        for field, value in row.items():
            if type(value) is Message:
                if (field, value) not in seen:
                    seen.add((field, value))
                    yield pointer_of(*_ROWS, number, field), value
            elif type(value) is list:
                for inside, message in messages_in(value):
                    if (field + inside, message) not in seen:
                        seen.add((field + inside, message))
                        yield pointer_of(*_ROWS, number, field) + inside, message


def _width(spec: Mapping[str, Json], keys: list[str]) -> int | None:
    """Return the width of lines in Latin letters, half as wide as the letters are high; None without a bound."""
    match keys:
        case ["title", "text"]:
            return _letters(_PAGE, "title", "fontSize")
        case ["title", "subtitle", *_]:
            return _letters(_PAGE, "title", "subtitleFontSize")
        case [*_, "encoding", "x" | "y" as channel, "axis", "title"]:
            room = _nearest(spec, keys, "width" if channel == "x" else "height")
            limit = cast("dict[str, float]", CONFIG["axis"])["titleLimit"]
            return None if room is None else _letters(min(room, limit), "axis", "titleFontSize")
        case _:
            return None


def _letters(pixels: float, part: str, size: str) -> int:
    return int(pixels / (cast("dict[str, float]", CONFIG[part])[size] / 2))


def _nearest(spec: Mapping[str, Json], keys: list[str], size: str) -> float | None:
    """Return a size in pixels of the innermost part on a path that has one."""
    at: Json = dict(spec)
    nearest = None
    for key in keys:
        if isinstance(at, dict):
            found = at.get(size)
            nearest = float(found) if isinstance(found, int | float) else nearest
            at = at.get(key)
        elif isinstance(at, list):
            at = at[int(key)]
    return nearest
