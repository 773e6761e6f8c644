"""Callaway-Sant'Anna against csdid, imputation against the regression written out, and what both refuse."""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, Vector, catalog, run
from cqox.estimators._two_period import Comparison
from cqox.estimators.did_staggered import event_study
from tests.estimators.designs import EFFECT, names_for, panel, rows

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
GROUP_TIME, IMPUTED = "did_callaway_santanna", "did_imputation"


def staggered(
    units: int = 240,
    seed: int = 0,
    *,
    never: bool = True,
    moving: bool = False,
    weights: str | None = None,
    dropped: float = 0.0,
    covariates: bool = True,
) -> Data:
    """Six periods from 2001; trends and starts that lean on a covariate; effects that grow. Rows in any order."""
    rng = np.random.default_rng(seed)
    first = rng.choice([0, 2003, 2004, 2006] if never else [2003, 2004, 2006], units)
    fixed = rng.standard_normal((units, 2))
    first = np.where((fixed[:, 0] > 0.3) & (first == 0) & (rng.random(units) < 0.4), 2004, first)
    unit, time = np.repeat(np.arange(units), 6), np.tile(np.arange(6), units)
    year, start = 2001 + time, first[unit]
    x = fixed[unit]
    if moving:
        x = x + np.column_stack([0.3 * time + 0.5 * rng.standard_normal(len(unit)), np.zeros(len(unit))])
    effect = np.where((start > 0) & (year >= start), 1 + 0.2 * (year - start), 0.0)
    y = 50 + 2 * rng.standard_normal(units)[unit] + 0.3 * time + 0.2 * time * fixed[unit, 0] + effect
    y = y + rng.standard_normal(len(unit))
    w = rng.uniform(0.5, 2.0, units)[unit]
    if weights == "changing":
        w = w * rng.uniform(0.8, 1.25, len(unit))
    kept = rng.permutation(np.flatnonzero(rng.random(len(unit)) >= dropped))
    x = x if covariates else np.empty((len(unit), 0))
    data = Data(
        n=len(unit), y=y, covariates=x, propensity_covariates=x, unit=unit, time=time,
        time_values=np.arange(2001.0, 2007.0), cohort=np.where(start > 0, start, np.nan),
        weights=w if weights else None, row_key=unit.astype(np.uint64), names={**names_for(x), "unit_id": ("id",)},
    )  # fmt: skip
    return rows(data, kept)


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(name: str, data: Data, **settings: object) -> str:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status == "skipped", result
    return result.reason


def effects(result: Estimate) -> dict[tuple[float, float], tuple[float, float | None]]:
    return {
        (row["cohort"], row["period"]): (row["estimate"], row["standard_error"])
        for row in result.diagnostics["group_time"]
    }


@cache
def csdid_of(design: tuple[tuple[str, object], ...], options: tuple[tuple[str, object], ...], cluster: bool):
    """csdid's fit of a design."""
    import pandas as pd
    from csdid.att_gt import ATTgt

    data, given = staggered(**dict(design)), dict(options)
    columns = {f"x{at}": column for at, column in enumerate(data.covariates.T)}
    frame = pd.DataFrame(
        {"y": data.y, "id": data.unit, "t": data.time_values[data.time].astype(int),
         "g": np.nan_to_num(data.cohort).astype(int), "cl": data.unit % 30, **columns}
    )  # fmt: skip
    if data.weights is not None:
        frame["w"] = data.weights
    asked = {"not_yet_treated": "notyettreated", "never_treated": "nevertreated"}[
        str(given.get("control_group", "never_treated"))
    ]
    model = ATTgt(
        yname="y", tname="t", idname="id", gname="g", data=frame, control_group=[asked],
        xformla="y ~ " + " + ".join(columns) if columns else None, panel=True, allow_unbalanced_panel=False,
        weights_name=None if data.weights is None else "w", anticipation=given.get("anticipation", 0),
        clustervar="cl" if cluster else None,
    )  # fmt: skip
    fit = model.fit(
        est_method=given.get("did_method", "dr"), base_period=given.get("base_period", "varying"), bstrap=False
    )
    overall = {}
    for kind in ("simple", "dynamic", "group", "calendar"):
        found = fit.aggte(kind, na_rm=True).atte
        overall[kind] = float(np.ravel(found["overall_att"])[0]), float(np.ravel(found["overall_se"])[0])
    return fit.results, overall


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
        told = result.diagnostics[kind]
        assert told["overall"] == pytest.approx(overall[kind][0], abs=1e-9)
        assert told["overall_standard_error"] == pytest.approx(overall[kind][1], rel=1e-8)


@pytest.mark.parametrize("covariates", [False, True])
def test_clusters_of_units_have_csdids_errors_but_for_the_factor_of_few_clusters(covariates: bool):
    peer, overall = csdid_of((("covariates", covariates),), (), True)
    data = staggered(covariates=covariates)
    result = answer(GROUP_TIME, replace(data, clusters=(data.unit % 30,)))
    factor = np.sqrt(30 / 29)
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


def test_few_gaps_are_noted_and_many_are_a_doubt():
    said = "each effect uses the units seen in both of its periods"
    few, many, none = (answer(GROUP_TIME, staggered(dropped=dropped, covariates=False)) for dropped in (0.05, 0.15, 0))
    assert any(said in note for note in few.diagnostics.get("notes", ()))
    assert not any(said in doubt for doubt in few.warnings)
    assert any(said in doubt and doubt.startswith("15% of the units' periods are missing") for doubt in many.warnings)
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


def written_out(data: Data, anticipation: int = 0) -> dict[object, tuple[float, float]]:
    """Imputation by dummies: every weight on every row, and the variance from them; overall and by event."""
    n, units = data.n, int(data.unit.max()) + 1
    w = np.ones(n) if data.weights is None else data.weights / data.weights.mean()
    first, now = np.where(np.isnan(data.cohort), 1e9, data.cohort), data.time_values[data.time]
    treated, untreated = now >= first, now < first - anticipation
    z = np.column_stack([np.eye(units)[data.unit], np.eye(6)[data.time][:, 1:]])
    if data.covariates.shape[1]:
        z = np.column_stack([z, data.covariates - data.covariates.mean(axis=0)])
    inverse = np.linalg.pinv((z[untreated] * w[untreated, None]).T @ z[untreated])
    rest = data.y - z @ (inverse @ ((z[untreated] * w[untreated, None]).T @ data.y[untreated]))
    found: dict[object, tuple[float, float]] = {}
    events = np.unique((now - first)[treated])
    for name, chosen in [("overall", treated), *((event, treated & (now - first == event)) for event in events)]:
        own = np.where(chosen, w, 0.0) / w[chosen].sum()
        weight = own.copy()
        weight[untreated] -= w[untreated] * (z[untreated] @ (inverse @ (z.T @ own)))
        around = rest.copy()
        for cohort in np.unique(first[treated]):
            for period in np.unique(now):
                cell = treated & (first == cohort) & (now == period) & (weight != 0)
                if cell.any():
                    around[cell] -= (weight[cell] ** 2 @ rest[cell]) / (weight[cell] ** 2).sum()
        sums = np.bincount(data.unit, weight * around)
        found[name] = float(own @ rest), float(np.sqrt(sums @ sums))
    return found


@pytest.mark.parametrize(
    ("design", "anticipation"),
    [
        ({"covariates": False}, 0),
        ({"covariates": False, "weights": "changing"}, 0),
        ({"moving": True}, 0),
        ({"moving": True, "weights": "fixed", "dropped": 0.1}, 0),
        ({"covariates": False, "dropped": 0.1}, 1),
    ],
)
def test_imputation_is_the_regression_with_every_weight_written_out(design: dict[str, object], anticipation: int):
    data = staggered(120, 3, **design)
    if data.covariates.shape[1]:
        data = replace(data, covariates=data.covariates[:, :1], propensity_covariates=data.covariates[:, :1])
    untreated = np.zeros(120, dtype=bool)
    untreated[data.unit[np.isnan(data.cohort) | (data.time_values[data.time] < data.cohort - anticipation)]] = True
    data = rows(data, np.flatnonzero(untreated[data.unit]))
    expected = written_out(data, anticipation)
    result = answer(IMPUTED, data, se="HC0", anticipation=anticipation)
    assert result.estimate == pytest.approx(expected["overall"][0], abs=1e-9)
    assert result.standard_error == pytest.approx(expected["overall"][1], rel=1e-8)
    for row in result.diagnostics["dynamic"]["averages"]:
        assert (row["estimate"], row["standard_error"]) == pytest.approx(expected[float(row["event"])], rel=1e-8)


def test_imputation_equals_the_two_stage_estimate_of_pyfixest():
    import pandas as pd
    from pyfixest import did2s

    data = staggered(covariates=False)
    now = data.time_values[data.time].astype(int)
    frame = pd.DataFrame(
        {"y": data.y, "id": data.unit, "t": now, "treated": now >= np.nan_to_num(data.cohort, nan=9e9)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = did2s(
            frame.assign(treated=frame.treated.astype(int)), yname="y", first_stage="~ 0 | id + t",
            second_stage="~ i(treated, ref=0)", treatment="treated", cluster="id",
        )  # fmt: skip
    result = answer(IMPUTED, data)
    assert result.estimate == pytest.approx(float(peer.coef().iloc[0]), abs=1e-6)
    assert result.standard_error == pytest.approx(float(peer.se().iloc[0]), rel=0.25)


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
    assert "'cohort' changes within some units" in refused(name, replace(data, cohort=cohort))


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
    assert any("those treated last, from 2006 on" in note for note in result.diagnostics["notes"])
    assert max(period for _, period in effects(result)) == 2005
    assert "options.control_group" in refused(GROUP_TIME, data, control_group="never_treated")
    assert answer(IMPUTED, data).n == int((data.time_values[data.time] < 2006).sum())


def test_a_cohort_without_anybody_to_compare_with_is_named():
    data = staggered(covariates=False)
    never = np.flatnonzero(np.isnan(data.cohort))
    gone = never[(data.time[never] == 5)]
    result = answer(GROUP_TIME, rows(data, np.setdiff1d(np.arange(data.n), gone[1:])))
    assert any("2003 in 2006" in warning for warning in result.warnings)
    assert (2003.0, 2005.0) in effects(result)
    assert (2003.0, 2006.0) not in effects(result)


def test_a_covariate_that_tells_the_arms_apart_is_named_by_its_effects_and_not_extrapolated():
    data = staggered()
    telling = np.where(data.cohort == 2003, 1.0, 0.0) + 1e-3 * np.random.default_rng(0).standard_normal(240)[data.unit]
    wider = replace(data, covariates=telling[:, None], propensity_covariates=telling[:, None])
    result = answer(GROUP_TIME, wider)
    assert any("almost without error" in warning for warning in result.warnings)
    assert not any(cohort == 2003 for cohort, _ in effects(result))
    assert any(cohort == 2004 for cohort, _ in effects(result))


def test_small_cohorts_are_named():
    data = staggered(covariates=False)
    lonely = data.unit == data.unit[np.flatnonzero(np.isnan(data.cohort))[0]]
    result = answer(GROUP_TIME, replace(data, cohort=np.where(lonely, 2005.0, data.cohort)))
    assert any("start treatment in 2005" in warning for warning in result.warnings)
    dated = replace(data, time_labels=tuple(f"2024-0{month}-01" for month in range(1, 7)))
    warnings = answer(GROUP_TIME, replace(dated, cohort=np.where(lonely, 2005.0, data.cohort))).warnings
    assert any("start treatment in 2024-05-01" in warning for warning in warnings)
    imputed = answer(IMPUTED, replace(data, cohort=np.where(lonely, 2005.0, data.cohort)))
    assert any("a single unit is treated" in warning for warning in imputed.warnings)


def test_anticipation_moves_the_base_back_and_its_periods_are_not_untreated():
    data = staggered(covariates=False)
    result = answer(GROUP_TIME, data, anticipation=1)
    bases = {(row["cohort"], row["period"]): row["base"] for row in result.diagnostics["group_time"]}
    assert bases[2004.0, 2004.0] == bases[2004.0, 2003.0] == 2002.0
    assert bases[2006.0, 2003.0] == 2002.0


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


def test_the_event_study_keeps_the_covariance_that_its_errors_come_from():
    plan = Plan(staggered(), Settings())
    study, told = event_study(plan), run(ENTRIES[GROUP_TIME], plan).diagnostics["dynamic"]["averages"]
    assert list(study.events) == [row["event"] for row in told]
    np.testing.assert_allclose(np.sqrt(np.diag(study.covariance)), [row["standard_error"] for row in told], rtol=1e-12)
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
    told = answer(GROUP_TIME, data).diagnostics["dynamic"]["averages"]
    row = next(row for row in told if row["event"] == event)
    assert row["standard_error"] == pytest.approx(jackknife, rel=0.06)


def test_covariates_that_leave_no_comparison_at_all_skip_it_before_it_can_be_the_primary():
    data = staggered(covariates=False)
    ever = (~np.isnan(data.cohort)) + 1e-3 * np.random.default_rng(0).standard_normal(240)[data.unit]
    wider = replace(data, covariates=ever[:, None], propensity_covariates=ever[:, None], names=names_for(ever[:, None]))
    assert "almost without error" in ENTRIES[GROUP_TIME].applies(Plan(wider, Settings()))
    assert ENTRIES[GROUP_TIME].applies(Plan(wider, Settings(did_method="reg"))) is None


def test_a_sparse_panel_is_refused_by_its_size():
    units, periods = 9_000, 450
    rng = np.random.default_rng(0)
    unit, time = np.repeat(np.arange(units), 2), rng.integers(0, periods // 2, units)
    time = np.stack([time, time + 1 + rng.integers(0, periods // 2, units)], axis=1).ravel()
    sparse = Data(
        n=len(unit), y=rng.standard_normal(len(unit)), unit=unit, time=time, time_values=np.arange(float(periods + 1)),
        cohort=np.where(unit % 2, 200.0, np.nan), row_key=unit.astype(np.uint64),
    )  # fmt: skip
    assert "too many to lay out" in refused(GROUP_TIME, sparse)


def test_a_window_that_holds_no_event_leaves_the_other_averages():
    data = staggered(covariates=False)
    late = rows(data, np.flatnonzero(np.isnan(data.cohort) | (np.abs(data.time_values[data.time] - data.cohort) > 1)))
    result = answer(GROUP_TIME, late, event_window=1, anticipation=2)
    told = result.diagnostics["dynamic"]
    assert (told["overall"], told["overall_standard_error"], told["averages"]) == (None, None, [])
    assert result.diagnostics["calendar"]["averages"]


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


def test_leads_are_the_regression_of_untreated_rows_on_dummies_of_the_steps_before_treatment():
    data = staggered(120, 3, covariates=False, weights="fixed")
    told = answer(IMPUTED, data, se="HC0").diagnostics["leads"]["averages"]
    since = np.nan_to_num(data.time_values[data.time] - data.cohort, nan=-999.0)
    used = since < 0
    w = np.sqrt(data.weights[used])
    leads = [row["event"] for row in told]
    assert leads == [-1, -2, -3, -4]
    dummies = (since[used, None] == np.asarray(leads)).astype(float)
    z = np.column_stack([dummies, np.eye(120)[data.unit[used]], np.eye(6)[data.time[used]][:, 1:]]) * w[:, None]
    inverse = np.linalg.pinv(z.T @ z)
    coefficients = inverse @ (z.T @ (data.y[used] * w))
    scores = z * (data.y[used] * w - z @ coefficients)[:, None]
    sums = np.stack([np.bincount(data.unit[used], column, 120) for column in scores.T], axis=1)
    errors = np.sqrt(np.diag(inverse @ (sums.T @ sums) @ inverse))
    for at, row in enumerate(told):
        assert (row["estimate"], row["standard_error"]) == pytest.approx((coefficients[at], errors[at]), rel=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_the_odds_of_a_comparison_are_found_where_the_covariate_is_steep_and_skewed(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.beta(0.5, 4.0, 300)
    treated = rng.random(300) < 1 / (1 + np.exp(5 - 9 * x))
    order = np.argsort(~treated, kind="stable")
    z = np.vstack([np.ones(300), (x[order] - x.mean()) / x.std()])
    weights = rng.uniform(0.5, 2.0, 300)
    comparison = Comparison(z, weights, int(treated.sum()), "ipw")
    score = z @ comparison._score
    np.testing.assert_allclose(score, 0.0, atol=1e-9)
