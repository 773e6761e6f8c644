"""Columns of long texts that rarely repeat, understood from one slice of their rows at a time.

Remarks and answers in people's own words take most of the memory of a table that has them. Such a column is text
whatever else is in it, so all that `interpret` says of it is found without its texts being in memory together.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.datasets.dates import may_be_dates
from cqox.datasets.missing import LONGEST_TOKEN, deciding_texts, missing_note, tokens_for, without
from cqox.datasets.numbers import may_be_numbers
from cqox.datasets.slices import Slices
from cqox.datasets.tidy import notes_on_tidying, tidy

__all__ = ["LongTexts", "read_long_texts"]

_FIRST = 1000
"""Texts that show what a column is."""

_LOOKED_AT = 50_000
"""Texts that show whether they repeat."""

_FIRST_DIFFERENT = 400
"""Different texts among which a number or a date has to be for one to be looked for in all."""

_MOSTLY = 0.8
"""Share of numbers or dates below which no note is made of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTexts:
    """A column of long texts.

    Attributes:
        values: the texts, tidy and null where missing, in slices.
        count: rows that have one.
        missing: rows that have none.
        distinct: number of different texts.
        longest: characters of the longest.
        size: bytes of all texts, about.
        first: the first thousand.
        notes: what was understood, for people.
        is_changed: whether the cells were any different.
    """

    values: Slices
    count: int
    missing: int
    distinct: int
    longest: int
    size: int
    first: pl.Series
    notes: tuple[Message, ...]
    is_changed: bool


def read_long_texts(cells: Slices, *, decimal: str, na_tokens: Sequence[str] | None) -> LongTexts | None:
    """Return a column of long texts; None for a column that may be anything else.

    Args:
        cells: texts and null.
        decimal: the decimal mark of the file.
        na_tokens: the client's texts for missing values.
    """
    look = _Look(decimal, na_tokens)
    if not all(look.add(part) for part in cells()) or not look.long:
        return None
    tokens = tokens_for(pl.Series([*look.deciding, *look.long]), na_tokens)
    absent = sum(look.deciding[token] for token in tokens.always)
    is_tidy = not (look.spaced or look.emptied or look.is_composed)

    def texts() -> Iterator[pl.Series]:
        return cells() if is_tidy else (tidy(part).texts for part in cells())

    def values() -> Iterator[pl.Series]:
        return (without(part, tokens.always) for part in texts())

    distinct = _count_different(look.hashes, texts) - len(tokens.always)
    if not _is_text(values, decimal, tokens.among_numbers, distinct - len(tokens.among_numbers)):
        return None
    notes = notes_on_tidying(spaced=look.spaced, emptied=look.emptied, is_composed=look.is_composed)
    if tokens.always:
        notes.append(missing_note(tokens.always, look.deciding.__getitem__))
    return LongTexts(
        values=values,
        count=look.known - absent,
        missing=look.rows - look.known + absent,
        distinct=distinct,
        longest=look.longest,
        size=look.size,
        first=_first(values, _FIRST),
        notes=tuple(notes),
        is_changed=not is_tidy or bool(absent),
    )


class _Look:
    """Facts about the slices so far."""

    def __init__(self, decimal: str, given: Sequence[str] | None) -> None:
        self._decimal = decimal
        self._given = given
        self._head: pl.Series | None = pl.Series([], dtype=pl.String)
        self._are_different = False
        self.rows = self.known = self.spaced = self.emptied = self.longest = self.size = 0
        self.is_composed = False
        self.deciding: Counter[str] = Counter()
        self.long: list[str] = []
        self.hashes: list[NDArray[np.uint64]] = []

    def add(self, cells: pl.Series) -> bool:
        """Return whether the column may still be one of long texts."""
        tidied = tidy(cells)
        texts = tidied.texts.drop_nulls()
        if self._head is not None and texts.len():
            self._head = pl.concat([self._head, texts.head(_FIRST - self._head.len())])
            if self._head.len() == _FIRST:
                self.long, self._head = self._long_ones(self._head), None
                if not self.long:
                    return False
        self.rows += cells.len()
        self.known += texts.len()
        self.spaced += tidied.spaced
        self.emptied += tidied.emptied
        self.is_composed |= tidied.is_composed
        self.longest = max(self.longest, int(texts.str.len_chars().max() or 0))  # type: ignore[arg-type]
        self.size += int(texts.str.len_bytes().sum())
        self.deciding.update(deciding_texts(texts, self._given).to_list())
        self.hashes.append(texts.hash(1).to_numpy())
        if self._are_different or self.known < _LOOKED_AT:
            return True
        self._are_different = 2 * len(np.unique(np.concatenate(self.hashes))) > self.known
        return self._are_different

    def _long_ones(self, head: pl.Series) -> list[str]:
        """Return two texts that make the column one of text; none where its first texts do not."""
        texts = head.unique(maintain_order=True)
        long = texts.filter(
            (texts.str.len_chars() > LONGEST_TOKEN) & ~texts.is_in([token.strip() for token in self._given or ()])
        )
        words = long.filter(~may_be_numbers(long, self._decimal) & ~may_be_dates(long))
        return long.head(2).to_list() if 2 * texts.len() > head.len() and long.len() > 1 and words.len() else []


def _count_different(hashes: Sequence[NDArray[np.uint64]], texts: Slices) -> int:
    """Return how many different texts there are: different are two hashes, the second of which few texts need."""
    ordered = np.concatenate(hashes)
    ordered.sort()
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(shared):
        return len(ordered)
    alone, pairs = len(ordered), pl.DataFrame(schema={"first": pl.UInt64, "second": pl.UInt64})
    for part in texts():
        known = part.drop_nulls()
        first = known.hash(1)
        is_shared = first.is_in(pl.Series(shared).implode())
        alone -= int(is_shared.sum())
        second = known.filter(is_shared).hash(2)
        pairs = pl.concat([pairs, pl.DataFrame({"first": first.filter(is_shared), "second": second})]).unique()
    return alone + pairs.height


def _is_text(values: Slices, decimal: str, tokens: Sequence[str], distinct: int) -> bool:
    """Return whether so few texts are numbers or dates that nothing is said of them."""
    first = _first(values, _FIRST_DIFFERENT, different=True, tokens=tokens)
    if first.len() < _FIRST_DIFFERENT or distinct == _FIRST_DIFFERENT:
        return False
    # Rows stand in for different texts, of which there are no more.
    numbers, dates = may_be_numbers(first, decimal).any(), may_be_dates(first).any()
    if numbers and _MOSTLY * distinct <= sum(may_be_numbers(part.drop_nulls(), decimal).sum() for part in values()):
        return False
    return not dates or _MOSTLY * distinct > sum(may_be_dates(part.drop_nulls()).sum() for part in values())


def _first(values: Slices, most: int, *, different: bool = False, tokens: Sequence[str] = ()) -> pl.Series:
    """Return the first texts of a column, or the first different ones but for some tokens."""
    found = pl.Series([], dtype=pl.String)
    for part in values():
        found = pl.concat([found, part.drop_nulls()])
        if different:
            found = found.filter(~found.is_in(list(tokens))).unique(maintain_order=True)
        if found.len() >= most:
            break
    return found.head(most)
