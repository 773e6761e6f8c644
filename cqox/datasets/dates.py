"""Dates as people write them, to dates: ISO, 2024/1/5, 2024年1月5日, 令和6年1月5日, 2024-01, with a time or without.

Day before month or month before day is decided by the column: a part above twelve is a day. A column that leaves both
open is not read as dates, and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

__all__ = ["DateReading", "read_dates"]

_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "r": 2018, "h": 1988, "s": 1925}
_WEEKDAY = r"\s*[(（]?(?:月|火|水|木|金|土|日|mon|tue|wed|thu|fri|sat|sun)(?:曜日?)?[)）]?"
_DAY = r"^(\d{4})\s*(?:年|[-/.])\s*(\d{1,2})\s*(?:月|[-/.])\s*(\d{1,2})\s*日?"
_MONTH = r"^(\d{4})(?:-(\d{2})|/(\d{1,2})|年\s*(\d{1,2})月)$"
_ERA = r"^(令和|平成|昭和|大正|r|h|s)\s*(\d{1,2}|元)\s*[年.\-/]\s*(\d{1,2})\s*[月.\-/]\s*(\d{1,2})\s*日?$"
_ENDS_IN_YEAR = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$"
_TIME = (
    r"^(?:t|\s+)?(\d{1,2})(?::|時)(\d{1,2})(?:(?::|分)(\d{1,2})(?:\.(\d{1,9}))?秒?|分)?\s*(z|utc|[+\-]\d{2}:?\d{2})?$"
)
_HOUR_ONLY = r"^\s*(\d{1,2})時$"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateReading:
    """Texts, read as dates.

    Attributes:
        values: Date or Datetime, null where the text is no date.
        notes: what was decided; empty where the texts were ISO dates.
        refused: why texts that look like dates were not read, if that was so.
    """

    values: pl.Series
    notes: tuple[str, ...] = ()
    refused: str = ""


def read_dates(texts: pl.Series) -> DateReading:
    """The texts as dates by the first spelling that reads every one of them, else by the one that reads most.

    Args:
        texts: strings without missing values; the distinct ones of a column are enough.
    """
    plain = texts.str.normalize("NFKC").str.strip_chars().str.to_lowercase()
    best = DateReading(values=pl.Series(texts.name, [None] * texts.len(), dtype=pl.Date))
    readers: tuple[Callable[[pl.Series], DateReading], ...] = (_days, _months, _eras, _years_last)
    for reader in readers:
        reading = reader(plain)
        if reading.refused or reading.values.null_count() < best.values.null_count():
            best = reading
        if best.values.null_count() == 0 or best.refused:
            break
    return DateReading(values=best.values.alias(texts.name), notes=best.notes, refused=best.refused)


def _days(plain: pl.Series) -> DateReading:
    parts = _parts(plain, _DAY, ("year", "month", "day"))
    date = _date(parts["year"], parts["month"], parts["day"])
    rest = plain.str.replace(_DAY, "").str.replace(rf"^{_WEEKDAY}", "")
    has_time = rest.str.len_bytes() > 0
    if not (has_time & date.is_not_null()).any():
        return DateReading(values=pl.select(pl.when(~has_time).then(date)).to_series())
    time = _time(rest)
    known = date.is_not_null() & (~has_time | time.values.is_not_null())
    moments = date.cast(pl.Datetime("us")) + time.values.fill_null(0).cast(pl.Duration("us"))
    return DateReading(values=pl.select(pl.when(known).then(moments)).to_series(), notes=time.notes)


def _time(rest: pl.Series) -> DateReading:
    """Microseconds since midnight, minus the zone's offset."""
    parts = rest.to_frame("t").select(
        pl.coalesce(pl.col("t").str.extract(_TIME, 1), pl.col("t").str.extract(_HOUR_ONLY, 1))
        .cast(pl.Int64, strict=False)
        .alias("hour"),
        pl.col("t").str.extract(_TIME, 2).cast(pl.Int64, strict=False).fill_null(0).alias("minute"),
        pl.col("t").str.extract(_TIME, 3).cast(pl.Int64, strict=False).fill_null(0).alias("second"),
        pl.col("t").str.extract(_TIME, 4).fill_null("0").str.pad_end(6, "0").str.head(6).cast(pl.Int64).alias("micro"),
        pl.col("t").str.extract(_TIME, 5).str.replace(":", "", literal=True).alias("zone"),
    )
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    hours = pl.col("zone").str.extract(r"^[+\-](\d{2})", 1).cast(pl.Int64).fill_null(0)
    minutes = pl.col("zone").str.extract(r"^[+\-]\d{2}(\d{2})", 1).cast(pl.Int64).fill_null(0)
    seconds = pl.col("hour") * 3600 + pl.col("minute") * 60 + pl.col("second") - sign * (hours * 3600 + minutes * 60)
    valid = (pl.col("hour") <= 23) & (pl.col("minute") <= 59) & (pl.col("second") <= 59)
    values = parts.select(pl.when(valid).then(seconds * 1_000_000 + pl.col("micro"))).to_series()
    zoned = parts["zone"].is_not_null().any()
    return DateReading(values=values, notes=("Times with a zone are given in UTC.",) if zoned else ())


def _months(plain: pl.Series) -> DateReading:
    frame = plain.to_frame("t")
    year = frame.select(pl.col("t").str.extract(_MONTH, 1).cast(pl.Int32, strict=False)).to_series()
    month = frame.select(
        pl.coalesce(pl.col("t").str.extract(_MONTH, group) for group in (2, 3, 4)).cast(pl.Int32, strict=False)
    ).to_series()
    values = _date(year, month, pl.repeat(1, plain.len(), dtype=pl.Int32, eager=True))
    return DateReading(values=values, notes=("Months are read as their first day.",))


def _eras(plain: pl.Series) -> DateReading:
    frame = plain.to_frame("t")
    parts = frame.select(
        pl.col("t").str.extract(_ERA, 1).replace_strict(_ERAS, default=None, return_dtype=pl.Int32).alias("base"),
        pl.col("t").str.extract(_ERA, 2).replace("元", "1").cast(pl.Int32, strict=False).alias("year"),
        pl.col("t").str.extract(_ERA, 3).cast(pl.Int32, strict=False).alias("month"),
        pl.col("t").str.extract(_ERA, 4).cast(pl.Int32, strict=False).alias("day"),
    )
    values = _date(parts["base"] + parts["year"], parts["month"], parts["day"])
    return DateReading(values=values, notes=("Years of Japanese eras are read as years of the common era.",))


def _years_last(plain: pl.Series) -> DateReading:
    parts = _parts(plain, _ENDS_IN_YEAR, ("first", "second", "year"))
    nothing = pl.Series([None] * plain.len(), dtype=pl.Date)
    if parts["year"].null_count() > 0:
        return DateReading(values=nothing)
    first, second = parts["first"], parts["second"]
    if (first > 12).any() and not (second > 12).any():
        order, values = "day/month/year", _date(parts["year"], second, first)
    elif (second > 12).any() and not (first > 12).any():
        order, values = "month/day/year", _date(parts["year"], first, second)
    else:
        refused = "Whether the day or the month comes first cannot be told; write the dates as year-month-day."
        return DateReading(values=nothing, refused=refused)
    return DateReading(values=values, notes=(f"Dates are read as {order}.",))


def _parts(plain: pl.Series, pattern: str, names: tuple[str, ...]) -> pl.DataFrame:
    return plain.to_frame("t").select(
        pl.col("t").str.extract(pattern, group).cast(pl.Int32, strict=False).alias(name)
        for group, name in enumerate(names, start=1)
    )


def _date(year: pl.Series, month: pl.Series, day: pl.Series) -> pl.Series:
    # Built as text, because polars raises on an impossible date of numbers and gives null on one of text.
    frame = pl.DataFrame({"y": year, "m": month, "d": day})
    text = pl.format("{}-{}-{}", pl.col("y"), pl.col("m"), pl.col("d"))
    return frame.select(text.str.to_date("%Y-%m-%d", strict=False)).to_series()
