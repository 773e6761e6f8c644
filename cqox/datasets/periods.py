"""Texts that are periods (W1, 第1週, Q1 2025, Apr-25, 令和7年4月, 4/7) as numbers or dates, which sort by their order.

Days that a column has throughout in one style are read by `cqox.datasets.dates` when the file is.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from cqox.contract import PeriodFormat
from cqox.datasets.mixed_dates import read_mixed_dates

__all__ = ["MOST_PERIODS", "Recognised", "as_periods", "fits", "recognise"]

MOST_PERIODS = 5_000
"""Number of different texts above which a column is not looked at: 13 years of days."""

_FEWEST = 3
_MOST_YEARS = 12
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_YEAR = r"(?P<y>(?:18|19|20|21)\d\d)"
_ERA = r"(?P<era>明治|大正|昭和|平成|令和|[SHR])\s*(?P<ey>元|\d{1,2})"
_ERA_START = {
    "明治": 1867, "大正": 1911, "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
_ERA_YEAR = re.compile(rf"{_ERA}年度?")
_ERA_MONTH = re.compile(rf"{_ERA}[年.]\s*(?P<m>\d{{1,2}})月?")
_MONTH_YEAR = (
    re.compile(rf"{_NAMED}[\s,/_-]*{_YEAR}", re.IGNORECASE),
    re.compile(rf"{_YEAR}[\s,/_-]*{_NAMED}", re.IGNORECASE),
)
_MONTH_NUMBER = re.compile(rf"{_YEAR}\s*[-_/]?\s*[mM]\s*(?P<m>\d{{1,2}})")
_SHORT_YEAR = re.compile(rf"{_NAMED}\s?[-'/]\s?(?P<yy>\d\d)", re.IGNORECASE)
_NAMED_DAY = (
    re.compile(rf"{_NAMED}\s?[-/ ]\s?(?P<d>\d{{1,2}})", re.IGNORECASE),
    re.compile(rf"(?P<d>\d{{1,2}})\s?[-/ ]\s?{_NAMED}", re.IGNORECASE),
)
_MONTH_NAME = re.compile(_NAMED, re.IGNORECASE)
_QUARTER = (
    re.compile(rf"(?:Q(?P<q>[1-4])|(?P<q2>[1-4])Q)[\s/_'-]*{_YEAR}", re.IGNORECASE),
    re.compile(
        rf"{_YEAR}[\s/_-]*(?:年度?)?\s*(?:Q(?P<q>[1-4])|(?P<q2>[1-4])Q|第\s*(?P<q3>[1-4])\s*四半期)", re.IGNORECASE
    ),
)
_WEEK = re.compile(rf"{_YEAR}\s*[-_/]?\s*(?:W|年\s*第?)\s*(?P<w>\d{{1,2}})\s*(?:週目?)?", re.IGNORECASE)
_NUMBER = re.compile(r"(?P<before>\D*?)(?P<n>\d{1,9})(?P<after>\D*)")
_PAIR = re.compile(r"(?P<a>\d{1,2})(?:/|月\s*)(?P<b>\d{1,2})日?")
_WORDS = frozenset({
    "week", "weeks", "wk", "month", "months", "mon", "day", "days", "year", "years", "yr", "quarter", "qtr", "period",
    "time", "wave", "round", "term", "season", "fy", "週", "週目", "第", "月", "月目", "ヶ月目", "か月目", "日目", "年",
    "年度", "年目", "期", "期目", "四半期", "回", "回目", "時点",
})  # fmt: skip
"""Texts around a number that say it counts periods."""

_LETTERS = frozenset({"w", "d", "m", "q", "y", "t", "p"})
"""Letters that do so if the column's name says that it holds periods."""

type Value = float | date


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A format that all texts of a column have.

    Attributes:
        format: its name.
        is_safe: whether the texts can be read in one way only.
        is_named: whether they say themselves that they are periods; `S1, S2` may be shops.
        is_lettered: whether a letter says so that may mean something else, as in `W1`.
        sorts_wrong: whether their order as text is another.
    """

    format: PeriodFormat
    is_safe: bool
    is_named: bool
    is_lettered: bool
    sorts_wrong: bool


def recognise(texts: Sequence[str]) -> Recognised | None:
    """Return the format that all of some texts have; None if there is none, or if there are too few or too many.

    Args:
        texts: the different texts of a column.
    """
    if not _FEWEST <= len(texts) <= MOST_PERIODS:
        return None
    for format_, read in _IN_ORDER:
        values = _read(texts, read)
        if values is None:
            continue
        word = _around(texts) if format_ == "number" else ""
        if word is None or (format_ == "number" and not word) or len(set(values)) < len(values):
            continue
        return Recognised(
            format=_pair_format(texts)
            if format_ == "month-day"
            else _short_format(texts)
            if read is _short
            else format_,
            is_safe=format_ != "month-day" and read is not _short,
            is_named=word in _WORDS if format_ == "number" else texts[0][0] not in "SHR",
            is_lettered=word in _LETTERS or texts[0][0] in "SHR",
            sorts_wrong=_order(values) != _order(list(texts)),
        )
    return None


def as_periods(texts: pl.Series, format_: PeriodFormat) -> pl.Series:
    """Return a column of text as numbers or dates; null where a text does not have the format."""
    distinct = texts.cast(pl.String).drop_nulls().unique(maintain_order=True)
    if format_.startswith("date"):
        values = read_mixed_dates(distinct, format_)
    else:
        read = _READERS[format_]
        found = [read(_narrow(text)) for text in distinct.to_list()]
        dated = any(isinstance(value, date) for value in found)
        values = pl.Series(found, dtype=pl.Date if dated else pl.Float64, strict=False)
        if not dated and (values.drop_nulls() == values.drop_nulls().floor()).all():
            values = values.cast(pl.Int64)
    column = texts.cast(pl.String).replace_strict(distinct, values, default=None, return_dtype=values.dtype)
    return column.alias(texts.name)


def fits(texts: pl.Series) -> list[PeriodFormat]:
    """Return the formats that every text of a column has."""
    distinct = texts.cast(pl.String).drop_nulls().unique(maintain_order=True).head(MOST_PERIODS)
    formats: list[PeriodFormat] = [*_READERS, "date", "date-day-first", "date-month-first"]
    return [format_ for format_ in formats if not as_periods(distinct, format_).null_count()]


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def _read(texts: Sequence[str], read: Callable[[str], Value | None]) -> list[Value] | None:
    values: list[Value] = []
    for text in texts:
        value = read(_narrow(text))
        if value is None:
            return None
        values.append(value)
    return values


def _order(values: Sequence[Value] | Sequence[str]) -> list[int]:
    return sorted(range(len(values)), key=values.__getitem__)


def _around(texts: Sequence[str]) -> str | None:
    """Return the one text around the numbers of all texts; None if they differ."""
    found = {_words_around(_narrow(text)) for text in texts}
    return found.pop() if len(found) == 1 else None


def _words_around(text: str) -> str:
    match = _NUMBER.fullmatch(text)
    assert match is not None
    before, after = (part.strip(" ._-:#()").casefold() for part in match.group("before", "after"))
    return after if before in ("", "第") and after else before


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return float(match["n"]) if match else None


def _year(text: str) -> float | None:
    match = _ERA_YEAR.fullmatch(text)
    return float(_of_era(match)) if match else None


def _of_era(match: re.Match[str]) -> int:
    return _ERA_START[match["era"]] + (1 if match["ey"] == "元" else int(match["ey"]))


def _month(text: str) -> date | None:
    if match := _ERA_MONTH.fullmatch(text):
        return _first_day(_of_era(match), int(match["m"]))
    if match := _MONTH_NUMBER.fullmatch(text):
        return _first_day(int(match["y"]), int(match["m"]))
    named = next((match for pattern in _MONTH_YEAR if (match := pattern.fullmatch(text))), None)
    return _first_day(int(named["y"]), _MONTHS.index(named["name"].lower()) + 1) if named else None


def _short(text: str) -> date | None:
    match = _SHORT_YEAR.fullmatch(text)
    return date(2000 + int(match["yy"]), _MONTHS.index(match["name"].lower()) + 1, 1) if match else None


def _any_month(text: str) -> date | None:
    return _month(text) or _short(text)


def _first_day(year: int, month: int) -> date | None:
    return date(year, month, 1) if 1 <= month <= len(_MONTHS) else None


def _month_name(text: str) -> float | None:
    match = _MONTH_NAME.fullmatch(text)
    return float(_MONTHS.index(match["name"].lower()) + 1) if match else None


def _quarter(text: str) -> date | None:
    for pattern in _QUARTER:
        if match := pattern.fullmatch(text):
            parts = match.groupdict()
            number = parts.get("q") or parts.get("q2") or parts.get("q3")
            assert number is not None
            return date(int(match["y"]), 3 * int(number) - 2, 1)
    return None


def _week(text: str) -> date | None:
    match = _WEEK.fullmatch(text)
    try:
        return date.fromisocalendar(int(match["y"]), int(match["w"]), 1) if match else None
    except ValueError:
        return None


def _month_day(text: str) -> float | None:
    match = _PAIR.fullmatch(text)
    return _day_of_year(int(match["a"]), int(match["b"])) if match else None


def _day_month(text: str) -> float | None:
    match = _PAIR.fullmatch(text)
    return _day_of_year(int(match["b"]), int(match["a"])) if match else None


def _day_of_year(month: int, day: int) -> float | None:
    # A leap year, so that every day of February has a number.
    try:
        return float((date(2000, month, day) - date(1999, 12, 31)).days)
    except ValueError:
        return None


def _day_with_name(text: str) -> float | None:
    match = next((match for pattern in _NAMED_DAY if (match := pattern.fullmatch(text))), None)
    return _day_of_year(_MONTHS.index(match["name"].lower()) + 1, int(match["d"])) if match else None


def _named_or_paired_day(text: str) -> float | None:
    return _month_day(text) or _day_with_name(text)


def _any_day(text: str) -> float | None:
    return _named_or_paired_day(text) or _day_month(text)


def _pair_format(texts: Sequence[str]) -> PeriodFormat:
    return "month-day" if _read(texts, _named_or_paired_day) is not None else "day-month"


def _short_format(texts: Sequence[str]) -> PeriodFormat:
    """Return what `Apr-25` means: a year if few differ, as in a table of months; a day of the month if many do."""
    ends = {int(_narrow(text)[-2:]) for text in texts}
    is_day = len(ends) > _MOST_YEARS and all(1 <= end <= 31 for end in ends)
    return "month-day" if is_day else "month"


_READERS: Mapping[PeriodFormat, Callable[[str], Value | None]] = {
    "number": _number,
    "year": _year,
    "quarter": _quarter,
    "month": _any_month,
    "month-name": _month_name,
    "week": _week,
    "month-day": _named_or_paired_day,
    "day-month": _day_month,
}

_IN_ORDER: Sequence[tuple[PeriodFormat, Callable[[str], Value | None]]] = (
    ("year", _year),
    ("month", _month),
    ("month", _short),
    ("quarter", _quarter),
    ("week", _week),
    ("month-name", _month_name),
    ("number", _number),
    ("month-day", _any_day),
)
