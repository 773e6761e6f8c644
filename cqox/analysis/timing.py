"""Periods of a design over time: who starts treatment when, and how many periods lie before; nothing is estimated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.diagnostics.cohorts import starts_by_row
from cqox.estimators import Plan, Sample, Vector
from cqox.estimators.numerics.calendar import CalendarUnit, counted
from cqox.estimators.time_series.units import length_in_words

__all__ = ["Periods", "Starts", "periods_of_rows", "starts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """The periods of some rows.

    Attributes:
        values: (periods,) on their numeric scale, ascending.
        names: the user's label of each.
        of_rows: (rows,) the value of each row's period.
        unit: the calendar unit, if there is one period for each of them; else `period`.
    """

    values: Vector
    names: tuple[str, ...]
    of_rows: Vector
    unit: CalendarUnit

    def name(self, value: float) -> str:
        """Return the label of the first period at or after a value."""
        at = int(np.searchsorted(self.values, value))
        return self.names[min(at, len(self.names) - 1)]

    def length(self, count: int) -> Message:
        """Return a number of periods in words."""
        return length_in_words(self.unit, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Starts of treatment.

    Attributes:
        periods: the periods.
        first: (units,) the first treated period of each unit, on the scale of the periods; infinite where there is
            none.
        of_rows: (rows,) that of each row's unit.
        by_unit: whether units repeat; else `first` is by row.
    """

    periods: Periods
    first: Vector
    of_rows: Vector
    by_unit: bool

    @property
    def treated(self) -> NDArray[np.bool_]:
        """(units,) True if treatment starts within the periods, after the first."""
        late = self.first > self.periods.values[0]
        return np.asarray(late & (self.first <= self.periods.values[-1]), dtype=np.bool_)

    @property
    def waves(self) -> Vector:
        """The distinct starts within the periods, after the first period, ascending."""
        return np.unique(self.first[self.treated])

    def before(self, start: float) -> int:
        """Return the number of periods before a start."""
        return int(np.searchsorted(self.periods.values, start))


def periods_of_rows(plan: Plan, sample: Sample) -> Periods | None:
    """Return the periods of a sample's rows; None where no time is mapped."""
    data = plan.data
    if data.time is None or data.time_values is None or not sample.n:
        return None
    codes = np.unique(sample.take(data.time))
    values = data.time_values[codes]
    labels = None if data.time_labels is None else [data.time_labels[code] for code in codes.tolist()]
    calendar = counted(values, labels)
    even = len(values) > 1 and bool((np.diff(calendar.values) == 1).all())
    return Periods(
        values=values,
        names=tuple(labels or (f"{value:.10g}" for value in values)),
        of_rows=data.time_values[sample.take(data.time)],
        unit=calendar.unit if even else "period",
    )


def starts_of(plan: Plan, sample: Sample) -> Starts | None:
    """Return the starts of treatment in a sample; None where they are not determined."""
    periods = periods_of_rows(plan, sample)
    if periods is None:
        return None
    found = starts_by_row(plan, sample)
    if found is None:
        return None
    if plan.data.unit is None or not plan.units_repeat:
        return Starts(periods=periods, first=found, of_rows=found, by_unit=False)
    _, at = np.unique(sample.take(plan.data.unit), return_index=True)
    return Starts(periods=periods, first=found[at], of_rows=found, by_unit=True)
