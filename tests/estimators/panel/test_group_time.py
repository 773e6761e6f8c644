"""Effects by cohort and period: against csdid, with gaps, and what is said where a comparison is missing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, Vector, run
from cqox.estimators.panel.did_staggered import event_study
from tests.estimators.designs import names_for, rows
from tests.estimators.staggering import ENTRIES, GROUP_TIME, answer, csdid_fit, effects, staggered

pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def csdid_of(design: tuple[tuple[str, object], ...], options: tuple[tuple[str, object], ...], cluster: bool):
    """csdid's fit of a design."""
    data, given = staggered(**dict(design)), dict(options)
    columns = {"id": data.unit, "cl": data.unit % 30}
    return csdid_fit(
        data,
        columns,
        given,
        idname="id",
        panel=True,
        allow_unbalanced_panel=False,
        clustervar="cl" if cluster else None,
    )


CASES = [
    ({"covariates": False}, {}),
    ({"covariates": False}, {"control_group": "not_yet_treated", "anticipation": 1}),
    ({"covariates": False, "weights": "fixed"}, {"base_period": "universal"}),
    ({"covariates": False, "weights": "changing"}, {"base_period": "universal"}),
    ({"covariates": False, "never": False}, {"control_group": "not_yet_treated"}),
    ({}, {"did_method": "dr"}),
    ({}, {"did_method": "reg"}),
    ({}, {"did_method": "ipw"}),
    ({"weights": "changing"}, {"did_method": "dr", "control_group": "not_yet_treated"}),
    ({"moving": True}, {"did_method": "dr", "control_group": "not_yet_treated", "base_period": "universal"}),
    ({"never": False, "units": 360}, {"did_method": "reg", "control_group": "not_yet_treated", "anticipation": 1}),
]


@pytest.mark.parametrize(("design", "options"), CASES)
def test_effects_by_cohort_and_period_and_their_averages_are_those_of_csdid(
    design: dict[str, object], options: dict[str, object], capsys: pytest.CaptureFixture[str]
):
    peer, overall = csdid_of(tuple(design.items()), tuple(options.items()), False)
    result = answer(GROUP_TIME, staggered(**design), se="HC0", **options)
    mine = effects(result)
    assert len(mine) == len(peer["att"])
    for cohort, period, value, error in zip(peer["group"], peer["year"], peer["att"], peer["se"], strict=True):
        own, own_error = mine[float(cohort), float(period)]
        assert own == pytest.approx(value, abs=1e-9)
        assert own_error is None if not error > 0 else own_error == pytest.approx(error, rel=1e-8)
    assert result.estimate == pytest.approx(overall["simple"][0], abs=1e-9)
    assert result.standard_error == pytest.approx(overall["simple"][1], rel=1e-8)
    for kind in ("dynamic", "group", "calendar"):
        reported = result.diagnostics[kind]
        assert reported["overall"] == pytest.approx(overall[kind][0], abs=1e-9)
        assert reported["overall_standard_error"] == pytest.approx(overall[kind][1], rel=1e-8)


@pytest.mark.parametrize("adjusted", [True, False])
@pytest.mark.parametrize("covariates", [False, True])
def test_clusters_of_units_have_csdids_errors_but_for_the_factor_of_few_clusters(covariates: bool, adjusted: bool):
    peer, overall = csdid_of((("covariates", covariates),), (), True)
    data = staggered(covariates=covariates)
    result = answer(GROUP_TIME, replace(data, clusters=(data.unit % 30,)), cluster_factor=adjusted)
    factor = 1.0 if not adjusted else np.sqrt(30 / 29)
    assert result.standard_error == pytest.approx(overall["simple"][1] * factor, rel=1e-8)
    assert result.diagnostics["dynamic"]["overall_standard_error"] == pytest.approx(
        overall["dynamic"][1] * factor, rel=1e-8
    )
    mine = effects(result)
    for cohort, period, error in zip(peer["group"], peer["year"], peer["se"], strict=True):
        assert mine[float(cohort), float(period)][1] == pytest.approx(error * factor, rel=1e-8)
    assert result.se_method == "CRV1 (influence function)"


def test_a_cluster_for_each_unit_is_the_default():
    data = staggered()
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, replace(data, clusters=(data.unit,)))
    assert right.standard_error == pytest.approx(left.standard_error, rel=1e-10)
    for kind in ("dynamic", "group", "calendar"):
        pairs = zip(left.diagnostics[kind]["averages"], right.diagnostics[kind]["averages"], strict=True)
        assert all(one["standard_error"] == pytest.approx(two["standard_error"], rel=1e-9) for one, two in pairs)


def test_with_gaps_each_effect_is_that_of_the_units_seen_in_both_periods():
    data = staggered(dropped=0.15, covariates=False)
    result = answer(GROUP_TIME, data)
    y = np.full((240, 6), np.nan)
    y[data.unit, data.time] = data.y
    first = np.full(240, np.nan)
    first[data.unit] = data.cohort
    for (cohort, period), (value, error) in effects(result).items():
        now, base = int(period) - 2001, int(min(period - 1, cohort - 1)) - 2001
        change = y[:, now] - y[:, base]
        arms = [change[who & ~np.isnan(change)] for who in (first == cohort, np.isnan(first))]
        assert value == pytest.approx(arms[0].mean() - arms[1].mean(), abs=1e-10)
        variance = sum(arm.var() / len(arm) for arm in arms) * 240 / 239
        assert error == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert result.n == data.n


def test_few_gaps_are_noted_and_many_are_a_warning():
    said = "each effect uses the units observed in both of its periods"
    few, many, none = (answer(GROUP_TIME, staggered(dropped=dropped, covariates=False)) for dropped in (0.05, 0.15, 0))
    assert any(said in note for note in few.diagnostics.get("notes", ()))
    assert not any(said in found_warning for found_warning in few.warnings)
    assert any(
        said in found_warning and found_warning.startswith("15% of the units' periods are missing")
        for found_warning in many.warnings
    )
    assert not any(said in each for each in (*none.diagnostics.get("notes", ()), *none.warnings))


def test_without_gaps_the_general_way_gives_what_the_short_one_gives():
    data = staggered(covariates=False, weights="fixed")
    weights = data.weights.copy()
    weights[(data.unit == 3) & (data.time == 5)] *= 1 + 1e-13
    for against in ("never_treated", "not_yet_treated"):
        left = answer(GROUP_TIME, data, control_group=against)
        right = answer(GROUP_TIME, replace(data, weights=weights), control_group=against)
        assert right.estimate == pytest.approx(left.estimate, rel=1e-10)
        assert right.standard_error == pytest.approx(left.standard_error, rel=1e-10)
        assert right.diagnostics["dynamic"]["averages"][0]["band_upper"] == pytest.approx(
            left.diagnostics["dynamic"]["averages"][0]["band_upper"], rel=1e-6
        )


def test_a_cohort_without_anybody_to_compare_with_is_named():
    data = staggered(covariates=False)
    never = np.flatnonzero(np.isnan(data.cohort))
    gone = never[(data.time[never] == 5)]
    result = answer(GROUP_TIME, rows(data, np.setdiff1d(np.arange(data.n), gone[1:])))
    assert any("2003 in 2006" in warning for warning in result.warnings)
    assert (2003.0, 2005.0) in effects(result)
    assert (2003.0, 2006.0) not in effects(result)


def test_a_covariate_that_separates_the_arms_is_named_by_its_effects_and_not_extrapolated():
    data = staggered()
    telling = np.where(data.cohort == 2003, 1.0, 0.0) + 1e-3 * np.random.default_rng(0).standard_normal(240)[data.unit]
    wider = replace(data, covariates=telling[:, None], propensity_covariates=telling[:, None])
    result = answer(GROUP_TIME, wider)
    assert any("almost perfectly" in warning for warning in result.warnings)
    assert not any(cohort == 2003 for cohort, _ in effects(result))
    assert any(cohort == 2004 for cohort, _ in effects(result))


def test_anticipation_moves_the_base_back_and_its_periods_are_not_untreated():
    data = staggered(covariates=False)
    result = answer(GROUP_TIME, data, anticipation=1)
    bases = {(row["cohort"], row["period"]): row["base"] for row in result.diagnostics["group_time"]}
    assert bases[2004.0, 2004.0] == bases[2004.0, 2003.0] == 2002.0
    assert bases[2006.0, 2003.0] == 2002.0


def test_the_event_study_keeps_the_covariance_that_its_errors_come_from():
    plan = Plan(staggered(), Settings())
    study, reported = event_study(plan), run(ENTRIES[GROUP_TIME], plan).diagnostics["dynamic"]["averages"]
    assert list(study.events) == [row["event"] for row in reported]
    np.testing.assert_allclose(
        np.sqrt(np.diag(study.covariance)), [row["standard_error"] for row in reported], rtol=1e-12
    )
    assert (np.linalg.eigvalsh(study.covariance) > -1e-15).all()


def influences(data: Data, event: int) -> Vector:
    """Contributions to one average by event as differences without each unit."""
    found = []
    for unit in range(int(data.unit.max()) + 1):
        rest = answer(GROUP_TIME, rows(data, np.flatnonzero(data.unit != unit)))
        found += [row["estimate"] for row in rest.diagnostics["dynamic"]["averages"] if row["event"] == event]
    return np.asarray(found)


@pytest.mark.parametrize("event", [-1, 0, 2])
def test_the_errors_are_near_those_of_leaving_each_unit_out(event: int):
    data = staggered(120, covariates=False)
    left = influences(data, event)
    jackknife = np.sqrt((len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum())
    reported = answer(GROUP_TIME, data).diagnostics["dynamic"]["averages"]
    row = next(row for row in reported if row["event"] == event)
    assert row["standard_error"] == pytest.approx(jackknife, rel=0.06)


def test_covariates_that_leave_no_comparison_at_all_skip_it_before_it_can_be_the_primary():
    data = staggered(covariates=False)
    ever = (~np.isnan(data.cohort)) + 1e-3 * np.random.default_rng(0).standard_normal(240)[data.unit]
    wider = replace(data, covariates=ever[:, None], propensity_covariates=ever[:, None], names=names_for(ever[:, None]))
    assert "almost perfectly" in ENTRIES[GROUP_TIME].applies(Plan(wider, Settings()))
    assert ENTRIES[GROUP_TIME].applies(Plan(wider, Settings(did_method="reg"))) is None


def test_a_window_that_holds_no_event_leaves_the_other_averages():
    data = staggered(covariates=False)
    late = rows(data, np.flatnonzero(np.isnan(data.cohort) | (np.abs(data.time_values[data.time] - data.cohort) > 1)))
    result = answer(GROUP_TIME, late, event_window=1, anticipation=2)
    reported = result.diagnostics["dynamic"]
    assert (reported["overall"], reported["overall_standard_error"], reported["averages"]) == (None, None, [])
    assert result.diagnostics["calendar"]["averages"]
