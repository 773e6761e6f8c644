"""Messages inside the specifications of figures, which are Vega-Lite documents."""

from collections.abc import Iterator, Mapping
from copy import deepcopy

from cqox.contract.messages.catalogs import LANGUAGES, Language
from cqox.contract.messages.documents import holder_of, keys_of, translated, value_at
from cqox.contract.messages.wrapping import wrap_evenly

__all__ = ["translate_figure"]

_ROWS = ["data", "values"]
_ROW = len(_ROWS) + 1
"""Number of keys that lead to a row."""


def translate_figure(spec: Mapping[str, object], language: Language) -> dict[str, object]:
    """Return a copy of a specification with its texts in a language.

    `usermeta.messages` of the specification maps JSON pointers to code and parameters. A pointer into a row of the
    inline data stands for every row that has the same text in the same field. A message with a `width` is divided into
    lines of this width in Latin letters; the lines take its place in a list of lines. The copy has no messages,
    because their pointers would lead elsewhere. In English the copy is equal to the specification.

    Args:
        spec: a Vega-Lite specification of JSON values. Messages that are malformed or lead to no text are ignored.
        language: the language.
    """
    copy = deepcopy(dict(spec))
    if language == LANGUAGES[0]:
        return copy
    usermeta = copy.get("usermeta")
    messages = usermeta.pop("messages", None) if isinstance(usermeta, dict) else None
    if not isinstance(messages, dict):
        return copy
    for keys, message in _last_first(messages):
        holder = holder_of(copy, keys)
        text = value_at(holder, keys[-1])
        found = translated(message, text, language) if isinstance(text, str) else None
        if found is None:
            continue
        if keys[:2] == _ROWS and len(keys) > _ROW:
            _put_in_rows(copy, keys[_ROW:], text, found)
        else:
            _put(
                holder, keys[-1], wrap_evenly(found, most) if isinstance(most := message.get("width"), int) else [found]
            )
    return copy


def _last_first(messages: Mapping[str, object]) -> Iterator[tuple[list[str], Mapping[str, object]]]:
    """Yield keys and message of every pointer; from a list the last first, since lines move what follows them."""
    known = [(keys_of(pointer), found) for pointer, found in messages.items() if isinstance(found, Mapping)]

    def place(each: tuple[list[str], Mapping[str, object]]) -> tuple[list[str], int]:
        *path, last = each[0]
        return path, int(last) if last.isdecimal() else 0

    yield from sorted(known, key=place, reverse=True)


def _put_in_rows(spec: Mapping[str, object], field: list[str], text: object, found: str) -> None:
    rows = value_at(value_at(spec, _ROWS[0]), _ROWS[1])
    for row in rows if isinstance(rows, list) else []:
        holder = holder_of(row, field)
        if value_at(holder, field[-1]) == text:
            _put(holder, field[-1], [found])


def _put(holder: object, key: str, lines: list[str]) -> None:
    if isinstance(holder, list):
        holder[int(key) : int(key) + 1] = lines
    elif isinstance(holder, dict):
        holder[key] = lines if len(lines) > 1 else lines[0]
