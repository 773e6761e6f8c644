"""Columns of texts that rarely repeat, understood from one slice of their rows at a time.

Remarks, names and moments take most of the memory of a table that has them. What `interpret` says of such a column is
found without its texts being in memory together.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.datasets.dates import may_be_dates
from cqox.datasets.distinct import count_different
from cqox.datasets.interpret import Interpreted
from cqox.datasets.missing import deciding_texts, missing_note, tokens_for, without
from cqox.datasets.numbers import may_be_numbers
from cqox.datasets.sliced_notes import notes_on_strays
from cqox.datasets.sliced_values import read_values
from cqox.datasets.slices import Slices, first_known
from cqox.datasets.tidy import notes_on_tidying, tidy

__all__ = ["FIRST_TEXTS", "LongTexts", "read_sliced"]

FIRST_TEXTS = 1000
"""Texts by whose spaces sentences and ids are distinguished."""

_FIRST = 1000
"""Texts that show what a column is."""

_LOOKED_AT = 50_000
"""Texts that show whether they repeat."""

_FEWEST = 8
"""Different texts up to which they may be spellings of true and false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTexts:
    """A column of texts that stays one.

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
        is_code: whether they are made of digits but are no numbers.
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
    is_code: bool


def read_sliced(
    cells: Slices, *, decimal: str, na_tokens: Sequence[str] | None, may_repeat: bool = False
) -> LongTexts | Interpreted | None:
    """Return a column of texts that rarely repeat: as texts, or with the meaning that `interpret` finds.

    None for a column whose texts repeat, or have to be together.

    Args:
        cells: texts and null.
        decimal: the decimal mark of the file.
        na_tokens: the client's texts for missing values.
        may_repeat: whether the texts may repeat.
    """
    look = _Look(decimal, na_tokens, may_repeat=may_repeat)
    if not all(look.add(part) for part in cells()) or not look.others:
        return None
    tokens = tokens_for(pl.Series([*look.deciding, *look.others]), na_tokens)
    is_tidy = not (look.spaced or look.emptied or look.is_composed)

    def texts() -> Iterator[pl.Series]:
        return cells() if is_tidy else (tidy(part).texts for part in cells())

    def values(absent: Sequence[str] = tokens.always) -> Iterator[pl.Series]:
        return (without(part, absent) for part in texts())

    notes = notes_on_tidying(spaced=look.spaced, emptied=look.emptied, is_composed=look.is_composed)
    if tokens.always:
        notes.append(missing_note(tokens.always, look.deciding.__getitem__))
    among = [missing_note(tokens.among_numbers, look.deciding.__getitem__)] if tokens.among_numbers else []
    read = None if look.has_word else read_values(values, decimal=decimal, tokens=tokens.among_numbers)
    if isinstance(read, Interpreted):
        return replace(read, notes=(*notes, *among, *read.notes))
    if read is None and not look.has_word and not _has_word(values, tokens.among_numbers, decimal):
        return None
    hashes = look.hashes
    if hashes is None:
        hashes = [part.hash(1).to_numpy() for part in map(look.others_of, texts())]
    distinct = count_different(hashes, lambda: map(look.others_of, texts())) + len(look.deciding) - len(tokens.always)
    absent, candidates = tokens.always, distinct - len(tokens.among_numbers)
    if read is not None:
        absent, distinct = (*tokens.always, *tokens.among_numbers), candidates
        notes += [*among, read.note]
    elif candidates <= _FEWEST:
        return None
    else:
        notes += notes_on_strays(values, decimal=decimal, tokens=tokens.among_numbers, distinct=candidates)
    missing = sum(look.deciding[token] for token in absent)
    return LongTexts(
        values=lambda: values(absent),
        count=look.known - missing,
        missing=look.rows - look.known + missing,
        distinct=distinct,
        longest=look.longest,
        size=look.size,
        first=first_known(values(absent), FIRST_TEXTS),
        notes=tuple(notes),
        is_changed=not is_tidy or bool(missing),
        is_code=read is not None,
    )


class _Look:
    """Facts about the slices so far."""

    def __init__(self, decimal: str, given: Sequence[str] | None, *, may_repeat: bool) -> None:
        self._decimal = decimal
        self._given = given
        self._head: pl.Series | None = pl.Series([], dtype=pl.String)
        # None until enough texts have been seen.
        self._are_different = True if may_repeat else None
        self.rows = self.known = self.spaced = self.emptied = self.longest = self.size = 0
        self.is_composed = False
        self.deciding: Counter[str] = Counter()
        self.others: list[str] = []
        self.has_word = False
        self.hashes: list[NDArray[np.uint64]] | None = []

    def add(self, cells: pl.Series) -> bool:
        """Return whether the texts may still be ones that rarely repeat."""
        tidied = tidy(cells)
        texts = tidied.texts.drop_nulls()
        if self._head is not None and texts.len():
            self._head = pl.concat([self._head, texts.head(_FIRST - self._head.len())])
            if self._head.len() == _FIRST:
                self._judge(self._head)
                self._head = None
                if not self.others:
                    return False
        self.rows += cells.len()
        self.known += texts.len()
        self.spaced += tidied.spaced
        self.emptied += tidied.emptied
        self.is_composed |= tidied.is_composed
        self.longest = max(self.longest, int(texts.str.len_chars().max() or 0))  # type: ignore[arg-type]
        self.size += int(texts.str.len_bytes().sum())
        self.deciding.update(deciding_texts(texts, self._given).to_list())
        if self.hashes is not None:
            self.hashes.append(self.others_of(texts).hash(1).to_numpy())
        if self._are_different is None and self.known >= _LOOKED_AT:
            assert self.hashes is not None
            self._are_different = 2 * len(np.unique(np.concatenate(self.hashes))) > self.known
        if self._are_different and self._head is None and not self.has_word:
            # Numbers and dates are counted as such.
            self.hashes = None
        return self._are_different is not False

    def others_of(self, texts: pl.Series) -> pl.Series:
        """Return the texts that decide nothing; the others are few, and may be in many rows."""
        known = texts.drop_nulls()
        return known.filter(~known.is_in([*self.deciding])) if self.deciding else known

    def _judge(self, head: pl.Series) -> None:
        """Find two texts that are not missing whatever else there is, and a word if there is one."""
        texts = head.unique(maintain_order=True)
        others = texts.filter(~texts.is_in(deciding_texts(texts, self._given).to_list()))
        if (self._are_different or 2 * texts.len() > head.len()) and others.len() > 1:
            self.others = others.head(2).to_list()
            self.has_word = not (may_be_numbers(others, self._decimal) | may_be_dates(others)).all()


def _has_word(values: Slices, tokens: Sequence[str], decimal: str) -> bool:
    """Return whether a text is neither a number nor a date nor missing."""
    for part in values():
        known = without(part, tokens).drop_nulls()
        if not (may_be_numbers(known, decimal) | may_be_dates(known)).all():
            return True
    return False
