from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel.repeated_cross_sections import Sections, are_sections, cluster_starts, sections

STARTS = np.array([3.0, np.nan, 2.0])


def rows_of(n: int = 90, **changes: object) -> Data:
    """Rows of three groups in five periods, of which two start treatment."""
    rng = np.random.default_rng(0)
    group, time = np.arange(n) % 3, rng.integers(0, 5, n)
    data = Data(
        n=n, y=rng.standard_normal(n), time=time, time_values=np.arange(5.0), cohort=STARTS[group],
        clusters=(group,), row_key=np.arange(n, dtype=np.uint64),
    )  # fmt: skip
    return replace(data, **changes)


def sections_of(data: Data, **settings: object) -> Sections:
    return sections(Plan(data, Settings(**settings)))


def refusal(data: Data) -> str:
    with pytest.raises(UnusableData) as caught:
        sections_of(data)
    return caught.value.args[0].code


def treated(data: Data, **changes: object) -> Data:
    on = data.time >= np.nan_to_num(data.cohort, nan=99)
    return replace(data, cohort=None, treatment=on.astype(float), treatment_kind="binary", **changes)


def starts(found: Sections) -> dict[int, float]:
    """The start of each row, by its position in the data."""
    positions = np.arange(found.sample.total) if found.sample.index is None else found.sample.index
    return {int(row): cohort.onset.value for cohort in found.cohorts for row in positions[found.position[cohort.units]]}


def test_rows_are_sorted_by_start_and_period_and_bounded() -> None:
    data = rows_of()
    found = sections_of(data)
    first = np.nan_to_num(data.cohort, nan=np.inf)
    assert found.rows.sum() == 90
    for at, cohort in enumerate(found.cohorts):
        for period in range(5):
            own = found.position[found.inside(at, period)]
            assert own.tolist() == np.flatnonzero((first == cohort.onset.value) & (data.time == period)).tolist()
            assert found.rows[at, period] == len(own)
    np.testing.assert_allclose(found.y * found.scale + data.y.mean(), data.y[found.position], atol=1e-12)
    assert (found.period == data.time[found.position]).all()


def test_the_first_periods_alone_have_the_last_treated_as_their_untreated() -> None:
    data = rows_of()
    data = replace(data, cohort=np.nan_to_num(data.cohort, nan=3.0))
    found = sections_of(data)
    early = found.until(3)
    assert [cohort.onset.name for cohort in early.cohorts] == ["2", "never"]
    assert early.sample.n == early.units == np.count_nonzero(data.time < 3)
    assert early.rows.tolist() == found.rows[:, :3].tolist()
    taken = early.sample.take(data.y)[early.position]
    np.testing.assert_allclose(early.y * early.scale + data.y.mean(), taken, atol=1e-12)


def test_every_row_is_a_unit_with_its_own_code() -> None:
    found = sections_of(rows_of())
    codes = np.arange(90) ** 2
    assert found.of_units(codes).tolist() == codes[found.position].tolist()
    assert found.first_rows is found.position


def test_rows_are_sections_unless_a_unit_repeats() -> None:
    repeated = rows_of(unit=np.arange(90) // 2)
    assert [are_sections(Plan(data, Settings())) for data in (rows_of(), rows_of(unit=np.arange(90)), repeated)] == [
        True, True, False,
    ]  # fmt: skip


def test_the_start_is_that_of_the_cohort_of_the_cluster_or_of_post() -> None:
    data = rows_of()
    wanted = {row: float(value) for row, value in enumerate(np.nan_to_num(data.cohort, nan=np.inf))}
    assert starts(sections_of(data)) == wanted
    assert starts(sections_of(treated(data))) == wanted
    ever = replace(data, cohort=None, treatment=(np.arange(90) % 3 == 2).astype(float), treatment_kind="binary",
                   post=(data.time >= 2).astype(float))  # fmt: skip
    assert starts(sections_of(ever)) == {row: 2.0 if row % 3 == 2 else np.inf for row in range(90)}


def test_rows_whose_treatment_starts_with_the_data_are_left_out_and_counted() -> None:
    data = rows_of(cohort=np.array([3.0, np.nan, 0.0])[np.arange(90) % 3])
    found = sections_of(data)
    assert found.sample.n == 60
    assert "panel.rows-treated-from-first-period" in [note.code for note in found.notes]


def test_a_start_that_is_unknown_or_none_is_refused_by_its_reason() -> None:
    data = rows_of()
    mixed = replace(treated(data), treatment=(np.arange(90) % 2).astype(float))
    late = np.where(np.arange(90) == np.flatnonzero(data.time == 4)[0], 0.0, data.time >= 2)
    group = replace(mixed, treatment=(np.arange(90) % 3 == 2).astype(float))
    after = replace(group, treatment=group.treatment * (data.time >= 2), post=(data.time >= 2).astype(float))
    assert refusal(treated(data, clusters=())) == "panel.start-unknown"
    assert refusal(treated(data, clusters=(), unit=np.arange(90))) == "panel.start-unknown-single-rows"
    assert refusal(mixed) == "panel.groups-partly-treated"
    assert refusal(replace(group, post=late)) == "panel.post-varies-within-period"
    assert refusal(after) == "panel.no-row-treated-before-post"
    assert refusal(replace(data, cohort=np.full(90, np.nan))) == "panel.no-row-treated-later"


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ([0, 1, 0, 0, 1, 1], [1, 1, 3, 3, 0, 0]),
        ([0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]),
        ([1, 0, 0, 0, 0, 0], None),
        ([0, 1, 0, 1, 1, 1], [1, 1, 2, 2, 0, 0]),
    ],
)
def test_a_cluster_starts_as_a_whole_or_not_at_all(on: list[int], expected: list[int] | None) -> None:
    clusters, time = np.array([7, 7, 2, 2, 9, 9]), np.array([0, 1, 0, 2, 1, 2])
    found = cluster_starts(np.array(on, dtype=bool), clusters, time, 3)
    assert (None if found is None else found.tolist()) == expected


def test_rows_of_one_cluster_and_period_that_differ_have_no_common_start() -> None:
    assert cluster_starts(np.array([True, False]), np.array([0, 0]), np.array([1, 1]), 2) is None
