from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel.layout import Panel, row_positions, staggered_panel
from cqox.estimators.sample import Sample

STARTS = np.array([3.0, np.nan, 2.0, np.nan])


def block(drop: tuple[int, ...] = (), **changes: object) -> Data:
    """Four units in five periods, of which two start treatment; y is 100 times the unit plus the period."""
    unit, time = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    data = Data(
        n=20, y=100.0 * unit + time, unit=unit, time=time, time_values=np.arange(5.0), cohort=STARTS[unit],
        row_key=unit.astype(np.uint64),
    )  # fmt: skip
    return replace(data, **changes).rows(np.setdiff1d(np.arange(20), drop))


def panel_of(data: Data, **settings: object) -> Panel:
    return staggered_panel(Plan(data, Settings(**settings)))


def refusal(data: Data) -> str:
    with pytest.raises(UnusableData) as caught:
        panel_of(data)
    return caught.value.args[0].code


def treated(data: Data, on: np.ndarray) -> Data:
    return replace(data, cohort=None, treatment=on.astype(float), treatment_kind="binary")


def test_outcomes_are_laid_out_by_period_and_by_unit_in_the_order_of_starts() -> None:
    data = block()
    shuffled = np.random.default_rng(0).permutation(20)
    for rows in (np.arange(20), shuffled):
        panel = panel_of(data.rows(rows))
        raw = panel.y * panel.scale + data.y.mean()
        np.testing.assert_allclose(raw, np.array([200, 0, 100, 300]) + np.arange(5)[:, None], atol=1e-10)
        assert [cohort.size for cohort in panel.cohorts] == [1, 1, 2]
        assert panel.present is None
        np.testing.assert_array_equal(data.rows(rows).y[panel.position], data.y.mean() + panel.y * panel.scale)


def test_cells_without_a_row_are_marked_and_a_units_first_row_is_its_earliest() -> None:
    data = block(drop=(5, 6, 12))
    panel = panel_of(data)
    assert panel.present is not None
    gone = [(int(period), int(unit)) for period, unit in np.argwhere(~panel.present)]
    assert gone == [(0, 2), (1, 2), (2, 0)]
    assert (panel.y[~panel.present] == 0).all()
    assert data.time[panel.first_rows].tolist() == [0, 0, 2, 0]
    assert data.unit[panel.first_rows].tolist() == [2, 0, 1, 3]


def test_codes_of_rows_are_codes_of_units_only_where_they_do_not_change() -> None:
    data = block(drop=(5,))
    panel = panel_of(data)
    codes = panel.of_units(data.unit * 7)
    assert codes is not None
    assert codes.tolist() == [14, 0, 7, 21]
    assert panel.of_units(data.time) is None


def test_the_first_periods_alone_have_the_last_treated_as_their_untreated() -> None:
    unit = np.repeat(np.arange(4), 5)
    data = block(drop=(12,), cohort=np.array([3.0, 3.0, 2.0, 3.0])[unit])
    panel = panel_of(data)
    early = panel.until(3)
    assert (early.periods, early.sample.n) == (3, 11)
    assert [cohort.onset.name for cohort in panel.cohorts] == ["2", "3"]
    assert [cohort.onset.name for cohort in early.cohorts] == ["2", "never"]
    assert early.present is not None
    kept = early.sample.take(data.y)[early.position]
    np.testing.assert_allclose((early.y * early.scale + data.y.mean())[early.present], kept[early.present])


def test_a_unit_treated_from_the_first_period_on_is_left_out_and_counted() -> None:
    unit = np.repeat(np.arange(4), 5)
    panel = panel_of(block(cohort=np.array([3.0, np.nan, 0.0, np.nan])[unit]))
    assert panel.units == 3
    assert panel.sample.n == 15
    assert "panel.units-treated-from-first-period" in [note.code for note in panel.notes]


def test_starts_are_read_from_a_treatment_and_from_one_of_groups_with_a_time() -> None:
    data = block()
    on = data.time >= np.nan_to_num(data.cohort, nan=99)
    ever = replace(treated(data, data.unit == 2), post=(data.time >= 2).astype(float))
    assert [cohort.onset.value for cohort in panel_of(treated(data, on)).treated] == [2.0, 3.0]
    assert [(each.onset.value, each.size) for each in panel_of(ever).treated] == [(2.0, 1)]


def test_weights_that_change_are_kept_by_cell_and_constant_ones_are_not() -> None:
    constant, moving = (block(drop=(5,), weights=1.0 + np.repeat(np.arange(4), 5) + step * np.arange(20))
                        for step in (0.0, 0.1))  # fmt: skip
    assert panel_of(constant).changing_weights is None
    panel = panel_of(moving)
    assert panel.changing_weights is not None
    assert panel.changing_weights[0, 2] == 0.0
    np.testing.assert_allclose(panel.weights, (moving.weights / moving.weights.mean())[panel.first_rows])


def test_what_is_no_panel_is_refused_by_its_reason() -> None:
    data = block()
    ends = treated(data, (data.unit == 2) & (data.time == 2))
    assert refusal(replace(data, unit=None)) == "panel.needs-unit-and-time"
    assert refusal(replace(data, unit=np.arange(20))) == "panel.single-rows"
    assert refusal(data.rows(np.append(np.arange(20), 3))) == "panel.repeated-rows-or-cluster"
    assert refusal(replace(data, cohort=np.arange(20.0))) == "panel.cohort-changes"
    assert refusal(ends) == "panel.treatment-ends-in-rows"
    assert refusal(replace(data, cohort=np.full(20, np.nan))) == "panel.no-unit-treated-later"


def test_many_empty_cells_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = block(drop=tuple(each for each in range(20) if each not in (0, 6, 12, 13)))
    monkeypatch.setattr("cqox.estimators.panel.layout._MOST_CELLS", 11)
    assert panel_of(data).y.size == 12  # at most so many cells for each of the four rows
    monkeypatch.setattr("cqox.estimators.panel.layout._MOST_GAPS", 2)
    assert refusal(data) == "panel.too-many-gaps"


def test_a_position_is_that_of_the_row_and_minus_one_where_there_is_none() -> None:
    sample = Sample(total=9, n=3, index=np.array([2, 5, 8]))
    assert row_positions(Plan(block(), Settings()), sample, np.array([3, 0, 5]), 2, 3).tolist() == [
        [1, -1, -1],
        [0, -1, 2],
    ]
    with pytest.raises(UnusableData) as caught:
        row_positions(Plan(block(), Settings()), sample, np.array([0, 0, 1]), 2, 3)
    assert str(caught.value.args[0].params["rows"]) == "3"  # counted from 1 in the whole data
