"""Notes on columns of text that would be numbers or dates but for a few texts, from slices of them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.datasets.dates import NEARLY_ALL, almost_dates_note, are_in_a_style, may_have_dates
from cqox.datasets.distinct import count_different
from cqox.datasets.missing import without
from cqox.datasets.numbers import MOSTLY, SHOWN_STRAYS, almost_numbers_note, are_in_notation, are_worth_a_look
from cqox.datasets.slices import Slices

__all__ = ["notes_on_strays"]

_FIRST_DIFFERENT = 400
"""Different texts among which numbers and dates are looked for first."""


def notes_on_strays(texts: Slices, *, decimal: str, tokens: Sequence[str], distinct: int) -> list[Message]:
    """Return the notes that `read_numbers` and `read_dates` have on a column of texts with a word among them.

    Args:
        texts: tidy, and null where missing.
        decimal: the decimal mark of the file.
        tokens: texts that are missing values among numbers and dates.
        distinct: different texts, those left out.
    """

    def candidates() -> Iterator[pl.Series]:
        return (without(part, tokens).drop_nulls() for part in texts())

    first = _first_different(candidates)
    notes: list[Message | None] = []
    if are_worth_a_look(first, distinct, decimal):
        found = _Strays(lambda part: are_in_notation(part, swapped=False), SHOWN_STRAYS, is_sorted=True)
        if found.take(candidates, (1 - MOSTLY) * distinct):
            notes.append(almost_numbers_note(found.shown, found.count(candidates), distinct))
    if may_have_dates(first, distinct):
        found = _Strays(are_in_a_style, SHOWN_STRAYS, is_sorted=False)
        if found.take(candidates, (1 - NEARLY_ALL) * distinct):
            notes.append(almost_dates_note(found.shown, found.count(candidates), distinct))
    return [note for note in notes if note is not None]


def _first_different(texts: Slices) -> pl.Series:
    found = pl.Series([], dtype=pl.String)
    for part in texts():
        found = pl.concat([found, part]).unique(maintain_order=True)
        if found.len() >= _FIRST_DIFFERENT:
            break
    return found.head(_FIRST_DIFFERENT)


class _Strays:
    """The texts of a column that are none of what most are.

    Args:
        is_good: returns whether each text is one.
        most: how many strays are shown.
        is_sorted: whether the first ones are those in alphabetical order, and not of the first rows.
    """

    def __init__(self, is_good: Callable[[pl.Series], pl.Series], most: int, *, is_sorted: bool) -> None:
        self._is_good = is_good
        self._most = most
        self._is_sorted = is_sorted
        self._hashes: list[NDArray[np.uint64]] = []
        self.shown = pl.Series([], dtype=pl.String)

    def take(self, texts: Slices, limit: float) -> bool:
        """Look at all texts; return False, as soon as that is sure, if more than `limit` different ones are strays."""
        for strays in self._of(texts):
            shown = pl.concat([self.shown, strays]).unique(maintain_order=True)
            self.shown = (shown.sort() if self._is_sorted else shown).head(self._most)
            self._hashes.append(strays.hash(1).to_numpy())
            if sum(map(len, self._hashes)) > limit and len(np.unique(np.concatenate(self._hashes))) > limit + 1:
                return False
        return True

    def count(self, texts: Slices) -> int:
        """Return how many different strays there are."""
        return count_different(self._hashes, lambda: self._of(texts))

    def _of(self, texts: Slices) -> Iterator[pl.Series]:
        return (part.filter(~self._is_good(part)) for part in texts())
