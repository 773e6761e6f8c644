from dataclasses import replace

import numpy as np

from cqox.analysis.timing import periods_of_rows, starts_of
from cqox.estimators import Data, Plan, Settings
from tests.estimators.designs import cross_section, panel


def plan_of(data: Data) -> Plan:
    return Plan(data, Settings())


def weeks(first: str, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    days = np.datetime64(first, "D") + np.arange(count) * np.timedelta64(7, "D")
    return days.astype(np.int64).astype(float), tuple(str(day) for day in days)


def test_periods_have_their_labels_and_the_unit_of_their_calendar() -> None:
    data = panel(periods=6)
    values, names = weeks("2025-01-06", 6)
    plan = plan_of(replace(data, time_values=values, time_labels=names))
    found = periods_of_rows(plan, plan.sample("time"))
    assert found is not None
    assert (found.names, found.unit, str(found.length(3))) == (names, "week", "3 weeks")
    assert found.name(values[2]) == "2025-01-20"
    assert found.length(3).in_language("ja") == "3週"


def test_periods_with_gaps_are_counted_as_periods() -> None:
    data = panel(periods=6)
    values, names = weeks("2025-01-06", 8)
    kept = [0, 1, 2, 5, 6, 7]
    plan = plan_of(replace(data, time_values=values[kept], time_labels=tuple(names[at] for at in kept)))
    found = periods_of_rows(plan, plan.sample("time"))
    assert found is not None
    assert str(found.length(1)) == "1 period"


def test_without_time_there_are_no_periods_and_no_starts() -> None:
    plan = plan_of(cross_section())
    assert periods_of_rows(plan, plan.sample("y")) is None
    assert starts_of(plan, plan.sample("y")) is None


def test_starts_are_those_of_each_unit() -> None:
    data = panel(units=40, periods=6, staggered=True)
    assert data.unit is not None
    assert data.treatment is not None
    plan = plan_of(data)
    found = starts_of(plan, plan.sample("y", "treatment", "unit_id", "time"))
    assert found is not None
    ever = [bool(data.treatment[data.unit == unit].any()) for unit in range(40)]
    assert (found.by_unit, len(found.first)) == (True, 40)
    assert (np.isfinite(found.first) == ever).all()
    assert len(found.waves) > 1
    assert found.before(float(found.waves[0])) == int(np.searchsorted(found.periods.values, found.waves[0]))
