"""The kind of variable of a column, from its values and, for ids and dates in digits, from its name."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.dates import compact_dates
from cqox.datasets.distinct import distinct_and_bounds
from cqox.datasets.headers import Header
from cqox.datasets.interpret import Interpreted, interpret
from cqox.datasets.limits import Limits
from cqox.datasets.sentinels import sentinel_note
from cqox.datasets.sliced_texts import FIRST_TEXTS, LongTexts
from cqox.datasets.table import Column, Dtype, Kind

__all__ = ["describe_column", "describe_long_texts", "has_kept_levels", "names_an_id", "redescribed"]

_ID_NAME = re.compile(
    r"(?:^|[\s_.\-/])(?:id|ids|uuid|guid|key|code|no|number|seq|seqn|idx|rownames?|rowid)\.?$"
    r"|(?<=[a-z\u3040-\u30ff\u4e00-\u9fff])(?:ID|Id|ＩＤ|No\.?|Code)$|^(?:ID|ＩＤ|№|index$)|(?:番号|コード|識別子|整理番号|通番|連番|管理番号)$",
)
_DATE_NAME = re.compile(r"date|day|ymd|yyyymmdd|日付|年月日|日$|期日", re.IGNORECASE)
_SHOWN_ROWS = 5
_DTYPES: tuple[tuple[type[pl.DataType], Dtype], ...] = (
    (pl.Int64, "int64"),
    (pl.Float64, "float64"),
    (pl.Date, "date"),
    (pl.Datetime, "datetime"),
    (pl.String, "string"),
)
# A power of two, so that the mean of numbers made smaller by it is as exact.
_SMALLER = 2.0**-64
# A level of a category comes back at least twice on average and is no sentence.
_MIN_REPEATS = 2
_MAX_LEVEL_CHARACTERS = 60


def names_an_id(name: str) -> bool:
    """Return whether a column's name says that it holds ids: store_id, 店舗ID, 会員番号, but not paid."""
    return _ID_NAME.search(name) is not None or _ID_NAME.search(name.lower()) is not None


def describe_column(
    header: Header, interpreted: Interpreted, limits: Limits, *, first_row: int = 2
) -> tuple[pl.Series, Column]:
    """The column in the type that it is stored in, and what is known of it.

    Args:
        header: its names.
        interpreted: its values.
        limits: `max_levels` bounds the levels that are listed.
        first_row: number of the first row in messages.
    """
    # In one piece, for each look at a column in pieces would copy it.
    values = interpreted.values.alias(header.name).rechunk()
    notes = [*interpreted.notes, *_infinite_note(interpreted.infinite, first_row)]
    if values.dtype == pl.Int64 and _DATE_NAME.search(header.name):
        days = compact_dates(values)
        if days is not None:
            values = days.alias(header.name)
            notes.append(Message("datasets.note-compact-dates"))
    count = values.len() - values.null_count()
    words = values.dtype.categories if interpreted.has_levels else values  # type: ignore[attr-defined]
    different = words.len() if interpreted.has_levels else interpreted.distinct
    distinct, low, high = distinct_and_bounds(values) if different is None else (different, None, None)
    kind = (
        _number_kind(header.name, count, distinct, low, high)
        if values.dtype.is_numeric()
        else _kind(words, header.name, count, distinct, limits, is_code=interpreted.is_code)
    )
    if interpreted.has_levels and kind not in ("binary", "category"):
        values = values.cast(pl.String)
    if values.dtype.is_numeric():
        notes += sentinel_note(values, low, high)
    if distinct == 1 and count > 1:
        notes.append(Message("datasets.note-constant"))
    if kind in ("binary", "category") and values.dtype == pl.String:
        values = values.cast(pl.Enum(values.drop_nulls().unique(maintain_order=True).sort()))
    levels, level_counts = (
        _levels(values, distinct, low, high)
        if kind in ("binary", "category") and distinct <= limits.max_levels
        else ((), ())
    )
    if kind == "category" and not levels:
        notes.append(Message("datasets.note-too-many-levels", levels=distinct, most=limits.max_levels))
    return values, Column(
        name=header.name,
        original_name=header.original,
        kind=kind,
        dtype=_dtype(values),
        count=count,
        missing=values.null_count(),
        infinite=len(interpreted.infinite),
        distinct=distinct,
        minimum=_bound(low),
        maximum=_bound(high),
        mean=_mean(values),
        levels=levels,
        level_counts=level_counts,
        notes=tuple(notes),
    )


def has_kept_levels(header: Header, interpreted: Interpreted, limits: Limits) -> bool:
    """Return whether `describe_column` keeps the levels of a column, and makes no texts of them again."""
    if not interpreted.has_levels:
        return False
    values = interpreted.values
    words = values.dtype.categories  # type: ignore[attr-defined]
    count = values.len() - values.null_count()
    kind = _kind(words, header.name, count, words.len(), limits, is_code=interpreted.is_code)
    return kind in ("binary", "category")


def describe_long_texts(header: Header, texts: LongTexts, limits: Limits) -> Column | None:
    """Return what is known of a column of long texts; None for a category, whose levels have to be sorted.

    Args:
        header: its names.
        texts: the column.
        limits: `max_levels` bounds the levels of a category.
    """
    kind: Kind = "id"
    if not texts.is_code:
        kind = _kind_of_texts(header.name, texts.count, texts.distinct, texts.longest, limits, texts.first)
    if kind not in ("id", "text"):
        return None
    return Column(
        name=header.name,
        original_name=header.original,
        kind=kind,
        dtype="string",
        count=texts.count,
        missing=texts.missing,
        distinct=texts.distinct,
        notes=texts.notes,
    )


def redescribed(values: pl.Series, column: Column, *, again: bool = False) -> tuple[pl.Series, Column]:
    """Return a column whose cells have changed since it was described, and its new description.

    Args:
        values: its cells.
        column: its description so far; headers, infinite cells and notes are kept.
        again: whether text may be numbers or dates now that some cells are gone.
    """
    interpreted = Interpreted(values=values)
    if again and values.dtype in (pl.String, pl.Enum):
        interpreted = interpret(values.cast(pl.String))
    series, described = describe_column(Header(column.name, column.original_name), interpreted, Limits())
    return series, replace(described, infinite=column.infinite, notes=column.notes)


def _kind(values: pl.Series, name: str, count: int, distinct: int, limits: Limits, *, is_code: bool) -> Kind:
    if values.dtype.is_temporal():
        return "date"
    if is_code:
        # A treatment coded 01 and 02 has two levels like any other; two stores of a short list are still ids.
        return "binary" if distinct == 2 and count > 2 and not names_an_id(name) else "id"
    if count == 0:
        return "text"
    first = values.drop_nulls().head(FIRST_TEXTS)
    return _kind_of_texts(name, count, distinct, values.str.len_chars().max(), limits, first)


def _kind_of_texts(name: str, count: int, distinct: int, longest: object, limits: Limits, first: pl.Series) -> Kind:
    if distinct == 2:
        return "binary"
    if not isinstance(longest, int) or longest > _MAX_LEVEL_CHARACTERS:
        return "text"
    if names_an_id(name):
        return "id"
    if distinct == 1 or (distinct < count and distinct <= limits.max_levels) or count >= _MIN_REPEATS * distinct:
        return "category"
    spaced = first.str.contains(r"\s").mean()
    return "id" if distinct == count and isinstance(spaced, float) and spaced < 0.5 else "text"


def _number_kind(name: str, count: int, distinct: int, low: object, high: object) -> Kind:
    if distinct == 2 and count > 2:
        return "binary"
    if not isinstance(low, int) or not isinstance(high, int):
        return "real"
    if distinct > 2 and names_an_id(name):
        return "id"
    # An unnamed row number, as pandas and R write it.
    if name.startswith("column_") and distinct == count == high - low + 1 and low in (0, 1):
        return "id"
    return "count" if low >= 0 else "real"


def _levels(values: pl.Series, distinct: int, low: object, high: object) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if isinstance(values.dtype, pl.Enum):
        names = values.dtype.categories.to_list()
        rows = np.bincount(values.to_physical().drop_nulls().to_numpy(), minlength=len(names)).tolist()
        found = [(name, count) for name, count in zip(names, rows, strict=True) if count]
    elif distinct == 2 and isinstance(low, int) and isinstance(high, int):
        greater = int((values == high).sum())
        found = [(str(low), values.len() - values.null_count() - greater), (str(high), greater)]
    else:
        # At most a few: grouping takes longer than a look at every row for each.
        found = [(str(level), int((values == level).sum())) for level in values.drop_nulls().unique().sort()]
    return tuple(name for name, _ in found), tuple(count for _, count in found)


def _dtype(values: pl.Series) -> Dtype:
    for dtype, name in _DTYPES:
        if values.dtype == dtype:
            return name
    return "enum"


def _bound(value: object) -> int | float | str | None:
    if value is None or isinstance(value, int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _mean(values: pl.Series) -> float | None:
    mean = values.mean() if values.dtype.is_numeric() else None
    if isinstance(mean, float) and not math.isfinite(mean):
        # The sum is beyond what a float can hold, and the mean is not.
        scaled = (values * _SMALLER).mean()
        mean = scaled / _SMALLER if isinstance(scaled, float) else None
    return float(mean) if isinstance(mean, int | float) else None


def _infinite_note(rows: Sequence[int], first_row: int) -> list[Message]:
    if not rows:
        return []
    shown = [f"{row + first_row:,}" for row in rows[:_SHOWN_ROWS]]
    more = len(rows) - _SHOWN_ROWS
    if more > 0:
        return [Message("datasets.note-infinite-cells-and-more", cells=len(rows), more=more, rows=shown)]
    return [Message("datasets.note-infinite-cells", cells=len(rows), rows=shown)]
