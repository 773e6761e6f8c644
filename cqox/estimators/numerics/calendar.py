"""Calendar time: months, quarters, years and weeks are evenly spaced periods, although not in days."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cqox.estimators.data import Codes, Vector

__all__ = ["CalendarUnit", "Counted", "counted"]

type CalendarUnit = Literal["year", "quarter", "month", "week", "day", "period", "number"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")
_MONTHS: tuple[tuple[int, CalendarUnit], ...] = ((12, "year"), (3, "quarter"), (1, "month"))
_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Periods on the scale of their calendar.

    Attributes:
        values: (periods,) ascending, in units.
        unit: the calendar unit; `number` where the periods are numbers, `period` where they are words.
    """

    values: Vector
    unit: CalendarUnit

    @property
    def whole(self) -> Codes | None:
        """(periods,) integer calendar units, if each period spans one or several of them; else None."""
        return None if self.unit in ("day", "period", "number") else np.rint(self.values).astype(np.int64)


def counted(values: Vector, labels: Sequence[str] | None) -> Counted:
    """Return the periods on their calendar: dates on the same day of each month (or all month ends) count in months.

    Args:
        values: (periods,) ascending; days since 1970 where the labels are dates.
        labels: the user's label of each period; None where that is its number.
    """
    if labels is None:
        return Counted(values=values, unit="number")
    if not _are_dates(values, labels):
        return Counted(values=values, unit="period")
    if not (values == np.floor(values)).all():
        return Counted(values=values, unit="day")
    days = values.astype(np.int64)
    months = _months(days)
    if months is not None:
        gap = math.gcd(*np.diff(months).tolist())
        size, unit = next((size, unit) for size, unit in _MONTHS if gap % size == 0)
        return Counted(values=months[0] // size + (months - months[0]) / size, unit=unit)
    if len(days) > 1 and (np.diff(days) % _WEEK == 0).all():
        return Counted(values=days[0] // _WEEK + (days - days[0]) / _WEEK, unit="week")
    return Counted(values=values, unit="day")


def _are_dates(values: Vector, labels: Sequence[str]) -> bool:
    if not labels or not all(_DATE.fullmatch(label) for label in labels):
        return False
    # Words that look like dates are numbered 0, 1, ...
    return bool(np.datetime64(labels[0][:10], "D").astype(np.int64) == math.floor(values[0]))


def _months(days: Codes) -> Codes | None:
    """Return (periods,) months since 1970, if all periods are on the same day of the month; None if not."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    if len(months) < 2:
        return None
    from_first = dates - months.astype("datetime64[D]")
    to_next = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - dates
    if not ((from_first == from_first[0]).all() or (to_next == to_next[0]).all()):
        return None
    return months.astype(np.int64)
