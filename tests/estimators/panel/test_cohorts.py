import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel.cohorts import centred, cohorts_of, complete_sample, narrowed, periods_of
from cqox.estimators.panel.layout import staggered_panel
from cqox.estimators.panel.onsets import LATEST, Onset
from cqox.estimators.sample import Sample
from tests.estimators.staggering import staggered


def plan_of(**changes: object) -> Plan:
    return Plan(replace(staggered(60, covariates=False), **changes), Settings())


def refusal(plan: Plan) -> str:
    with pytest.raises(UnusableData) as caught:
        complete_sample(plan, "unit_id")
    return caught.value.args[0].code


def test_cohorts_are_slices_of_sorted_units_with_the_sums_of_their_weights() -> None:
    each = [Onset(start=at, step=at, value=float(at), name=str(at)) for at in range(4)]
    found = cohorts_of(np.array([0, 0, 2, 3, 3]), each, np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert [(cohort.start, cohort.units, cohort.mass, cohort.size) for cohort in found] == [
        (0, slice(0, 2), 3.0, 2),
        (2, slice(2, 3), 4.0, 1),
        (3, slice(3, 5), 24.0, 2),
    ]
    assert cohorts_of(np.empty(0, dtype=np.int64), each, np.empty(0)) == ()


def test_a_narrowed_sample_of_a_narrowed_sample_keeps_positions_in_the_data() -> None:
    first, _ = narrowed(Sample(total=6, n=6, index=None), np.array([False, True, True, False, True, True]))
    second, place = narrowed(first, np.array([True, False, True, True]))
    assert (second.total, second.n) == (6, 3)
    assert second.index is not None
    assert second.index.tolist() == [1, 4, 5]
    assert place[[0, 2, 3]].tolist() == [0, 1, 2]


def test_outcomes_are_centred_and_at_most_one_in_size() -> None:
    plan = plan_of()
    y, scale = centred(plan, plan.sample("y"))
    assert np.abs(y).max() == 1.0
    np.testing.assert_allclose(y * scale, plan.data.y - plan.data.y.mean(), rtol=1e-12, atol=1e-12)
    constant = plan_of(y=np.full(360, 7.0))
    assert centred(constant, constant.sample("y"))[1] == 1.0


def test_periods_are_numbered_without_gaps_and_keep_their_values_and_labels() -> None:
    data = Data(
        n=4, y=np.arange(4.0), time=np.array([3, 0, 3, 2]), time_values=np.array([10.0, 11.0, 15.0, 16.0]),
        time_labels=("a", "b", "c", "d"), row_key=np.arange(4, dtype=np.uint64),
    )  # fmt: skip
    codes, values, labels = periods_of(Plan(data, Settings()), Sample(total=4, n=4, index=None))
    assert (codes.tolist(), values.tolist(), labels) == ([2, 0, 2, 1], [10.0, 15.0, 16.0], ("a", "c", "d"))
    with pytest.raises(UnusableData) as caught:
        periods_of(Plan(replace(data, time=None), Settings()), Sample(total=4, n=4, index=None))
    assert caught.value.args[0].code == "panel.needs-time"


def test_a_missing_cohort_is_no_missing_row_but_a_missing_treatment_is() -> None:
    treatment = (np.arange(360) % 2).astype(float)
    treatment[7] = np.nan
    assert complete_sample(plan_of(), "unit_id").n == 360
    assert complete_sample(plan_of(treatment=treatment, treatment_kind="binary"), "unit_id").n == 360
    assert complete_sample(plan_of(cohort=None, treatment=treatment, treatment_kind="binary"), "unit_id").n == 359


def test_a_design_needs_a_start_of_treatment_and_an_outcome_that_varies() -> None:
    amounts = {"cohort": None, "treatment": np.arange(360.0), "treatment_kind": "continuous"}
    assert refusal(plan_of(cohort=None)) == "panel.needs-cohort-or-treatment"
    assert refusal(plan_of(**amounts)) == "panel.needs-two-levels-or-cohort"
    with pytest.raises(UnusableData):
        complete_sample(plan_of(y=np.ones(360)), "unit_id")


@pytest.mark.parametrize(("anticipation", "before"), [(0, [1, 2, 4]), (1, [0, 1, 3]), (2, [-1, 0, 2])])
def test_the_last_period_before_a_start_is_free_of_anticipation(anticipation: int, before: list[int]) -> None:
    panel = staggered_panel(plan_of())
    assert [panel.last_before(cohort, anticipation) for cohort in panel.treated] == before


def test_the_never_treated_are_the_last_cohort_and_no_treated_one() -> None:
    panel = staggered_panel(plan_of())
    assert [cohort.onset.value for cohort in panel.cohorts] == [2003.0, 2004.0, 2006.0, math.inf]
    assert panel.treated == panel.cohorts[:3]
    onset = staggered_panel(Plan(staggered(60, never=False, covariates=False), Settings())).comparison_onset
    assert (onset.step, onset.value) == (LATEST, math.inf)
    assert (panel.periods, panel.units, panel.called(2)) == (6, 60, "2003")
    assert replace(panel, labels=tuple("abcdef")).called(2) == "c"
