from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel import block_panel as module
from cqox.estimators.panel.block_panel import BlockPanel, block_panel

UNITS, PERIODS, START = 6, 5, 3


def block(drop: tuple[tuple[int, int], ...] = (), **changes: object) -> Data:
    """Six units in five periods, of which the first two are treated from the fourth period on."""
    unit, time = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    rng = np.random.default_rng(0)
    data = Data(
        n=len(unit), y=5 + rng.standard_normal(len(unit)), unit=unit, time=time,
        time_values=np.arange(2000.0, 2000.0 + PERIODS), treatment=((unit < 2) & (time >= START)).astype(float),
        treatment_kind="binary", row_key=(unit * 7 % 5).astype(np.uint64),
    )  # fmt: skip
    gone = [period + PERIODS * each for each, period in drop]
    return replace(data, **changes).rows(np.setdiff1d(np.arange(data.n), gone))


def panel_of(data: Data) -> BlockPanel:
    found = block_panel(Plan(data, Settings()))
    assert isinstance(found, BlockPanel), found
    return found


def refusal(data: Data) -> str:
    found = block_panel(Plan(data, Settings()))
    assert isinstance(found, Message)
    return found.code


def test_outcomes_are_standardised_by_the_donors_before_treatment() -> None:
    data = block()
    panel = panel_of(data)
    wide = data.y.reshape(UNITS, PERIODS)
    past = wide[2:, :START]
    assert (panel.centre, panel.scale) == (pytest.approx(past.mean()), pytest.approx(past.std()))
    for outcomes, units in ((panel.treated, panel.treated_units), (panel.donors, panel.donor_units)):
        np.testing.assert_allclose(outcomes * panel.scale + panel.centre, wide[units], rtol=1e-12)
    np.testing.assert_allclose(panel.target, panel.treated.mean(axis=0))
    assert (panel.before, panel.after, panel.rows) == (3, 2, 30)
    assert sorted(panel.donor_units.tolist()) == [2, 3, 4, 5]
    assert panel.times.tolist() == [2000.0, 2001.0, 2002.0, 2003.0, 2004.0]


def test_the_order_of_rows_and_codes_of_units_change_nothing() -> None:
    data = block()
    panel = panel_of(data)
    turned = np.array([5, 3, 1, 0, 2, 4])
    for other in (data.rows(np.random.default_rng(1).permutation(30)), replace(data, unit=turned[data.unit])):
        found = panel_of(other)
        np.testing.assert_array_equal(found.donors, panel.donors)
        np.testing.assert_array_equal(found.treated, panel.treated)


def test_donors_are_named_by_their_labels_or_their_codes() -> None:
    panel = panel_of(block())
    labelled = replace(panel, labels=tuple("abcdef"))
    assert [labelled.donor(row) for row in range(4)] == ["abcdef"[panel.donor(row)] for row in range(4)]
    assert panel_of(block(unit_labels=tuple("abcdef"))).labels == tuple("abcdef")


def test_outcomes_of_any_magnitude_and_constant_ones_have_a_scale() -> None:
    huge = block(y=block().y * 1e200)
    assert panel_of(huge).scale == pytest.approx(panel_of(block()).scale * 1e200)
    flat = np.where(block().treatment > 0, 9.0, 4.0)
    panel = panel_of(block(y=flat))
    assert (panel.centre, panel.scale) == (4.0, 4.0)
    assert panel_of(block(y=flat - 4.0)).scale == 1.0


def test_a_treated_unit_with_gaps_gives_way_to_a_complete_one_and_else_its_periods_do() -> None:
    one = panel_of(block(drop=((0, 1),)))
    assert one.treated_units.tolist() == [1]
    assert [doubt.code for doubt in one.warnings] == ["panel.treated-units-left-out"]
    assert (one.before, one.notes) == (3, ())
    both = panel_of(block(drop=((0, 1), (1, 4))))
    assert sorted(both.treated_units.tolist()) == [0, 1]
    assert both.times.tolist() == [2000.0, 2002.0, 2003.0]
    assert [note.code for note in both.notes] == ["panel.periods-left-out"]


def test_donors_that_miss_a_kept_period_are_left_out_and_others_are_not() -> None:
    panel = panel_of(block(drop=((3, 0), (0, 1), (1, 1), (4, 1))))
    assert sorted(panel.donor_units.tolist()) == [2, 4, 5]
    assert "panel.untreated-units-left-out" in [note.code for note in panel.notes]


def test_with_post_the_treatment_marks_groups() -> None:
    data = block()
    groups = replace(data, treatment=(data.unit < 2).astype(float), post=(data.time >= START).astype(float))
    np.testing.assert_array_equal(panel_of(groups).treated, panel_of(data).treated)


def test_what_is_no_block_is_refused_by_its_reason() -> None:
    data = block()
    on, unit, time = data.treatment, data.unit, data.time
    late = np.where((unit == 1) & (time == START), 0.0, on)
    assert refusal(replace(data, weights=np.ones(30))) == "panel.no-sampling-weights"
    assert refusal(replace(data, y=np.full(30, np.nan))) == "panel.no-complete-row"
    assert refusal(replace(data, treatment=np.zeros(30))) == "panel.no-treated-row"
    assert refusal(replace(data, treatment=(time >= START).astype(float))) == "panel.no-never-treated"
    assert refusal(replace(data, treatment=np.where(time == 4, 0.0, on) * (unit == 0) + on * (unit == 1))) == (
        "panel.treatment-ends"
    )
    assert refusal(replace(data, treatment=late)) == "panel.several-starts"
    assert refusal(replace(data, treatment=(unit < 2).astype(float))) == "panel.no-unit-before-treatment-in"
    assert refusal(data.rows(np.append(np.arange(30), 4))) == "panel.repeated-rows"
    assert refusal(block(drop=((0, 0), (0, 1), (1, 0), (1, 1)))) == "panel.too-few-complete-periods"
    assert refusal(block(drop=((2, 0), (3, 0), (4, 1)))) == "panel.too-few-complete-units"


def test_panels_beyond_the_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DONORS", 3)
    assert refusal(block()) == "panel.too-many-untreated-units"
    monkeypatch.setattr(module, "MOST_CELLS", 29)
    assert refusal(block()) == "panel.too-many-cells-keep-units"
