"""Rows to leave out: those with some values of a column, some by number, and repetitions of earlier rows."""

import unicodedata
from collections.abc import Sequence
from typing import Protocol

import polars as pl

from cqox.contract import DropRows
from cqox.contract.messages import Message
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest, UnusableData

_ODD = 0x9E3779B97F4A7C15
"""Factor of SplitMix64, odd, so that no bit of a hash is lost."""

__all__ = ["Rows", "kept_rows", "repeated_rows"]


class Rows(Protocol):
    """Columns of a table by name: a data frame, or columns on disk."""

    @property
    def height(self) -> int: ...

    def __getitem__(self, name: str, /) -> pl.Series: ...


def kept_rows(rows: Rows, names: Sequence[str], drops: Sequence[DropRows], *, field: str) -> pl.Series:
    """Return (n,) whether each row is kept.

    Args:
        rows: the table.
        names: all of its columns.
        drops: what to leave out.
        field: field of the request, for errors.

    Raises:
        InvalidRequest: a column that does not exist, or a row beyond the last.
        UnusableData: no row would be left.
    """
    kept = pl.Series("kept", [True]).new_from_index(0, rows.height)
    for drop in drops:
        if drop.column is not None:
            if drop.column not in names:
                raise unknown_word(Message("findings.word-column"), drop.column, names, field=field)
            kept &= ~_has_one_of(rows[drop.column], drop.values or ())
        elif drop.rows is not None:
            beyond = max(drop.rows, default=0)
            if beyond > rows.height:
                raise InvalidRequest(
                    Message("findings.row-beyond-last", row=beyond, rows=rows.height),
                    field=field,
                )
            kept = kept.scatter([number - 1 for number in drop.rows], values=False)
        else:
            kept &= ~repeated_rows(rows, names)
    if not kept.any():
        raise UnusableData(Message("findings.no-row-left"), field=field)
    return kept


def repeated_rows(rows: Rows, names: Sequence[str]) -> pl.Series:
    """Return (n,) whether each row is equal to an earlier one in the columns.

    Rows are compared by 64-bit hashes, so that one column at a time is in memory: among ten million rows two different
    ones share a hash once in 400,000 tables.
    """
    total = rows[names[0]].hash(seed=1)
    for name in names[1:]:
        # A hash of the pair, in whole numbers that wrap around.
        total = total * _ODD + rows[name].hash(seed=1)
    return ~total.is_first_distinct()


def _has_one_of(series: pl.Series, values: Sequence[str | float | None]) -> pl.Series:
    found = series.is_null() if None in values else pl.Series([False]).new_from_index(0, series.len())
    texts = [_text(value) for value in values if value is not None]
    if series.dtype.is_numeric():
        numbers = pl.Series(texts, dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls()
        return found | series.cast(pl.Float64).is_in(numbers.to_list()).fill_null(value=False)
    words = series.cast(pl.String).str.strip_chars()
    return found | words.is_in(texts).fill_null(value=False)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip()
    return str(int(value)) if value.is_integer() else repr(value)
