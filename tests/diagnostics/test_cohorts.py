from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.cohorts import Cohorts, cohorts, starts_by_row, timed_sample
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, Vector
from tests.estimators.designs import cross_section, panel, two_periods

STAGGERED = panel(60, periods=8, staggered=True)
DAYS = tuple(f"2024-0{month}-01" for month in range(1, 7))
DATED = replace(
    panel(30), time_values=np.array(DAYS, dtype="datetime64[D]").astype(float), time_labels=DAYS
)  # fmt: skip


def plan(data: Data) -> Plan:
    return Plan(data, Settings())


def found(data: Data) -> Cohorts:
    return cohorts(plan(data))


def starts(data: Data) -> Vector | None:
    made = plan(data)
    return starts_by_row(made, timed_sample(made))


def by_hand(data: Data) -> list[float]:
    """The first treated period of each row's unit."""
    first: dict[int, float] = {}
    for unit, time, treated in zip(data.unit, data.time, data.treatment, strict=True):
        if treated:
            first[unit] = min(first.get(unit, np.inf), data.time_values[time])
    return [first.get(unit, np.inf) for unit in data.unit]


def test_a_unit_starts_in_its_first_treated_period() -> None:
    assert starts(STAGGERED).tolist() == by_hand(STAGGERED)
    shuffled = STAGGERED.rows(np.random.default_rng(1).permutation(STAGGERED.n))
    assert starts(shuffled).tolist() == by_hand(shuffled)


def test_a_mapped_cohort_is_the_start_and_a_missing_one_is_never() -> None:
    cohort = np.where(STAGGERED.unit < 10, 2003.5, np.nan)
    assert starts(replace(STAGGERED, cohort=cohort)).tolist() == np.where(STAGGERED.unit < 10, 2003.5, np.inf).tolist()


def test_with_post_a_unit_that_is_ever_treated_starts_after_it() -> None:
    data = panel(30)
    ever = np.isin(data.unit, data.unit[data.treatment == 1]).astype(float)
    late = replace(data, treatment=ever, post=(data.time >= 4).astype(float))
    assert starts(late).tolist() == np.where(ever == 1, 2004.0, np.inf).tolist()


@pytest.mark.parametrize(
    "data",
    [
        cross_section(50), two_periods(50), replace(STAGGERED, unit=None),
        replace(STAGGERED, treatment_kind="continuous"), replace(STAGGERED, unit=np.arange(STAGGERED.n)),
    ],
)  # fmt: skip
def test_without_a_panel_no_start_is_determined(data: Data) -> None:
    assert starts(data) is None


def test_clusters_of_a_repeated_cross_section_start_as_a_whole_or_not_at_all() -> None:
    data = replace(STAGGERED, clusters=(STAGGERED.unit,), unit=None)
    assert starts(data).tolist() == by_hand(STAGGERED)
    assert starts(replace(data, clusters=(STAGGERED.unit // 30,))) is None
    ended = np.where(data.time == 7, 0.0, data.treatment)
    assert starts(replace(data, treatment=ended)) is None


def test_each_row_is_in_the_group_of_its_start() -> None:
    groups = found(STAGGERED)
    assert list(groups.starts) == [*sorted(set(by_hand(STAGGERED)) - {np.inf}), None]
    for row, start in enumerate(by_hand(STAGGERED)):
        assert groups.starts[groups.group[row]] == (start if np.isfinite(start) else None)
    assert [label.code for label in groups.labels] == ["cohorts.treated-from"] * (len(groups.labels) - 1) + [
        "cohorts.never-treated"
    ]
    assert groups.values[groups.periods].tolist() == STAGGERED.time_values[STAGGERED.time].tolist()


def test_of_many_starts_the_six_with_the_most_rows_are_groups_and_the_others_are_pooled() -> None:
    units, periods = 40, 12
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    # Starts 1 to 8 have 1 to 8 units, and 4 units are never treated.
    start = np.array([number for number in range(1, 9) for _ in range(number)] + [99] * 4)
    data = replace(
        panel(units, periods=periods), treatment=(time >= start[unit]).astype(float), unit=unit, time=time,
        time_values=np.arange(periods, dtype=float),
    )  # fmt: skip
    groups = found(data)
    assert groups.starts == (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, None, None)
    assert [label.code for label in groups.labels[-2:]] == ["cohorts.other-starts", "cohorts.never-treated"]
    assert groups.labels[-2].params == {"starts": 2}
    assert np.bincount(groups.group).tolist() == [number * periods for number in (3, 4, 5, 6, 7, 8, 3, 4)]


def test_where_every_unit_is_treated_no_group_is_never_treated() -> None:
    data = panel(30)
    data = data.rows(np.flatnonzero(np.isin(data.unit, data.unit[data.treatment == 1])))
    assert [label.code for label in found(data).labels] == ["cohorts.treated-from"]


def test_before_and_after_are_periods_of_the_two_arms() -> None:
    data = two_periods(100)
    groups = found(data)
    assert (groups.scale, groups.starts) == ("words", (None, 1.0))
    assert groups.group.tolist() == data.treatment.tolist()
    assert groups.periods.tolist() == data.post.tolist()
    assert [label.code for label in groups.labels] == ["cohorts.untreated", "cohorts.treated"]


def test_a_period_has_the_name_in_the_data_and_a_value_between_periods_its_own() -> None:
    dated = found(DATED)
    assert dated.scale == "date"
    assert dated.name_of(float(dated.values[2])) == "2024-03-01"
    assert dated.name_of(float(np.datetime64("2024-03-20").astype(int))) == "2024-03-20"
    assert dated.name_of(0.5) == "0.5"
    numbers = found(panel(30))
    assert (numbers.scale, numbers.name_of(2003.0), numbers.name_of(2003.25)) == ("number", "2003", "2003.25")
    words = found(replace(panel(30), time_values=np.arange(6.0), time_labels=tuple("abcdef")))
    assert (words.scale, words.name_of(4.0), words.name_of(9.0)) == ("words", "e", "9")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (cross_section(50), "diagnostics.no-time-dimension"),
        (replace(panel(10), y=np.full(60, np.nan)), "diagnostics.no-complete-panel-row"),
        (replace(panel(10), treatment_kind="continuous"), "diagnostics.no-cohorts"),
    ],
)
def test_what_has_no_groups_over_time_is_refused_with_the_reason(data: Data, code: str) -> None:
    with pytest.raises(UnusableData) as caught:
        found(data)
    assert caught.value.detail.code == code
