"""Units of calendar time in words, and lengths of time in them."""

from cqox.contract.messages import Message
from cqox.estimators.numerics.calendar import CalendarUnit

__all__ = ["length_in_words", "unit_in_words"]


def unit_in_words(unit: CalendarUnit, time: str) -> Message:
    """Return a unit of time; periods that are numbers are in units of their column, `time`."""
    match unit:
        case "year":
            return Message("time_series.year")
        case "quarter":
            return Message("time_series.quarter")
        case "month":
            return Message("time_series.month")
        case "week":
            return Message("time_series.week")
        case "day":
            return Message("time_series.day")
        case "period":
            return Message("time_series.period")
        case "number":
            return Message("time_series.unit-of-column", time=time)


def length_in_words(unit: CalendarUnit, length: float) -> Message:
    """Return a length of time; units of a column are called periods."""
    match unit:
        case "year":
            return Message("time_series.years", length=length)
        case "quarter":
            return Message("time_series.quarters", length=length)
        case "month":
            return Message("time_series.months", length=length)
        case "week":
            return Message("time_series.weeks", length=length)
        case "day":
            return Message("time_series.days", length=length)
        case "period" | "number":
            return Message("time_series.periods", length=length)
