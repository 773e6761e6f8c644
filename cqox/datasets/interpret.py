"""A column as its file gave it becomes a column of numbers, dates or words, with a note of all that was understood."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.datasets.dates import dates_at_midnight, read_dates
from cqox.datasets.missing import missing_note, tokens_for, without
from cqox.datasets.numbers import Numbers, decimal_comma_only, read_numbers
from cqox.datasets.tidy import notes_on_tidying, tidy

__all__ = [
    "COMMAS_LOOKED_AT", "REPEATS", "Interpreted", "interpret", "interpret_repeated", "may_need_decimal_comma",
    "needs_decimal_comma", "whole_if_exact",
]  # fmt: skip

COMMAS_LOOKED_AT = 1000
"""Cells of a column that show whether it may have a decimal comma."""

_MAX_EXACT = 2.0**53
_SAMPLE = 1000
_SHOWN = 5
_SPELLINGS = 8
_LOOKED_AT = 50_000
"""Rows that show whether texts repeat."""

_COUNTED_ROWS = 1 << 16

REPEATS = 4
"""Rows for each different text from which on a column is understood by its different texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreted:
    """A column with a meaning.

    Attributes:
        values: Int64, Float64, Date, Datetime (microseconds, no zone), String or Enum; null where missing, never NaN.
        infinite: positions of the cells that said infinity; they are null in `values`.
        is_code: text that is made of digits but is no number.
        notes: what was understood, for people.
        distinct: number of different texts, where it is known; null is none.
        has_levels: whether `values` are an Enum of the texts that occur, in the order of their code points.
    """

    values: pl.Series
    infinite: tuple[int, ...] = ()
    is_code: bool = False
    notes: tuple[Message, ...] = ()
    distinct: int | None = None
    has_levels: bool = False


def interpret(cells: pl.Series, *, decimal: str = ".", na_tokens: Sequence[str] | None = None) -> Interpreted:
    """The column with its meaning.

    Args:
        cells: of any type that a format has.
        decimal: the decimal mark of the file, for texts.
        na_tokens: the client's texts for missing values.
    """
    if cells.dtype == pl.String:
        return _text(cells, decimal, na_tokens)
    if cells.dtype in (pl.Categorical, pl.Enum) or cells.dtype == pl.Null or cells.dtype == pl.Time:
        return _text(cells.cast(pl.String), decimal, na_tokens)
    if cells.dtype == pl.Boolean:
        return Interpreted(values=cells.cast(pl.String))
    if cells.dtype.is_integer():
        cells, notes = _without_numbers(cells, na_tokens)
        return _whole(cells, *notes)
    if cells.dtype.is_float() or cells.dtype.is_decimal():
        cells, notes = _without_numbers(cells.cast(pl.Float64), na_tokens)
        return _real(cells, *notes)
    if cells.dtype == pl.Date:
        return Interpreted(values=cells)
    if cells.dtype == pl.Datetime:
        return _moment(cells)
    if cells.dtype == pl.Duration:
        seconds = cells.cast(pl.Duration("us")).dt.total_microseconds() / 1e6
        return _real(seconds, Message("datasets.note-durations"))
    return _other(cells, decimal, na_tokens)


def needs_decimal_comma(cells: pl.Series) -> bool:
    """Return whether a column of text shows that the file's decimal mark is the comma."""
    if cells.dtype != pl.String:
        return False
    sample = cells.head(COMMAS_LOOKED_AT).drop_nulls()
    if sample.len() < min(COMMAS_LOOKED_AT, cells.len()):
        sample = cells.drop_nulls().head(COMMAS_LOOKED_AT)
    # Of most columns one look is enough, which of thousands is most of the time that a file takes to be read.
    return may_need_decimal_comma(sample) and decimal_comma_only(_words(cells.drop_nulls()))


def may_need_decimal_comma(sample: pl.Series) -> bool:
    """Return whether a column of text may show that the file's decimal mark is the comma, by its first texts."""
    return bool(sample.str.contains(",", literal=True).any()) and decimal_comma_only(_words(sample))


def _words(cells: pl.Series) -> pl.Series:
    distinct = cells.str.strip_chars().unique(maintain_order=True)
    tokens = tokens_for(distinct, None)
    return distinct.filter(~distinct.is_in([*tokens.always, *tokens.among_numbers, ""]))


def _text(cells: pl.Series, decimal: str, na_tokens: Sequence[str] | None) -> Interpreted:
    repeated = _repeated(cells)
    if repeated is None:
        return _texts(cells, decimal, na_tokens)
    return interpret_repeated(*repeated, decimal=decimal, na_tokens=na_tokens)


def interpret_repeated(
    keys: pl.Series, codes: pl.Series, *, decimal: str, na_tokens: Sequence[str] | None
) -> Interpreted:
    """The meaning of a column of texts that repeat.

    Args:
        keys: its different texts in the order of their first rows, under its name.
        codes: (n,) the place of each row's text among them, null for null.
        decimal: the decimal mark of the file.
        na_tokens: the client's texts for missing values.
    """
    rows = pl.Series(_rows_of_each(codes, keys.len()))
    found = _texts(keys, decimal, na_tokens, rows=rows)
    infinite = tuple(codes.is_in(list(found.infinite)).fill_null(value=False).arg_true()) if found.infinite else ()
    if found.values.dtype != pl.String or found.values.null_count() == keys.len():
        return replace(found, values=found.values.gather(codes), infinite=infinite)
    levels = pl.Enum(found.values.drop_nulls().unique().sort())
    places = found.values.cast(levels).to_physical()
    return replace(found, values=places.gather(codes).cat.to(levels), has_levels=True)


def _rows_of_each(codes: pl.Series, keys: int) -> NDArray[np.int64]:
    """Return (keys,) how many rows have each code."""
    counts = np.zeros(keys, dtype=np.int64)
    # Slices: counting makes a copy of twice the size.
    rows = max(_COUNTED_ROWS, keys)
    for start in range(0, codes.len(), rows):
        counts += np.bincount(codes.slice(start, rows).drop_nulls().to_numpy(), minlength=keys)
    return counts


def _repeated(cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
    """The different texts of a column and the place of each cell's text among them; None if few texts repeat.

    The texts are in the order of their first rows, without null.
    """
    head = cells.head(_LOOKED_AT).drop_nulls()
    keys = head.unique(maintain_order=True)
    if 2 * keys.len() > head.len():
        return None
    known = cells.len() - cells.null_count()
    # Where the first rows have all texts, which the last rows make likely, a search for texts in all rows is spared.
    codes = _codes(cells, keys) if _codes(cells.tail(_LOOKED_AT), keys) is not None else None
    if codes is None:
        keys = cells.drop_nulls().unique(maintain_order=True)
    if not keys.len() or REPEATS * keys.len() > known:
        return None
    codes = cells.cast(pl.Enum(keys)).to_physical() if codes is None else codes
    return keys, codes.cast(pl.UInt32)


def _codes(cells: pl.Series, keys: pl.Series) -> pl.Series | None:
    """The place of each cell among some texts; None if a cell has another text."""
    codes = cells.cast(pl.Enum(keys), strict=False).to_physical()
    return codes if codes.null_count() == cells.null_count() else None


def _texts(
    cells: pl.Series, decimal: str, na_tokens: Sequence[str] | None, *, rows: pl.Series | None = None
) -> Interpreted:
    """The meaning of texts.

    Args:
        cells: the texts.
        decimal: the decimal mark.
        na_tokens: the client's texts for missing values.
        rows: how many rows each of the cells stands for; one if None.
    """
    known = cells.len() - cells.null_count()
    if known and na_tokens is None:
        plain = _plain(cells, decimal)
        if plain is not None:
            return plain
    tidied = tidy(cells)
    cells = tidied.texts.alias(cells.name)
    notes = notes_on_tidying(spaced=tidied.spaced, emptied=tidied.emptied, is_composed=tidied.is_composed)
    distinct = cells.drop_nulls().unique(maintain_order=True)
    if distinct.is_empty():
        return Interpreted(values=cells, notes=(*notes, Message("datasets.note-all-empty")))
    tokens = tokens_for(distinct, na_tokens)
    if tokens.always:
        notes.append(_missing_note(cells, tokens.always, rows))
        cells = without(cells, tokens.always)
        distinct = distinct.filter(~distinct.is_in(list(tokens.always)))
    if distinct.is_empty():
        return Interpreted(values=cells, notes=(*notes, Message("datasets.note-all-missing")))
    candidates = distinct.filter(~distinct.is_in(list(tokens.among_numbers)))
    reading = read_numbers(candidates, decimal=decimal)
    among = [_missing_note(cells, tokens.among_numbers, rows)] if tokens.among_numbers else []
    if reading.numbers is not None:
        return _mapped(cells, candidates, reading.numbers, [*notes, *among])
    dates, why = read_dates(candidates)
    if dates is not None:
        moments = cells.replace_strict(candidates, dates.values, default=None, return_dtype=dates.values.dtype)
        return Interpreted(values=moments, notes=(*notes, *among, *dates.notes))
    if reading.is_code:
        codes = without(cells, tokens.among_numbers)
        return Interpreted(
            values=codes, is_code=True, notes=(*notes, *among, *_given(reading.note)), distinct=candidates.len()
        )
    notes += _given(reading.note, why)
    if distinct.len() <= _SPELLINGS and all(text.lower() in ("true", "false") for text in distinct.to_list()):
        return Interpreted(values=cells.str.to_lowercase(), notes=tuple(notes))
    return Interpreted(values=cells, notes=tuple(notes), distinct=distinct.len())


def _plain(cells: pl.Series, decimal: str) -> Interpreted | None:
    """Numbers as programs write them, read without a look at the single texts; None if it takes that look."""
    if cells.drop_nulls().head(_SAMPLE).cast(pl.Float64, strict=False).null_count():
        return None
    whole = cells.cast(pl.Int64, strict=False)
    if whole.null_count() == cells.null_count():
        if cells.str.contains(r"^[-+]?0\d").any() or not _is_exact(whole):
            return None
        return Interpreted(values=whole)
    if decimal != ".":
        return None
    real = cells.cast(pl.Float64, strict=False)
    if real.null_count() != cells.null_count() or not real.is_finite().all():
        return None
    # Leading zeros and long whole numbers are codes; a point or an exponent makes them numbers.
    if cells.str.contains(r"^[-+]?(?:0\d+|\d{16,})$").any():
        return None
    return Interpreted(values=whole_if_exact(real))


def _mapped(cells: pl.Series, texts: pl.Series, numbers: Numbers, notes: list[Message]) -> Interpreted:
    values = cells.replace_strict(texts, numbers.values, default=None, return_dtype=numbers.values.dtype)
    infinite: tuple[int, ...] = ()
    if numbers.infinite.any():
        infinite = tuple(
            cells.is_in(texts.filter(numbers.infinite).to_list()).fill_null(value=False).arg_true().to_list()
        )
    if values.dtype == pl.Float64:
        values = whole_if_exact(values)
    return Interpreted(values=values, infinite=infinite, notes=(*notes, *numbers.notes))


def _whole(cells: pl.Series, *notes: Message) -> Interpreted:
    whole = cells.cast(pl.Int64, strict=False)
    if whole.null_count() == cells.null_count() and _is_exact(whole):
        return Interpreted(values=whole, notes=notes)
    long = Message("datasets.note-long-numbers")
    return Interpreted(values=cells.cast(pl.String), is_code=True, notes=(*notes, long))


def _real(cells: pl.Series, *notes: Message) -> Interpreted:
    if cells.is_finite().all():
        return Interpreted(values=whole_if_exact(cells), notes=notes)
    infinite = cells.is_infinite().fill_null(value=False)
    odd = (~cells.is_finite()).fill_null(value=False)
    cells = cells.to_frame("v").select(pl.when(~odd).then(pl.col("v"))).to_series().alias(cells.name)
    return Interpreted(values=whole_if_exact(cells), infinite=tuple(infinite.arg_true().to_list()), notes=notes)


def _moment(cells: pl.Series) -> Interpreted:
    notes: tuple[Message, ...] = ()
    if getattr(cells.dtype, "time_zone", None) is not None:
        cells = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        notes = (Message("datasets.note-utc"),)
    return Interpreted(values=dates_at_midnight(cells.cast(pl.Datetime("us"))), notes=notes)


def _other(cells: pl.Series, decimal: str, na_tokens: Sequence[str] | None) -> Interpreted:
    if cells.dtype == pl.Binary:
        try:
            return _text(cells.cast(pl.String), decimal, na_tokens)
        except pl.exceptions.PolarsError:
            return Interpreted(values=cells.bin.encode("hex"), notes=(Message("datasets.note-hexadecimal"),))
    whole = cells.alias("value").to_frame().select(pl.struct("value").struct.json_encode()).to_series()
    inner = whole.str.slice(len('{"value":')).str.head(-1)
    inner = inner.to_frame("t").select(pl.when(pl.col("t") != "null").then(pl.col("t"))).to_series()
    return Interpreted(values=inner.alias(cells.name), notes=(Message("datasets.note-nested-values"),))


def _is_exact(whole: pl.Series) -> bool:
    low, high = whole.min(), whole.max()
    return not (isinstance(low, int) and isinstance(high, int)) or (low >= -_MAX_EXACT and high <= _MAX_EXACT)


def whole_if_exact(real: pl.Series) -> pl.Series:
    """Int64 where every number is whole, so that 1 and 1.0 are one value whatever the format."""
    sample = real.drop_nulls().head(_SAMPLE)
    if sample.is_empty() or not (sample == sample.floor()).all():
        return real
    if not ((real == real.floor()) & (real.abs() <= _MAX_EXACT)).all():
        return real
    return real.cast(pl.Int64)


def _without_numbers(cells: pl.Series, na_tokens: Sequence[str] | None) -> tuple[pl.Series, list[Message]]:
    """Numbers of a format that has them as such, without those that the client's texts for missing values spell."""
    if not na_tokens:
        return cells, []
    asked = pl.Series(list(na_tokens), dtype=pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    absent = cells.cast(pl.Float64).is_in(asked.drop_nulls().to_list()).fill_null(value=False)
    if not absent.any():
        return cells, []
    counts = cells.filter(absent).value_counts().sort(cells.name).rows()
    shown = [Message("datasets.token-count", count=count, token=f"{number:g}") for number, count in counts[:_SHOWN]]
    note = Message("datasets.note-read-as-missing", tokens=shown)
    kept = cells.to_frame("t").select(pl.when(~absent).then(pl.col("t"))).to_series().alias(cells.name)
    return kept, [note]


def _given(*notes: Message | None) -> list[Message]:
    return [note for note in notes if note is not None]


def _missing_note(cells: pl.Series, tokens: tuple[str, ...], rows: pl.Series | None) -> Message:
    def rows_with(token: str) -> int:
        found = cells == token
        return int(found.sum() if rows is None else rows.filter(found).sum())

    return missing_note(tokens, rows_with)
