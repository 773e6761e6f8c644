from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from cqox.estimators.numerics.calendar import Counted, counted


def of(dates: Sequence[date]) -> Counted:
    values = np.array([(day - date(1970, 1, 1)).days for day in dates], dtype=float)
    return counted(values, [day.isoformat() for day in dates])


def months(count: int, every: int = 1, day: int = 1, first: int = 2010 * 12) -> list[date]:
    return [date(month // 12, month % 12 + 1, day) for month in range(first, first + count * every, every)]


@pytest.mark.parametrize(("every", "unit"), [(1, "month"), (2, "month"), (3, "quarter"), (6, "quarter"), (12, "year")])
def test_days_of_the_calendar_are_counted_by_it(every: int, unit: str) -> None:
    for day in (1, 15):
        found = of(months(20, every, day))
        assert found.unit == unit
        steps = np.diff(found.values)
        assert steps == pytest.approx(np.full(19, {2: 2.0, 6: 2.0}.get(every, 1.0)))


def test_last_days_of_months_are_months() -> None:
    found = of([day - timedelta(days=1) for day in months(24)])
    assert found.unit == "month"
    assert (np.diff(found.values) == 1).all()


def test_months_that_are_not_there_are_counted() -> None:
    dates = months(24)
    found = of([*dates[:5], *dates[8:]])
    assert np.diff(found.values).tolist() == [1] * 4 + [4] + [1] * 15


def test_weeks_are_seven_days_apart() -> None:
    found = of([date(2020, 1, 6) + timedelta(days=7 * week) for week in (*range(10), 12, 13)])
    assert found.unit == "week"
    assert np.diff(found.values).tolist() == [1] * 9 + [3, 1]


def test_other_dates_are_counted_in_days() -> None:
    days = [date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 5)]
    assert of(days).unit == "day"
    assert of(days).whole is None
    assert of([date(2020, 1, 1)]).unit == "day"


def test_moments_are_counted_in_days() -> None:
    found = counted(np.array([0.0, 0.5, 1.0]), ["1970-01-01 00:00:00", "1970-01-01 12:00:00", "1970-01-02 00:00:00"])
    assert (found.unit, found.values.tolist()) == ("day", [0.0, 0.5, 1.0])


def test_words_and_numbers_are_as_they_are() -> None:
    assert counted(np.arange(3.0), ["2005Q1", "2005Q2", "2005Q3"]).unit == "period"
    # Text that was kept as text.
    assert counted(np.arange(3.0), ["2010-01-01", "2010-02-01", "2010-03-01"]).unit == "period"
    assert counted(np.array([2001.0, 2003.0]), None).unit == "number"
