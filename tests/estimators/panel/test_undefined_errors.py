"""Effects over time whose units of one kind are a single one: no standard error, and a reason instead."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.event_study import event_study
from cqox.estimators import Data, Estimate, Json, Plan, Settings, catalog, run

ENTRIES = {entry.name: entry for entry in catalog()}
GROUP_TIME, IMPUTED = "did_callaway_santanna", "did_imputation"
PERIODS = 8


def cohorts(sizes: dict[int, int], never: int = 30, seed: int = 0, spread: float = 1.0) -> Data:
    """So many units that are treated from each of these periods on, and others that never are; an effect of 1."""
    rng = np.random.default_rng(seed)
    start = np.repeat([*sizes, PERIODS + 9], [*sizes.values(), never])
    unit, time = np.repeat(np.arange(len(start)), PERIODS), np.tile(np.arange(PERIODS), len(start))
    first = start[unit].astype(float)
    y = rng.standard_normal(len(start))[unit] + spread * rng.standard_normal(len(unit)) + (time >= first)
    return Data(
        n=len(unit), y=y, unit=unit, time=time, time_values=np.arange(float(PERIODS)),
        cohort=np.where(first < PERIODS, first, np.nan), row_key=unit.astype(np.uint64),
    )  # fmt: skip


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def reported(result: Estimate, table: str, key: str) -> dict[object, dict[str, Json]]:
    found = result.diagnostics[table]
    return {row[key]: row for row in (found["averages"] if isinstance(found, dict) else found)}


def assert_undefined(row: dict[str, Json], saying: str) -> None:
    assert row["standard_error"] is None
    assert all(row.get(end) is None for end in ("lower", "upper", "band_lower", "band_upper"))
    assert saying in row["reason"]
    assert row["estimate"] is not None


ONE_EARLY = {2: 1, 5: 12}


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_cells_and_averages_of_one_treated_unit_have_no_error_but_a_reason(base: str):
    result = answer(GROUP_TIME, cohorts(ONE_EARLY), base_period=base)
    cells = result.diagnostics["group_time"]
    assert len(cells) == (14 if base == "varying" else 16)
    for row in cells:
        if row["base"] == row["period"]:
            assert "reason" not in row
        elif row["cohort"] == 2:
            assert_undefined(row, "Only 1 unit is treated")
        else:
            assert row["standard_error"] > 0
            assert "reason" not in row
    groups = reported(result, "group", "cohort")
    assert_undefined(groups[2.0], "Only 1 unit is treated")
    assert groups[5.0]["band_lower"] < groups[5.0]["lower"] or groups[5.0]["band_lower"] == groups[5.0]["lower"]
    events = reported(result, "dynamic", "event")
    for event in (3, 4, 5):
        assert_undefined(events[event], "Only 1 unit is treated")
    for event in (-4, 0, 1, 2):
        assert events[event]["standard_error"] > 0
    calendar = reported(result, "calendar", "period")
    assert_undefined(calendar[2.0], "Only 1 unit is treated")
    assert calendar[6.0]["standard_error"] > 0
    assert result.standard_error > 0


def test_a_mean_that_is_mostly_of_such_effects_has_none_either():
    result = answer(GROUP_TIME, cohorts(ONE_EARLY))
    for kind in ("dynamic", "calendar"):
        assert result.diagnostics[kind]["overall"] is not None
        assert result.diagnostics[kind]["overall_standard_error"] is None
        assert "In most components of the effect only 1 unit is treated" in result.diagnostics[kind]["overall_reason"]
    assert result.diagnostics["group"]["overall_standard_error"] > 0
    assert "overall_reason" not in result.diagnostics["group"]


def test_the_band_holds_the_others_alone():
    data = cohorts(ONE_EARLY)
    mine = answer(GROUP_TIME, data).diagnostics["group"]
    assert mine["critical_value"] == pytest.approx(2.0181, abs=1e-3)  # t with 42 degrees: one interval is its own band
    known = answer(GROUP_TIME, data).diagnostics["dynamic"]["critical_value"]
    assert known < answer(GROUP_TIME, data, se="CRV1").diagnostics["dynamic"]["critical_value"]


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
@pytest.mark.parametrize("asked", ["CRV1", "HC0"])
def test_who_asks_for_an_error_by_name_has_it(name: str, asked: str):
    result = answer(name, cohorts(ONE_EARLY), se=asked)
    assert all(row["standard_error"] > 0 for row in reported(result, "dynamic", "event").values())


def test_imputed_effects_of_cohorts_of_one_unit_each_have_no_error_in_all():
    data, name = cohorts({2: 1, 3: 1, 5: 1, 6: 1}), IMPUTED
    result = answer(name, data)
    assert (result.standard_error, result.ci_lower, result.p_value) == (None, None, None)
    assert any(doubt.startswith("Only 1 unit is treated") for doubt in result.warnings)
    assert result.estimate == answer(name, data, se="CRV1").estimate
    assert answer(name, data, se="CRV1").standard_error > 0


def errors_and_spread(name: str, sizes: dict[int, int], **settings: object) -> float:
    """The mean standard error in units of the standard deviation of the estimates."""
    found = [answer(name, cohorts(sizes, seed=seed), **settings) for seed in range(150)]
    return float(np.mean([each.standard_error for each in found]) / np.std([each.estimate for each in found]))


def test_no_doubt_is_cast_on_an_error_that_is_not_given():
    data = cohorts({2: 1, 3: 1, 4: 1, 5: 1})
    result, asked = answer(IMPUTED, data), answer(IMPUTED, data, se="CRV1")
    assert (result.standard_error, asked.standard_error is None) == (None, False)
    assert not any("may be too small" in warning for warning in result.warnings)
    assert any("may be too small" in warning for warning in asked.warnings)


def test_errors_without_single_units_are_far_too_small_and_errors_of_several_cohorts_are_not():
    sizes = {2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1}
    assert errors_and_spread(IMPUTED, sizes, se="CRV1") < 0.6
    assert errors_and_spread(GROUP_TIME, sizes) == pytest.approx(0.9, abs=0.12)


def test_single_units_of_several_cohorts_give_an_error_together():
    result = answer(GROUP_TIME, cohorts({2: 1, 3: 1, 5: 1, 6: 1}))
    events = reported(result, "dynamic", "event")
    assert result.standard_error > 0
    assert all(events[event]["standard_error"] > 0 for event in range(4))
    assert_undefined(events[5], "Only 1 unit is treated")
    assert all("reason" in row for row in result.diagnostics["group"]["averages"])
    assert result.diagnostics["group"]["overall_standard_error"] > 0


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_one_mapped_cluster_counts_as_one_unit(name: str):
    data = cohorts({2: 2, 5: 12})
    start = np.nan_to_num(data.cohort, nan=99)
    one_early = np.where(start == 2, 0, 1 + data.unit)
    result = answer(name, replace(data, clusters=(one_early,)))
    assert_undefined(reported(result, "dynamic", "event")[5], "Only 1 cluster is treated")
    assert reported(result, "dynamic", "event")[0]["standard_error"] > 0
    alongside = np.where(start == 99, 0, 1 + data.unit)
    result = answer(name, replace(data, clusters=(alongside,)))
    late = reported(result, "dynamic", "event")[5]
    assert_undefined(late, "Only 1 cluster is untreated")
    two = (np.arange(data.n) * 0 + data.unit, alongside)
    assert_undefined(
        reported(answer(name, replace(data, clusters=two)), "dynamic", "event")[5], "Only 1 cluster is untreated"
    )


def test_a_mean_of_means_that_mostly_have_no_error_says_so_once():
    data = cohorts({3: 5, 5: 5, 7: 30}, never=4)
    never_treated_in_one = np.where(np.isnan(data.cohort), 0, 1 + data.unit)
    result = answer(GROUP_TIME, replace(data, clusters=(never_treated_in_one,)), control_group="not_yet_treated")
    reason = "In most components of the effect only 1 cluster is untreated"
    assert_undefined(reported(result, "dynamic", "event")[0], reason)
    assert result.diagnostics["dynamic"]["overall_reason"].startswith(reason)


def test_imputed_effects_and_leads_of_one_unit_have_no_error():
    result = answer(IMPUTED, cohorts({2: 12, 6: 1}))
    events, leads = reported(result, "dynamic", "event"), reported(result, "leads", "event")
    assert all(events[event]["standard_error"] > 0 for event in range(6))
    assert leads[-1]["standard_error"] > 0
    for lead in (-3, -4, -5):
        assert_undefined(leads[lead], "Only 1 unit is treated")
    early = answer(IMPUTED, cohorts(ONE_EARLY))
    assert_undefined(reported(early, "dynamic", "event")[5], "Only 1 unit is treated")


def test_gaps_can_leave_a_cell_with_one_unit():
    data = cohorts({4: 3})
    gone = np.isin(data.unit, [0, 1]) & (data.time == 7)
    result = answer(GROUP_TIME, data.rows(np.flatnonzero(~gone)))
    cells = {row["period"]: row for row in result.diagnostics["group_time"]}
    assert_undefined(cells[7.0], "Only 1 unit is treated")
    assert cells[6.0]["standard_error"] > 0
    imputed = reported(answer(IMPUTED, data.rows(np.flatnonzero(~gone))), "dynamic", "event")
    assert_undefined(imputed[3], "Only 1 unit is treated")


def test_the_test_before_treatment_leaves_such_effects_out():
    result = answer(GROUP_TIME, cohorts({3: 1, 5: 12}))
    without = answer(GROUP_TIME, cohorts({3: 1, 5: 12}, seed=0), se="CRV1")
    assert result.diagnostics["pre_test"]["effects"] == 4
    assert result.diagnostics["pre_test"]["left_out"] == 2
    assert without.diagnostics["pre_test"]["effects"] == 6
    assert 0 < result.diagnostics["pre_test"]["p_value"] < 1


def test_bounds_on_trends_are_not_given_for_such_effects():
    plan = Plan(cohorts({4: 12, 6: 1}), Settings())
    found = event_study(plan, [run(ENTRIES[GROUP_TIME], plan)])
    assert found["honest"]["average"]["relative_magnitudes"]
    plan = Plan(cohorts(ONE_EARLY), Settings())
    found = event_study(plan, [run(ENTRIES[GROUP_TIME], plan)])
    assert found["honest"]["first"]["relative_magnitudes"]
    assert "only 1 unit is treated" in found["honest"]["average"]["reason"]
    assert found["overall_standard_error"] is None
    assert found["overall_reason"] == found["honest"]["average"]["reason"]
