"""Column names that are unique, visible and in one Unicode form, next to the headers as they stood in the file."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cqox.contract.messages import Message

__all__ = ["Header", "name_columns", "title_note", "unnamed_note"]

_MOST_LISTED = 10
_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile(
    "[\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
)


@dataclass(frozen=True, slots=True)
class Header:
    """A column's name and the header that it had."""

    name: str
    original: str


def name_columns(originals: Sequence[str]) -> tuple[tuple[Header, ...], tuple[Message, ...]]:
    """The headers by which columns are known, and a note on repeated ones.

    Names are NFC with spaces collapsed; an empty one becomes `column_<position from 1>`, a repeated one gets `_2`. A
    header that is clean already stays a name, even after one that becomes equal to it.
    """
    cleaned = [_clean(original) for original in originals]
    taken = {name for name in cleaned if name}
    clean = {name for original, name in zip(originals, cleaned, strict=True) if name and name == original}
    seen: set[str] = set()
    headers: list[Header] = []
    repeated: list[Message] = []
    for position, (original, name) in enumerate(zip(originals, cleaned, strict=True), start=1):
        unique = name
        if not name:
            unique = _free(f"column_{position}", taken | seen)
        elif name in seen or (name in clean and name != original):
            unique = _free(name, taken | seen, start=2)
            repeated.append(Message("datasets.renamed-header", name=name, new_name=unique, position=position))
        seen.add(unique)
        headers.append(Header(unique, original))
    return tuple(headers), (Message("datasets.repeated-headers", renamed=_listed(repeated)),) if repeated else ()


def unnamed_note(headers: Sequence[Header]) -> tuple[Message, ...]:
    """A note on the columns that had no header, if there are any."""
    unnamed = [header.name for header in headers if not _clean(header.original)]
    return (Message("datasets.unnamed-columns", names=_listed(unnamed)),) if unnamed else ()


def title_note(titles: int) -> tuple[Message, ...]:
    """A note on the rows above the header that were skipped, if there are any."""
    if not titles:
        return ()
    return (Message("datasets.one-title-row") if titles == 1 else Message("datasets.title-rows", rows=titles),)


def _clean(original: str) -> str:
    name = _SPACE.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", original))).strip()
    # polars takes these for patterns of several names wherever it takes a name.
    return f"column {name}" if name == "*" or (name.startswith("^") and name.endswith("$")) else name


def _free(name: str, taken: set[str], start: int = 1) -> str:
    candidate, number = (name, 2) if start == 1 else (f"{name}_{start}", start + 1)
    while candidate in taken:
        candidate = f"{name}_{number}"
        number += 1
    return candidate


def _listed(items: Sequence[str]) -> Message:
    more = len(items) - _MOST_LISTED
    if more > 0:
        return Message("datasets.names-and-more", more=more, names=items[:_MOST_LISTED])
    return Message("datasets.names", names=items)
