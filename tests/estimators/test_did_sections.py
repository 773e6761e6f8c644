"""Callaway-Sant'Anna on repeated cross-sections against csdid, and what it takes for a row's cohort."""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, run
from cqox.estimators.panel.did_staggered import event_study
from tests.estimators.designs import names_for
from tests.estimators.staggering import ENTRIES, GROUP_TIME, IMPUTED, answer, csdid_fit, effects, refused

pytestmark = pytest.mark.filterwarnings("ignore")


def sections(
    n: int = 2_400, seed: int = 0, *, never: bool = True, covariates: bool = True, weights: bool = False
) -> Data:
    """Rows of sixty states in six years from 2001, whose states start treatment; trends that lean on a covariate."""
    rng = np.random.default_rng(seed)
    state, time = rng.integers(0, 60, n), rng.integers(0, 6, n)
    first = np.asarray([2003, 2004, 2006, 0] if never else [2003, 2004, 2006, 2006])[np.arange(60) % 4][state]
    x = rng.standard_normal((n, 2)) + 0.4 * (first == 2004)[:, None]
    year = 2001 + time
    effect = np.where((first > 0) & (year >= first), 1 + 0.2 * (year - first) + 0.3 * x[:, 0], 0.0)
    y = 50 + 0.3 * time + (0.5 + 0.2 * time) * x[:, 0] + 0.3 * rng.standard_normal(60)[state] + effect
    x = x if covariates else np.empty((n, 0))
    return Data(
        n=n, y=y + rng.standard_normal(n), covariates=x, propensity_covariates=x, time=time,
        time_values=np.arange(2001.0, 2007.0), cohort=np.where(first > 0, first, np.nan),
        weights=rng.uniform(0.5, 2.0, n) if weights else None, row_key=np.arange(n, dtype=np.uint64),
        names=names_for(x),
    )  # fmt: skip


def states(n: int = 2_400, seed: int = 0) -> np.ndarray:
    """The states of the rows of `sections`."""
    return np.random.default_rng(seed).integers(0, 60, n)


@cache
def csdid_of(design: tuple[tuple[str, object], ...], options: tuple[tuple[str, object], ...], cluster: bool):
    """csdid's fit of a design without units."""
    data, given = sections(**dict(design)), dict(options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return csdid_fit(data, {"cl": states()}, given, panel=False, idname=None, clustervar="cl" if cluster else None)


CASES = [
    ({"covariates": False}, {}),
    ({"covariates": False, "weights": True}, {"control_group": "not_yet_treated", "anticipation": 1}),
    ({"covariates": False}, {"base_period": "universal"}),
    ({"covariates": False, "never": False}, {"control_group": "not_yet_treated"}),
    ({}, {"did_method": "dr"}),
    ({}, {"did_method": "reg"}),
    ({}, {"did_method": "ipw"}),
    ({"weights": True}, {"did_method": "dr", "control_group": "not_yet_treated"}),
    ({"weights": True}, {"did_method": "ipw", "base_period": "universal"}),
    ({"never": False}, {"did_method": "reg", "control_group": "not_yet_treated", "anticipation": 1}),
]


@pytest.mark.parametrize(("design", "options"), CASES)
def test_effects_by_cohort_and_period_and_their_averages_are_those_of_csdid(
    design: dict[str, object], options: dict[str, object]
):
    peer, overall = csdid_of(tuple(design.items()), tuple(options.items()), False)
    result = answer(GROUP_TIME, sections(**design), **options)
    mine = effects(result)
    assert len(mine) == len(peer["att"])
    for cohort, period, value, error in zip(peer["group"], peer["year"], peer["att"], peer["se"], strict=True):
        own, own_error = mine[float(cohort), float(period)]
        assert own == pytest.approx(value, abs=1e-9)
        assert own_error is None if not error > 0 else own_error == pytest.approx(error, rel=1e-8)
    assert result.estimate == pytest.approx(overall["simple"][0], abs=1e-9)
    assert result.standard_error == pytest.approx(overall["simple"][1], rel=1e-8)
    assert result.se_method == "influence function"
    for kind in ("dynamic", "group", "calendar"):
        reported = result.diagnostics[kind]
        assert reported["overall"] == pytest.approx(overall[kind][0], abs=1e-9)
        assert reported["overall_standard_error"] == pytest.approx(overall[kind][1], rel=1e-8)


@pytest.mark.parametrize("adjusted", [True, False])
@pytest.mark.parametrize("covariates", [False, True])
def test_clusters_have_csdids_errors_but_for_the_factor_of_few_clusters(covariates: bool, adjusted: bool):
    peer, overall = csdid_of((("covariates", covariates),), (), True)
    result = answer(GROUP_TIME, replace(sections(covariates=covariates), clusters=(states(),)), cluster_factor=adjusted)
    factor = 1.0 if not adjusted else np.sqrt(60 / 59)
    assert result.standard_error == pytest.approx(overall["simple"][1] * factor, rel=1e-8)
    assert result.se_method == "CRV1 (influence function)"
    for kind in ("dynamic", "group", "calendar"):
        reported = result.diagnostics[kind]["overall_standard_error"]
        assert reported == pytest.approx(overall[kind][1] * factor, rel=1e-8)
    mine = effects(result)
    for cohort, period, error in zip(peer["group"], peer["year"], peer["se"], strict=True):
        assert mine[float(cohort), float(period)][1] == pytest.approx(error * factor, rel=1e-8)


def test_units_that_are_seen_once_are_no_units():
    data = sections(covariates=False)
    unit = np.random.default_rng(0).permutation(data.n)
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, replace(data, unit=unit))
    assert (left.estimate, left.standard_error) == (right.estimate, right.standard_error)
    assert left.diagnostics["design"] == "repeated cross-sections"
    assert any("sampled from the same population" in note for note in left.diagnostics["notes"])
    assert "single row" in refused(IMPUTED, replace(data, unit=unit))


@pytest.mark.parametrize("covariates", [False, True])
def test_rows_in_any_order_and_outcomes_on_any_scale_say_the_same(covariates: bool):
    data = sections(covariates=covariates, weights=True)
    order = np.random.default_rng(0).permutation(data.n)
    plain, moved = answer(GROUP_TIME, data), answer(GROUP_TIME, data.rows(order))
    assert moved.estimate == pytest.approx(plain.estimate, rel=1e-10)
    np.testing.assert_allclose(moved.influence, plain.influence[order], atol=1e-8)
    scaled = answer(GROUP_TIME, replace(data, y=3e6 - 2e3 * data.y))
    assert scaled.estimate == pytest.approx(-2e3 * plain.estimate, rel=1e-8)
    assert scaled.standard_error == pytest.approx(2e3 * plain.standard_error, rel=1e-8)
    halved = replace(data, weights=data.weights / 2).rows(np.repeat(np.arange(data.n), 2))
    assert answer(GROUP_TIME, halved).estimate == pytest.approx(plain.estimate, rel=1e-9)


def test_a_covariate_that_never_varies_or_repeats_another_changes_nothing():
    data = sections()
    wider = np.column_stack([data.covariates, data.covariates[:, :1] * 2, np.full(data.n, 7.0)])
    more = replace(data, covariates=wider, propensity_covariates=wider, names=names_for(wider))
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, more)
    assert right.estimate == pytest.approx(left.estimate, rel=1e-9)
    assert right.standard_error == pytest.approx(left.standard_error, rel=1e-8)


def test_the_influence_function_is_that_of_the_standard_error():
    result = answer(GROUP_TIME, sections())
    assert np.sqrt(np.sum((result.influence / result.n) ** 2)) == pytest.approx(result.standard_error, rel=1e-12)


def path(data: Data) -> Data:
    """Without the cohort: who is treated by now."""
    status = (data.time_values[data.time] >= np.nan_to_num(data.cohort, nan=9e9)).astype(float)
    return replace(data, cohort=None, treatment=status, treatment_kind="binary")


def test_clusters_whose_rows_start_together_say_the_same_as_the_cohort():
    data = replace(sections(), clusters=(states(),))
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, path(data))
    assert right.estimate == left.estimate
    assert right.standard_error == left.standard_error
    assert any("that of its group in 'cluster'" in note for note in right.diagnostics["notes"])


def test_clusters_that_are_seen_under_treatment_alone_are_left_out():
    data = replace(sections(covariates=False), clusters=(states(),))
    late = (states() == 4) & (data.time < 3)
    reported = data.rows(np.flatnonzero(~late))
    result = answer(GROUP_TIME, path(reported))
    without = answer(GROUP_TIME, reported.rows(np.flatnonzero(reported.clusters[0] != 4)))
    assert result.estimate == pytest.approx(without.estimate, rel=1e-12)
    assert any("or from the first in which they are observed" in note for note in result.diagnostics["notes"])


def test_post_with_the_treated_group_says_when_it_starts():
    data = sections(covariates=False)
    one = data.rows(np.flatnonzero(np.isin(np.nan_to_num(data.cohort), [0, 2004])))
    group = (~np.isnan(one.cohort)).astype(float)
    reported = replace(
        one, cohort=None, treatment=group, treatment_kind="binary", post=(one.time >= 3).astype(float),
        names={"post": ("after",), "treatment": ("group",)},
    )  # fmt: skip
    left, right = answer(GROUP_TIME, one), answer(GROUP_TIME, reported)
    assert (left.estimate, left.standard_error) == (right.estimate, right.standard_error)
    by_row = replace(reported, post=np.where(np.arange(one.n) % 7 == 0, 1 - reported.post, reported.post))
    assert "'after' is 1 in some rows of a period" in refused(GROUP_TIME, by_row)
    assert "must mark the rows of the treated group" in refused(
        GROUP_TIME, replace(reported, treatment=group * reported.post)
    )


def test_data_that_do_not_say_when_a_row_is_treated_say_what_they_need():
    data = path(sections(covariates=False))
    reason = refused(GROUP_TIME, data)
    assert "'cohort'" in reason
    assert "'unit_id'" in reason
    assert "'cluster'" in reason
    mixed = replace(data, clusters=(np.arange(data.n) % 40,))
    assert "some rows are treated and others are not" in refused(GROUP_TIME, mixed)
    early = replace(sections(covariates=False), cohort=np.full(data.n, 2001.0))
    assert "No row is treated after the first period" in refused(GROUP_TIME, early)


def test_groups_treated_from_the_first_period_on_are_left_out_and_it_is_said():
    data = sections(covariates=False)
    early = np.random.default_rng(3).random(data.n) < 0.1
    result = answer(GROUP_TIME, replace(data, cohort=np.where(early, 2001.0, data.cohort)))
    without = answer(GROUP_TIME, data.rows(np.flatnonzero(~early)))
    assert result.estimate == pytest.approx(without.estimate, rel=1e-12)
    assert result.n == data.n - early.sum()
    assert any(f"{early.sum()} rows of groups treated" in note for note in result.diagnostics["notes"])


def test_where_everybody_is_treated_the_last_cohort_serves_as_the_untreated():
    data = sections(never=False, covariates=False)
    result = answer(GROUP_TIME, data)
    assert result.diagnostics["compared_with"] == "not_yet_treated"
    assert max(period for _, period in effects(result)) == 2005
    assert result.n == int((data.time < 5).sum())
    assert "options.control_group" in refused(GROUP_TIME, data, control_group="never_treated")


def test_periods_without_rows_of_a_cohort_or_of_its_comparison_are_named():
    data = sections(covariates=False)
    gone = (data.cohort == 2003) & (data.time == 4)
    result = answer(GROUP_TIME, data.rows(np.flatnonzero(~gone)))
    assert any(
        "no treated row is observed in both periods: the effect on the units treated from 2003 in 2005." in warning
        for warning in result.warnings
    )
    never = np.flatnonzero(np.isnan(data.cohort) & (data.time == 5))
    result = answer(GROUP_TIME, data.rows(np.setdiff1d(np.arange(data.n), never[1:])))
    assert any("there are fewer than two comparison rows" in warning for warning in result.warnings)
    assert all(period != 2006 for _, period in effects(result))


def test_a_single_row_or_cluster_has_no_error_but_a_reason():
    data = sections(covariates=False)
    own = np.flatnonzero((data.cohort == 2003) & (data.time == 5))
    result = answer(GROUP_TIME, data.rows(np.setdiff1d(np.arange(data.n), own[1:])))
    cell = next(row for row in result.diagnostics["group_time"] if (row["cohort"], row["period"]) == (2003, 2006))
    assert (cell["standard_error"], cell["treated_units"]) == (None, 1)
    assert cell["reason"].startswith("Only 1 row is treated")
    assert any(
        "Fewer than 5 rows of the groups treated from 2003 are observed in some period" in warning
        for warning in result.warnings
    )
    joined = np.where(data.cohort == 2003, 999, states())
    result = answer(GROUP_TIME, replace(data, clusters=(joined,)))
    groups = {row["cohort"]: row for row in result.diagnostics["group"]["averages"]}
    assert groups[2003]["reason"].startswith("Only 1 cluster is treated")
    assert groups[2004]["standard_error"] > 0


def test_covariates_that_leave_no_comparison_are_named_by_their_effects():
    data = sections()
    telling = np.where(data.cohort == 2003, 1.0, 0.0) + 1e-3 * np.random.default_rng(0).standard_normal(data.n)
    wider = replace(data, covariates=telling[:, None], propensity_covariates=telling[:, None])
    result = answer(GROUP_TIME, wider)
    assert any("almost perfectly" in warning for warning in result.warnings)
    assert not any(cohort == 2003 for cohort, _ in effects(result))
    few = np.flatnonzero((data.cohort == 2004) & (data.time == 5))
    result = answer(GROUP_TIME, data.rows(np.setdiff1d(np.arange(data.n), few[2:])))
    assert any("treated rows of a period are too few" in warning for warning in result.warnings)
    assert (2004.0, 2006.0) in effects(
        answer(GROUP_TIME, data.rows(np.setdiff1d(np.arange(data.n), few[2:])), did_method="reg")
    )


def test_the_event_study_is_that_of_the_table_and_counts_rows():
    plan = Plan(sections(), Settings())
    study, reported = event_study(plan), run(ENTRIES[GROUP_TIME], plan).diagnostics["dynamic"]["averages"]
    np.testing.assert_allclose(
        np.sqrt(np.diag(study.covariance)), [row["standard_error"] for row in reported], rtol=1e-12
    )
    assert (study.clusters, study.degrees) == (plan.data.n, None)


def test_a_panel_of_units_mostly_seen_once_says_what_leaving_out_the_units_would_do():
    data = sections(covariates=False)
    unit = np.arange(data.n)
    twice = np.flatnonzero(data.time < 5)[:300]
    again = replace(data.rows(np.r_[unit, twice]), unit=np.r_[unit, twice])
    again = replace(again, time=np.r_[data.time, data.time[twice] + 1])
    result = answer(GROUP_TIME, again)
    assert result.diagnostics["design"] == "panel"
    assert any("without 'unit_id' all rows are compared" in warning for warning in result.warnings)


def test_a_few_units_seen_twice_are_no_panel_and_the_reason_says_what_to_do():
    data = sections(covariates=False)
    unit = np.arange(data.n)
    unit[np.flatnonzero(data.time == 1)[:1]] = unit[np.flatnonzero(data.time == 4)[0]]
    assert "without 'unit_id' all rows are compared, as repeated cross-sections" in refused(
        GROUP_TIME, replace(data, unit=unit, cohort=np.where(np.isin(unit, unit[unit != np.arange(data.n)]), np.nan,
                                                             data.cohort))
    )  # fmt: skip


def test_a_place_that_is_mapped_as_the_unit_of_its_people_is_reported_as_a_cluster():
    data = sections(covariates=False)
    assert "map the place as 'cluster'" in refused(GROUP_TIME, replace(data, unit=states()))


def any_sections(seed: int) -> tuple[Data, Settings]:
    """Small cross-sections of all kinds, and options at random."""
    rng = np.random.default_rng(seed)
    n, periods, groups = int(rng.integers(6, 300)), int(rng.integers(2, 7)), int(rng.integers(2, 30))
    group, time = rng.integers(0, groups, n), rng.integers(0, periods, n)
    start = rng.integers(0, periods + rng.integers(1, 6), groups)[group]
    width = int(rng.choice([0, 0, 1, 3]))
    x = rng.standard_normal((n, width))
    after = (time >= start).astype(float)
    by_path = rng.random() < 0.4
    clusters = (group,) if by_path else [(), (group,), (group, rng.integers(0, 5, n)), (group * 0,)][rng.integers(0, 4)]
    values = 2000 + np.cumsum(rng.integers(1, 3, periods)).astype(float)
    data = Data(
        n=n, y=rng.standard_normal(n) * (rng.random() < 0.9) + 2 * after, treatment=after if by_path else None,
        treatment_kind="binary" if by_path else "none", covariates=x, propensity_covariates=x, time=time,
        time_values=values, weights=[None, rng.uniform(0.1, 3.0, n)][rng.integers(0, 2)], clusters=clusters,
        cohort=None if by_path else np.where(start < periods, values[np.minimum(start, periods - 1)], np.nan),
        unit=[None, rng.permutation(n)][rng.integers(0, 2)], row_key=np.arange(n, dtype=np.uint64),
    )  # fmt: skip
    asked = Settings(
        did_method=str(rng.choice(["dr", "reg", "ipw"])), base_period=str(rng.choice(["varying", "universal"])),
        control_group=[None, "never_treated", "not_yet_treated"][rng.integers(0, 3)],
        anticipation=int(rng.choice([0, 0, 1, 2])), event_window=[None, None, 1, 3][rng.integers(0, 4)],
        se=str(rng.choice(["auto", "HC0", "CRV1", "CRV3"])),
    )  # fmt: skip
    return data, asked


@pytest.mark.filterwarnings("error")
def test_any_sections_give_finite_numbers_or_a_reason_but_never_fail():
    found = 0

    def check(value: object) -> None:
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                check(inner)
        else:
            assert value is None or isinstance(value, bool | int | str) or np.isfinite(value)

    for seed in range(400):
        data, asked = any_sections(seed)
        plan = Plan(data, asked)
        result = run(ENTRIES[GROUP_TIME], plan)
        assert result.status != "failed", (seed, result.reason)
        assert (result.reason is None) == (result.estimate is not None)
        check([result.estimate, result.standard_error, result.ci_lower, dict(result.diagnostics)])
        if result.estimate is not None:
            found += 1
            event_study(plan)
    assert found > 150
