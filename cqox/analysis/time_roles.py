"""Time roles: periods, first treated periods and intervention times, converted to one scale.

Months written as whole numbers (200312, then 200401) become dates: as numbers December and January would be 89 apart.
Text that can be read as periods in one way only (W1, 第1週, Q1 2025, 令和7年4月) becomes numbers or dates.
Words in a cohort column that mean never, and infinity, become missing, which represents a never-treated unit.
"""

import math
from collections.abc import Mapping
from datetime import date

import polars as pl

from cqox.analysis.levels import folded
from cqox.contract import PeriodFormat, RoleMapping
from cqox.contract.messages import Message
from cqox.datasets.dates import compact_months, first_days, read_dates
from cqox.datasets.parquet_store import ColumnsOnDisk
from cqox.datasets.periods import as_periods, recognise
from cqox.errors import InvalidRequest
from cqox.estimators.sample import listed

__all__ = ["cohort_column", "means_never", "time_column", "timing_notes", "with_months"]

type _Rows = pl.DataFrame | ColumnsOnDisk

_NEVER = {
    "never", "never treated", "nevertreated", "not treated", "not yet", "untreated", "none", "no", "control",
    "controls", "inf", "+inf", "infinity", "+infinity", "∞", "未処置", "未導入", "未実施", "処置なし", "介入なし",
    "対象外", "対照", "なし", "無し", "無",
}  # fmt: skip
"""Words in a column of first treated periods that mean never treated."""


def time_column(frame: _Rows, roles: RoleMapping) -> pl.Series:
    """Return the periods; as dates if they are whole numbers of the form YYYYMM, text by its order if it has one."""
    series = frame[str(roles["time"])]
    months = compact_months(series)
    if months is not None:
        return months
    format_ = _format(series)
    return series if format_ is None else as_periods(series, format_)


def means_never(word: str) -> bool:
    """Return whether a word in a column of first treated periods means never treated."""
    return folded(word).replace("-", " ").replace("_", " ") in _NEVER


def _format(series: pl.Series) -> PeriodFormat | None:
    """Return the one format that the texts of a column can be read by; None if there is none."""
    if series.dtype not in (pl.String, pl.Enum):
        return None
    found = recognise(series.cast(pl.String).drop_nulls().unique(maintain_order=True).to_list())
    return found.format if found is not None and found.is_safe else None


def cohort_column(frame: _Rows, roles: RoleMapping) -> pl.Series:
    """Return the first treated periods, missing for never-treated units.

    Raises:
        InvalidRequest: the column contains words that are not periods, numbers that are not months while the periods
            are months, or numbers that could be periods or mean never.
    """
    return _cohort(frame, roles)[0]


def with_months(frame: _Rows, roles: RoleMapping) -> RoleMapping:
    """Return the roles with an `intervention_time` of the form YYYYMM as a date, if the periods are dates.

    Raises:
        InvalidRequest: the periods are months of that form, and it is a number that is not a month.
    """
    given = roles.get("intervention_time")
    if isinstance(given, str) or given is None or "time" not in roles:
        return roles
    raw, time = frame[str(roles["time"])], time_column(frame, roles)
    if not time.dtype.is_temporal():
        return roles
    month = first_days(pl.Series([given], dtype=pl.Float64))[0]
    if isinstance(month, date):
        return {**roles, "intervention_time": month.isoformat()}
    if raw.dtype.is_temporal():
        return roles
    raise InvalidRequest(
        Message("analysis.intervention-not-month", given=given, time=raw.name, example=_example(raw) or time.max()),
        field="mapping.intervention_time",
    )


def timing_notes(frame: _Rows, roles: RoleMapping) -> list[Message]:
    """Return notes on the conversion of these roles."""
    notes: list[Message] = []
    if "time" in roles:
        raw = frame[str(roles["time"])]
        time = time_column(frame, roles)
        format_ = _format(raw)
        if format_ is not None:
            first, last = str(time.min()), str(time.max())
            notes.append(Message("findings.periods-read", column=raw.name, format=format_, first=first, last=last))
        elif time.dtype != raw.dtype:
            notes.append(Message("analysis.read-as-months", column=raw.name, example=_example(raw)))
    if "cohort" in roles:
        notes += _cohort(frame, roles)[1]
    return notes


def _cohort(frame: _Rows, roles: RoleMapping) -> tuple[pl.Series, list[Message]]:
    series, notes = frame[str(roles["cohort"])], list[Message]()
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        series, notes = _without_never(series, _format(frame[str(roles["time"])]) if "time" in roles else None)
    elif series.dtype.is_float():
        endless = series.is_infinite().fill_null(value=False)
        if endless.any():
            notes.append(_never_note(series.name, {Message("analysis.infinity"): int(endless.sum())}))
            series = series.to_frame("c").select(pl.when(~endless).then("c")).to_series().alias(series.name)
    if "time" in roles and series.dtype.is_numeric():
        time = time_column(frame, roles)
        if time.dtype.is_temporal():
            return _in_months(series, frame[str(roles["time"])]), notes
        _check_never(series, time)
    return series, notes


def _check_never(cohort: pl.Series, time: pl.Series) -> None:
    """Reject first treated periods of 0 or less, which mean never, if treatment could start in such a period.

    In the first period it could not: a unit treated in all periods has no periods to compare with.
    """
    first = time.min() if time.dtype.is_numeric() else None
    if not isinstance(first, int | float) or first >= 0:
        return
    doubtful = cohort.filter((cohort > first) & (cohort <= 0)).unique().sort()
    if len(doubtful):
        raise InvalidRequest(
            Message(
                "analysis.never-or-period",
                cohort=cohort.name,
                values=listed([f"{value:.10g}" for value in doubtful], 6),
                time=time.name,
                first=first,
            ),
            field="mapping.cohort",
        )


def _without_never(series: pl.Series, format_: PeriodFormat | None) -> tuple[pl.Series, list[Message]]:
    """Parse words as numbers or dates, or by the format of the periods; those that mean never as missing."""
    words = series.cast(pl.String)
    levels = words.drop_nulls().unique(maintain_order=True).to_list()
    never = [word for word in levels if means_never(word)]
    rest = pl.Series([word for word in levels if word not in never], dtype=pl.String)
    numbers = rest.cast(pl.Float64, strict=False)
    strays = rest.filter(numbers.is_null() | ~numbers.is_finite())
    read = read_dates(rest)[0] if len(strays) else None
    values = numbers if read is None else read.values
    if len(strays) and read is None and format_ is not None:
        values = as_periods(rest, format_)
    if len(strays) and values.null_count():
        if len(strays) == len(rest):
            # No word is a period: the wrong column is mapped, and is rejected as such.
            return series, []
        odd = listed([f"'{word}'" for word in strays.to_list()], 6)
        raise InvalidRequest(
            Message("analysis.cohort-words", column=series.name, words=odd),
            field="mapping.cohort",
        )
    column = words.replace_strict(rest, values, default=None, return_dtype=values.dtype).alias(series.name)
    counts = {f"'{word}'": int((words == word).sum()) for word in never}
    return column, [_never_note(series.name, counts)] if counts else []


def _never_note(name: str, counts: Mapping[str, int]) -> Message:
    shown = listed([Message("analysis.word-in-rows", word=word, rows=rows) for word, rows in counts.items()], 6)
    return Message("analysis.means-never", column=name, words=shown)


def _in_months(cohort: pl.Series, time: pl.Series) -> pl.Series:
    """Convert numbers of the form YYYYMM to dates; unchanged if they are not and the periods are calendar dates."""
    numbers = cohort.cast(pl.Float64)
    months = first_days(numbers)
    # 0 and less, and a number after every period, mean that a unit is never treated.
    latest = time.max() if time.dtype.is_numeric() else None
    beyond = numbers > (latest if isinstance(latest, int | float) else math.inf)
    wrong = numbers.is_not_null() & months.is_null() & (numbers > 0) & ~beyond
    if not wrong.any():
        return months
    if time.dtype.is_temporal():
        return cohort
    raise InvalidRequest(
        Message(
            "analysis.cohort-not-months",
            cohort=cohort.name,
            values=listed([f"{value:.10g}" for value in numbers.filter(wrong).unique().sort()], 6),
            time=time.name,
            example=_example(time),
        ),
        field="mapping.cohort",
    )


def _example(time: pl.Series) -> str:
    latest = time.max()
    return f"{latest:.10g}" if isinstance(latest, int | float) else ""
