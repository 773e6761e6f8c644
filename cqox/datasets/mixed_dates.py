"""Columns of days in several styles: 2024-01-05 next to 05/01/2024, 令和6年1月5日 or 20240105."""

from functools import reduce
from operator import or_

import polars as pl

from cqox.contract import PeriodFormat
from cqox.datasets.dates import read_dates

__all__ = ["date_styles", "mixed_format", "read_mixed_dates"]

_ISO = r"^\d{4}[-/.年]\s*\d{1,2}[-/.月]\s*\d{1,2}日?"
_COMPACT = r"^(?:19|20)\d{6}$"
_ERA = r"^(?:明治|大正|昭和|平成|令和|[SHR])\s*(?:元|\d{1,2})[年./]\s*\d{1,2}[月./]\s*\d{1,2}日?"
_LAST = r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{4}"
_ENGLISH = r"^(?i)(?:\d{1,2}[\s-][a-z]{3,9}[\s-]\d{2,4}|[a-z]{3,9}\s\d{1,2},\s\d{4})$"
_STYLES = (_ISO, _COMPACT, _ERA, _LAST, _ENGLISH)
_MOST_SINGLE = 1_000
_AMBIGUOUS = r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(.*)$"


def date_styles(texts: pl.Series) -> list[pl.Series]:
    """Return the texts of each style that occurs; empty if some text has no style of a day.

    Args:
        texts: the different texts of a column.
    """
    narrow = texts.str.normalize("NFKC").str.strip_chars()
    masks = [narrow.str.contains(style) for style in _STYLES]
    if not reduce(or_, masks).all():
        return []
    return [texts.filter(mask) for mask in masks if mask.any()]


def mixed_format(texts: pl.Series) -> PeriodFormat | None:
    """Return the format that reads texts in several styles; None if 4/7/2025 could be in April or in July."""
    formats: tuple[PeriodFormat, ...] = ("date", "date-day-first", "date-month-first")
    read = [format_ for format_ in formats if not read_mixed_dates(texts, format_).null_count()]
    return read[0] if "date" in read or len(read) == 1 else None


def read_mixed_dates(texts: pl.Series, format_: str) -> pl.Series:
    """Return the texts as days, each by its own style; null where a text is none.

    Args:
        texts: different texts.
        format_: `date`, where some text of the style 14/7/2025 must show which part is the day, or `date-day-first` or
            `date-month-first`, which say it.
    """
    days = pl.Series(texts.name, [None] * texts.len(), dtype=pl.Date)
    narrow = texts.str.normalize("NFKC").str.strip_chars()
    for style in _STYLES:
        mask = narrow.str.contains(style) & days.is_null()
        if mask.any():
            some = narrow.filter(mask)
            found = _read(some.unique(maintain_order=True), style, format_)
            read = some.replace_strict(found["text"], found["day"], default=None, return_dtype=pl.Date)
            days = days.scatter(mask.arg_true(), read)
    return days


def _read(texts: pl.Series, style: str, format_: str) -> pl.DataFrame:
    if style == _COMPACT:
        return pl.DataFrame({"text": texts, "day": texts.str.to_date("%Y%m%d", strict=False)})
    spelt = texts
    if style == _LAST and format_ != "date":
        spelt = texts.str.replace(_AMBIGUOUS, "$3-$2-$1$4" if format_ == "date-day-first" else "$3-$1-$2$4")
    dates, _ = read_dates(spelt)
    if dates is not None:
        return pl.DataFrame({"text": texts, "day": dates.values.cast(pl.Date)})
    # One text that is no day must not take the others with it.
    each = [read_dates(spelt.slice(place, 1))[0] for place in range(min(spelt.len(), _MOST_SINGLE))]
    days = [None if one is None else one.values.cast(pl.Date)[0] for one in each]
    days += [None] * (spelt.len() - len(days))
    return pl.DataFrame({"text": texts, "day": pl.Series(days, dtype=pl.Date)})
