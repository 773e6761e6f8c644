"""Texts that are dates: 2024-01-05, 2024/1/5(金), 2024年1月5日, 令和6年1月5日, R6.1.5, 05.01.2024, 2024-01, with time.

A column is one of dates only if every cell is, in one order of year, month and day. 01/05/2024 is read only if some
cell in the column shows which part is the day.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from cqox.contract.messages import Message

__all__ = [
    "Dates", "compact_dates", "compact_months", "dates_at_midnight", "first_days", "is_ambiguous", "may_be_dates",
    "read_dates", "read_in_order", "within_calendar",
]  # fmt: skip

_SAMPLE = 200
_SHOWN = 5
NEARLY_ALL = 0.9
"""The least share of dates in a column of texts that a note is about."""

# 0001-01-01 and 10000-01-01 in days since 1970-01-01.
_FIRST_DAY, _END = -719_162, 2_932_897
# Nanoseconds in 64 bits reach from 1677 to 2262 only.
_PER_DAY = {None: 1, "ms": 86_400_000, "us": 86_400_000_000}
_TIME = (
    r"(?:[T\s]+(?P<h>\d{1,2})[:時](?P<mi>\d{1,2})(?:[:分](?P<s>\d{1,2})秒?(?P<f>\.\d{1,9})?|分)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$"
)
_WEEKDAY = r"(?:\s*[(（][月火水木金土日](?:曜日?)?[)）])?"
_ISO = rf"^(?P<y>\d{{4}})[-/.年]\s*(?P<m>\d{{1,2}})[-/.月]\s*(?P<d>\d{{1,2}})日?{_WEEKDAY}{_TIME}"
_MONTH = r"^(?P<y>\d{4})(?:[-/]|年\s*)(?P<m>\d{1,2})月?$"
_ERA = (
    r"^(?P<era>明治|大正|昭和|平成|令和|[SHR])\s*(?P<ey>元|\d{1,2})[年./]\s*(?P<m>\d{1,2})[月./]\s*(?P<d>\d{1,2})日?"
    rf"{_WEEKDAY}$"
)
_LAST = rf"^(?P<a>\d{{1,2}})(?P<sep>[/.-])(?P<b>\d{{1,2}})[/.-](?P<y>\d{{4}}){_TIME}"
_AMBIGUOUS = Message("datasets.note-ambiguous-dates")
_ENGLISH = ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%y")
_ERA_START = {
    "明治": 1867, "大正": 1911, "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
_NARROW = {**{chr(0xFF10 + i): str(i) for i in range(10)}, "／": "/", "－": "-", "．": ".", "：": ":", "　": " "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Texts read as dates.

    Attributes:
        values: Date, or Datetime in microseconds where some text has a time of day; aligned with the texts.
        notes: what had to be understood.
        style: how they are written; of those with the year last "dotted" or, where a number is no month, the order.
    """

    values: pl.Series
    notes: tuple[Message, ...] = ()
    style: str


def read_dates(texts: pl.Series) -> tuple[Dates | None, Message | None]:
    """The texts as dates, if all of them are; else why a column that looks like dates is none, if it does.

    Args:
        texts: distinct, stripped, without null and without tokens for missing values.
    """
    if not may_have_dates(texts, texts.len()):
        return None, None
    narrow = _narrow(texts)
    if not _numbered(texts.head(_SAMPLE)).all():
        return None, _why_none(texts, narrow)
    for read in (_iso, _months, _eras, _english):
        dates = read(narrow)
        if dates is not None:
            return dates, None
    dates, why = _year_last(narrow)
    return dates, why if why or dates is not None else _why_none(texts, narrow)


def may_have_dates(first: pl.Series, count: int) -> bool:
    """Return whether dates are looked for in texts: not in many of which the first are none.

    Args:
        first: the first different texts, some hundreds at least if there are as many.
        count: how many there are.
    """
    head = first.head(_SAMPLE)
    if not count or int(_numbered(head).sum()) < NEARLY_ALL * head.len():
        return False
    return count <= _SAMPLE or bool(may_be_dates(head).any())


def _numbered(texts: pl.Series) -> pl.Series:
    return texts.str.contains(r"[0-9０-９元]")


def are_in_a_style(texts: pl.Series) -> pl.Series:
    """Return whether each text is a date in numbers, whether or not the calendar has it.

    Args:
        texts: stripped, without null.
    """
    narrow = _narrow(texts)
    return reduce(or_, [narrow.str.contains(style) for style in (_ISO, _MONTH, _ERA, _LAST)])


def almost_dates_note(strays: pl.Series, stray: int, count: int) -> Message | None:
    """Return the note on different texts of which all but some are dates; None where too many are none.

    Args:
        strays: the first of those that are none, at least one.
        stray: how many of them there are.
        count: different texts.
    """
    if count - stray < NEARLY_ALL * count:
        return None
    return Message("datasets.note-almost-dates", values=strays.head(_SHOWN).to_list())


def is_ambiguous(note: Message | None) -> bool:
    """Return whether texts are no dates only because nothing in them shows which part is the day."""
    return note == _AMBIGUOUS


def read_in_order(texts: pl.Series, style: str) -> Dates | None:
    """The texts as dates with the year last in an order that others show.

    Args:
        texts: for which `read_dates` returns that they are ambiguous.
        style: of the others.
    """
    return _in_order(_narrow(texts).str.extract_groups(_LAST).struct.unnest(), style)


def may_be_dates(texts: pl.Series) -> pl.Series:
    """Return whether each text is a date in any notation; a column with a text that is none is no column of dates.

    Args:
        texts: stripped, without null.
    """
    narrow = _narrow(texts)
    styles = [narrow.str.contains(style) for style in (_ISO, _MONTH, _ERA, _LAST)]
    return reduce(or_, [*styles, *(narrow.str.to_date(format_, strict=False).is_not_null() for format_ in _ENGLISH)])


def _narrow(texts: pl.Series) -> pl.Series:
    return texts.str.replace_many(list(_NARROW), list(_NARROW.values()))


def _why_none(texts: pl.Series, narrow: pl.Series) -> Message | None:
    """Explain why texts that are nearly all dates are kept as text, with examples; None for other texts."""
    styles = [narrow.str.contains(style) for style in (_ISO, _MONTH, _ERA, _LAST)]
    dated = reduce(or_, styles)
    if int(dated.sum()) < NEARLY_ALL * dated.len():
        return None
    strays = texts.filter(~dated)
    if strays.len():
        return almost_dates_note(strays, strays.len(), texts.len())
    used = [texts.filter(style)[0] for style in styles if style.any()]
    if len(used) > 1:
        return Message("datasets.note-dates-in-several-styles", values=used)
    parts = narrow.str.extract_groups(_ISO).struct.unnest()
    days = (parts["y"] + "-" + parts["m"].str.zfill(2) + "-" + parts["d"].str.zfill(2)).str.to_date(strict=False)
    odd = texts.filter(styles[0] & days.is_null())
    if odd.len():
        return Message("datasets.note-no-day-of-the-calendar", value=odd[0])
    return Message("datasets.note-unreadable-dates")


def compact_dates(whole: pl.Series) -> pl.Series | None:
    """Whole numbers such as 20240105 as dates, if all of them are days between 1900 and 2100; else None."""
    low, high = whole.min(), whole.max()
    if not (isinstance(low, int) and isinstance(high, int) and low >= 19000101 and high <= 21001231):
        return None
    days = whole.cast(pl.String).str.to_date("%Y%m%d", strict=False)
    return days if days.null_count() == whole.null_count() else None


def compact_months(values: pl.Series) -> pl.Series | None:
    """Whole numbers such as 200312 as the first days of these months; None if some are none.

    All must be months between 1800 and 2200, of more than one year (within one, the numbers are as far apart as the
    months), and none more than a year after the one before it: a count of something else shows itself by one of these.
    """
    if not values.dtype.is_numeric():
        return None
    levels = values.drop_nulls().unique().sort()
    days = first_days(levels)
    if levels.is_empty() or days.null_count():
        return None
    months = days.dt.year().cast(pl.Int64) * 12 + days.dt.month()
    if days.dt.year().n_unique() < 2 or (months.diff().drop_nulls() > 12).any():
        return None
    return first_days(values)


def first_days(months: pl.Series) -> pl.Series:
    """The first days of months that are written as 200312; null where a number is none between 1800 and 2200."""
    number = pl.col("n").cast(pl.Int64, strict=False)
    year, month = number // 100, number % 100
    fits = (number == pl.col("n")) & year.is_between(1800, 2200) & month.is_between(1, 12)
    # Where a number is no month, any other stands in for it: an impossible date would be an error.
    date = pl.date(pl.when(fits).then(year).otherwise(2000), pl.when(fits).then(month).otherwise(1), 1)
    return months.to_frame("n").select(pl.when(fits).then(date)).to_series().alias(months.name)


def within_calendar(values: pl.Series) -> tuple[pl.Series, int]:
    """Dates or moments with those outside the years 1 to 9999 as null, and how many those were.

    Python and JSON have no other years, and polars panics on some of them. A time zone other than UTC may move a
    moment by up to a day, so there the first and the last day are outside as well.
    """
    per_day = _PER_DAY.get(getattr(values.dtype, "time_unit", None))
    if per_day is None:
        return values, 0
    number = values.to_physical()
    moved = getattr(values.dtype, "time_zone", None) not in (None, "UTC")
    inside = (number >= (_FIRST_DAY + moved) * per_day) & (number < (_END - moved) * per_day)
    count = int((~inside).sum())
    if not count:
        return values, 0
    kept = number.to_frame("n").select(pl.when(inside).then(pl.col("n"))).to_series()
    return kept.cast(values.dtype).alias(values.name), count


def dates_at_midnight(moments: pl.Series) -> pl.Series:
    """A column of moments as days if none of them has a time of day, else as it is."""
    days = moments.cast(pl.Date)
    return days if (days.cast(moments.dtype) == moments).all() else moments


def _iso(texts: pl.Series) -> Dates | None:
    if not texts.head(_SAMPLE).str.contains(_ISO).all():
        return None
    return _moments(texts.str.extract_groups(_ISO).struct.unnest())


def _moments(parts: pl.DataFrame) -> Dates | None:
    if parts["y"].null_count():
        return None
    day = _day(parts["y"], parts["m"], parts["d"])
    if day is None:
        return None
    if parts["h"].null_count() == parts.height:
        return Dates(values=day, style="iso")
    zoned = parts["zone"].is_not_null()
    if zoned.any() and not zoned.all():
        return None
    clock = parts.select(
        text=pl.col("y") + "-" + pl.col("m").str.zfill(2) + "-" + pl.col("d").str.zfill(2)
        + " " + pl.col("h").fill_null("0").str.zfill(2) + ":" + pl.col("mi").fill_null("0").str.zfill(2)
        + ":" + pl.col("s").fill_null("0").str.zfill(2) + pl.col("f").fill_null("").str.slice(0, 7)
    )["text"]  # fmt: skip
    # Padding to six decimals keeps one format for all cells.
    clock = clock.str.replace(r"(:\d\d)$", "${1}.0")
    moments = clock.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    if moments.null_count():
        return None
    notes: tuple[Message, ...] = ()
    if zoned.any():
        moments = moments - _offsets(parts["zone"])
        if within_calendar(moments)[1]:
            return None
        notes = (Message("datasets.note-utc"),)
    return Dates(values=dates_at_midnight(moments), notes=notes, style="iso")


def _offsets(zone: pl.Series) -> pl.Series:
    digits = zone.str.replace("Z", "+0000", literal=True).str.replace(":", "", literal=True)
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    signed = minutes.zip_with(digits.str.starts_with("+"), -minutes)
    return (signed * 60_000_000).cast(pl.Duration("us"))


def _months(texts: pl.Series) -> Dates | None:
    if not texts.str.contains(_MONTH).all():
        return None
    parts = texts.str.extract_groups(_MONTH).struct.unnest()
    day = _day(parts["y"], parts["m"], pl.Series(["1"]).new_from_index(0, texts.len()))
    return None if day is None else Dates(values=day, notes=(Message("datasets.note-months"),), style="months")


def _eras(texts: pl.Series) -> Dates | None:
    if not texts.str.contains(_ERA).all():
        return None
    parts = texts.str.extract_groups(_ERA).struct.unnest()
    start = parts["era"].replace_strict(_ERA_START, return_dtype=pl.Int64)
    year = start + parts["ey"].replace({"元": "1"}).cast(pl.Int64)
    day = _day(year.cast(pl.String), parts["m"], parts["d"])
    return None if day is None else Dates(values=day, notes=(Message("datasets.note-eras"),), style="eras")


def _english(texts: pl.Series) -> Dates | None:
    for format_ in _ENGLISH:
        if texts.head(_SAMPLE).str.to_date(format_, strict=False).null_count():
            continue
        day = texts.str.to_date(format_, strict=False)
        if not day.null_count():
            return Dates(values=day, style=format_)
    return None


def _year_last(texts: pl.Series) -> tuple[Dates | None, Message | None]:
    if not texts.head(_SAMPLE).str.contains(_LAST).all():
        return None, None
    parts = texts.str.extract_groups(_LAST).struct.unnest()
    if parts["y"].null_count():
        return None, None
    first, second = parts["a"].cast(pl.Int64), parts["b"].cast(pl.Int64)
    dotted = (parts["sep"] == ".").all()
    if (first > 12).any():
        style = "day first"
    elif dotted:
        style = "dotted"
    elif (second > 12).any():
        style = "month first"
    else:
        return None, _AMBIGUOUS
    return _in_order(parts, style), None


def _in_order(parts: pl.DataFrame, style: str) -> Dates | None:
    month_first = style == "month first"
    month, day = ("a", "b") if month_first else ("b", "a")
    dates = _moments(parts.with_columns(parts[month].alias("m"), parts[day].alias("d")))
    if dates is None:
        return None
    note = Message("datasets.note-month-day-year") if month_first else Message("datasets.note-day-month-year")
    return Dates(values=dates.values, notes=(note, *dates.notes), style=style)


def _day(year: pl.Series, month: pl.Series, day: pl.Series) -> pl.Series | None:
    text = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
    days = text.str.to_date("%Y-%m-%d", strict=False)
    return None if days.null_count() or within_calendar(days)[1] else days
