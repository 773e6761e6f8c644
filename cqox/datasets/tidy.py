"""Texts as they are compared and stored: without space around them, in Unicode normal form C, and null where empty."""

from dataclasses import dataclass

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.normal_form import may_change

__all__ = ["Tidied", "notes_on_tidying", "tidy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """Texts and what was done to them.

    Attributes:
        texts: the texts.
        spaced: texts that had space around them.
        emptied: texts that are null now, of spaces only or empty.
        is_composed: whether a text was in another normal form.
    """

    texts: pl.Series
    spaced: int = 0
    emptied: int = 0
    is_composed: bool = False


def tidy(cells: pl.Series) -> Tidied:
    """Return texts without space around them, in NFC, with empty ones as null.

    Args:
        cells: texts and null.
    """
    texts, spaced, emptied = cells, 0, 0
    stripped = cells.str.strip_chars()
    lengths = stripped.str.len_bytes()
    # Where nothing was stripped the cells are kept, and the copy is let go of.
    if lengths.sum() != cells.str.len_bytes().sum():
        texts, spaced = stripped, int((stripped != cells).sum())
    del stripped
    if not lengths.min():
        texts = texts.to_frame("t").select(pl.when(pl.col("t") != "").then(pl.col("t"))).to_series()
        emptied = texts.null_count() - cells.null_count()
    if may_change(texts):
        composed = texts.str.normalize("NFC")
        if (composed != texts).any():
            return Tidied(texts=composed, spaced=spaced, emptied=emptied, is_composed=True)
    return Tidied(texts=texts, spaced=spaced, emptied=emptied)


def notes_on_tidying(*, spaced: int, emptied: int, is_composed: bool) -> list[Message]:
    """Return what was done to texts, for people; that spaces alone are null goes without saying.

    Args:
        spaced, emptied, is_composed: as `Tidied` has them.
    """
    notes = [Message("datasets.note-space-removed")] if emptied < spaced else []
    return [*notes, Message("datasets.note-unicode-form")] if is_composed else notes
