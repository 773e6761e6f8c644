"""Common behaviour of estimators of staggered starts: comparisons, the count of steps, and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, run
from tests.estimators.designs import EFFECT, panel, rows
from tests.estimators.staggering import ENTRIES, GROUP_TIME, IMPUTED, answer, effects, refused, staggered

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_two_dimensions_of_clusters_add_and_take_away_what_both_share(name: str):
    data = staggered(covariates=False)
    one, two = data.unit % 40, data.unit // 6
    errors = [
        answer(name, replace(data, clusters=codes)).standard_error
        for codes in ((one, two), (one,), (two,), (one * 1000 + two,))
    ]
    assert errors[0] ** 2 * 39 / 40 == pytest.approx(
        errors[1] ** 2 * 39 / 40 + errors[2] ** 2 * 39 / 40 - errors[3] ** 2 * (len(set(one * 1000 + two)) - 1)
        / len(set(one * 1000 + two)), rel=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_the_path_of_the_treatment_says_the_same_as_the_cohort(name: str):
    data = staggered(covariates=False)
    status = (data.time_values[data.time] >= np.nan_to_num(data.cohort, nan=9e9)).astype(float)
    path = replace(data, cohort=None, treatment=status, treatment_kind="binary")
    left, right = answer(name, data), answer(name, path)
    assert (left.estimate, left.standard_error) == (right.estimate, right.standard_error)
    ever = replace(path, treatment=(~np.isnan(data.cohort)).astype(float), post=status)
    assert answer(name, ever).estimate == left.estimate


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_the_known_effect_is_found(name: str):
    result = answer(name, panel(2000, staggered=True))
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_units_treated_from_the_first_period_on_are_left_out_and_counted(name: str):
    data = staggered(covariates=False)
    early = np.isin(data.unit, [0, 1, 2])
    result = answer(name, replace(data, cohort=np.where(early, 2001, data.cohort)))
    without = answer(name, rows(data, np.flatnonzero(~early)))
    assert result.estimate == pytest.approx(without.estimate, rel=1e-12)
    assert result.n == data.n - 18
    assert any("3 units treated from the first period on" in note for note in result.diagnostics["notes"])


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_several_rows_of_a_unit_in_a_period_are_refused_by_their_numbers(name: str):
    data = panel(20, staggered=True)
    reason = refused(name, rows(data, np.append(np.arange(data.n), 7)))
    assert "(rows 8 repeat a later one)" in reason


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_a_treatment_that_ends_is_refused_by_its_rows(name: str):
    data = panel(20, staggered=True)
    status = data.treatment.copy()
    unit = data.unit[np.flatnonzero((status == 1) & (data.time == 4))[0]]
    last = int(np.flatnonzero(data.unit == unit)[-1])
    status[last] = 0.0
    assert f"rows {last + 1}" in refused(name, replace(data, treatment=status))


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_two_starts_of_one_unit_are_refused_by_their_rows(name: str):
    data = rows(staggered(covariates=False), np.argsort(staggered(covariates=False).unit, kind="stable"))
    cohort = data.cohort.copy()
    cohort[0] = 2005.0
    assert "it changes within some units" in refused(name, replace(data, cohort=cohort))


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_clusters_that_cut_units_are_refused(name: str):
    data = panel(20, staggered=True)
    assert "change their cluster" in refused(name, replace(data, clusters=(data.time,)))


@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_data_without_time_units_or_starts_say_what_they_need(name: str):
    data = panel(20, staggered=True)
    assert "'unit_id'" in refused(name, replace(data, unit=None))
    assert "'cohort'" in refused(name, replace(data, treatment=None, treatment_kind="none"))
    assert "continuous" in refused(name, replace(data, treatment=data.treatment * 2.5, treatment_kind="continuous"))
    assert "single row" in refused(name, rows(data, np.flatnonzero(data.time == 3)))
    nobody = replace(data, treatment=np.zeros(data.n))
    assert "No unit is treated after the first period" in refused(name, nobody)


def test_where_everybody_is_treated_the_last_cohort_serves_as_the_untreated_and_it_is_said():
    data = staggered(never=False, covariates=False)
    result = answer(GROUP_TIME, data)
    assert result.diagnostics["compared_with"] == "not_yet_treated"
    assert any("the units treated last, from 2006 on" in note for note in result.diagnostics["notes"])
    assert max(period for _, period in effects(result)) == 2005
    assert "options.control_group" in refused(GROUP_TIME, data, control_group="never_treated")
    assert answer(IMPUTED, data).n == int((data.time_values[data.time] < 2006).sum())


def test_small_cohorts_are_named():
    data = staggered(covariates=False)
    lonely = data.unit == data.unit[np.flatnonzero(np.isnan(data.cohort))[0]]
    result = answer(GROUP_TIME, replace(data, cohort=np.where(lonely, 2005.0, data.cohort)))
    assert any("start treatment in each of these periods: 2005" in warning for warning in result.warnings)
    dated = replace(data, time_labels=tuple(f"2024-0{month}-01" for month in range(1, 7)))
    warnings = answer(GROUP_TIME, replace(dated, cohort=np.where(lonely, 2005.0, data.cohort))).warnings
    assert any("start treatment in each of these periods: 2024-05-01" in warning for warning in warnings)
    imputed = answer(IMPUTED, replace(data, cohort=np.where(lonely, 2005.0, data.cohort)))
    assert any("a single unit is treated" in warning for warning in imputed.warnings)


def test_a_window_limits_the_event_study_alone():
    data = staggered(covariates=False)
    whole, narrow = answer(GROUP_TIME, data), answer(GROUP_TIME, data, event_window=1)
    assert [row["event"] for row in narrow.diagnostics["dynamic"]["averages"]] == [-1, 0, 1]
    assert narrow.estimate == whole.estimate
    assert [row["event"] for row in answer(IMPUTED, data, event_window=1).diagnostics["dynamic"]["averages"]] == [0, 1]


def test_years_that_are_skipped_count_and_words_do_not():
    data = staggered(covariates=False)
    skipping = replace(data, time_values=np.array([2001.0, 2002, 2003, 2004, 2005, 2008]))
    cohort = np.where(data.cohort == 2006, 2008.0, data.cohort)
    events = [
        row["event"] for row in answer(GROUP_TIME, replace(skipping, cohort=cohort)).diagnostics["dynamic"]["averages"]
    ]
    assert 5 in events
    assert 3 not in events
    months = np.array([0.0, 31, 59, 90, 120, 151])
    dated = replace(
        data, time_values=months, time_labels=tuple("abcdef"),
        cohort=np.where(np.isnan(data.cohort), np.nan, months[np.nan_to_num(data.cohort - 2001, nan=0).astype(int)]),
    )  # fmt: skip
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, dated)
    assert left.estimate == right.estimate
    assert [row["event"] for row in right.diagnostics["dynamic"]["averages"]] == list(range(-4, 4))


def test_months_that_are_skipped_count_like_years():
    data = staggered(covariates=False)
    numbers = np.array([1.0, 2, 3, 4, 5, 8])
    dates = (np.datetime64("2009-12") + np.arange(1, 9) * np.timedelta64(1, "M")).astype("datetime64[D]")
    seen = dates[[0, 1, 2, 3, 4, 7]]
    place = np.nan_to_num(data.cohort - 2001, nan=0).astype(int)
    events = []
    for values, labels in ((numbers, None), (seen.astype(float), tuple(str(day) for day in seen))):
        cohort = np.where(np.isnan(data.cohort), np.nan, values[place])
        dated = replace(data, time_values=values, time_labels=labels, cohort=cohort)
        events.append([row["event"] for row in answer(GROUP_TIME, dated).diagnostics["dynamic"]["averages"]])
    assert events[0] == events[1]
    assert 5 in events[0]


def test_a_sparse_panel_is_refused_by_its_size():
    units, periods = 9_000, 450
    rng = np.random.default_rng(0)
    unit, time = np.repeat(np.arange(units), 2), rng.integers(0, periods // 2, units)
    time = np.stack([time, time + 1 + rng.integers(0, periods // 2, units)], axis=1).ravel()
    sparse = Data(
        n=len(unit), y=rng.standard_normal(len(unit)), unit=unit, time=time, time_values=np.arange(float(periods + 1)),
        cohort=np.where(unit % 2, 200.0, np.nan), row_key=unit.astype(np.uint64),
    )  # fmt: skip
    assert "is too large for" in refused(GROUP_TIME, sparse)


def any_panel(seed: int) -> tuple[Data, Settings]:
    """Small panels of all kinds, and options at random."""
    rng = np.random.default_rng(seed)
    units, periods = int(rng.integers(2, 50)), int(rng.integers(2, 9))
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    start = rng.integers(0, periods + rng.integers(1, 6), units)
    kept = rng.permutation(np.flatnonzero(rng.random(len(unit)) >= rng.choice([0.0, 0.0, 0.1, 0.5])))
    unit, time = unit[kept], time[kept]
    values = 2000 + np.cumsum(rng.integers(1, 3, periods)).astype(float)
    width = int(rng.choice([0, 0, 1, 3]))
    x = rng.standard_normal((units, width))[unit] if rng.random() < 0.5 else rng.standard_normal((len(unit), width))
    after = (time >= start[unit]).astype(float)
    path = rng.random() < 0.5
    weights = [None, rng.uniform(0.1, 3.0, units)[unit], rng.uniform(0.1, 3.0, len(unit))][rng.integers(0, 3)]
    clusters = [(), (unit % max(2, units // 3),), (unit % 5, unit // 2), (np.zeros_like(unit),)][rng.integers(0, 4)]
    data = Data(
        n=len(unit), y=rng.standard_normal(len(unit)) * (rng.random() < 0.9) + 2 * after,
        treatment=after if path else None, treatment_kind="binary" if path else "none", covariates=x,
        propensity_covariates=x, unit=unit, time=time, time_values=values, weights=weights, clusters=clusters,
        cohort=None if path else np.where(start < periods, values[np.minimum(start, periods - 1)], np.nan)[unit],
        row_key=unit.astype(np.uint64),
    )  # fmt: skip
    asked = Settings(
        did_method=str(rng.choice(["dr", "reg", "ipw"])), base_period=str(rng.choice(["varying", "universal"])),
        control_group=[None, "never_treated", "not_yet_treated"][rng.integers(0, 3)],
        anticipation=int(rng.choice([0, 0, 1, 2])), event_window=[None, None, 1, 3][rng.integers(0, 4)],
        se=str(rng.choice(["auto", "HC0", "CRV3"])),
    )  # fmt: skip
    return data, asked


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [GROUP_TIME, IMPUTED])
def test_any_panel_gives_finite_numbers_or_a_reason_but_never_fails(name: str):
    found = 0

    def check(value: object) -> None:
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                check(inner)
        else:
            assert value is None or isinstance(value, bool | int | str) or np.isfinite(value)

    for seed in range(400):
        data, asked = any_panel(seed)
        result = run(ENTRIES[name], Plan(data, asked))
        assert result.status != "failed", (seed, result.reason)
        assert (result.reason is None) == (result.estimate is not None)
        check([result.estimate, result.standard_error, result.ci_lower, dict(result.diagnostics)])
        found += result.estimate is not None
    assert found > 200
