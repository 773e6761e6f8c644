from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, panel, rows, two_periods

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(name: str, data: Data) -> str:
    result = run(ENTRIES[name], Plan(data, Settings()))
    assert result.status == "skipped"
    return result.reason


@pytest.mark.parametrize("se", ["iid", "HC1", "HC2", "HC3"])
def test_two_by_two_is_the_interaction_of_a_regression(se: str):
    import statsmodels.api as sm

    data = two_periods(n=300)
    design = np.column_stack([data.covariates, data.treatment, data.post, data.treatment * data.post])
    peer = sm.OLS(data.y, sm.add_constant(design)).fit(cov_type=se if se != "iid" else "nonrobust")
    result = answer("did_2x2", data, se=se)
    assert result.estimate == pytest.approx(peer.params[-1], rel=1e-10)
    assert result.standard_error == pytest.approx(peer.bse[-1], rel=1e-10)


def test_the_cell_means_make_the_estimate_where_there_are_no_covariates():
    data = two_periods()
    result = answer("did_2x2", replace(data, covariates=np.empty((data.n, 0)), names={"y": ("y",)}))
    means = result.diagnostics["cell_means"]
    by_hand = (means["treated after"] - means["treated before"]) - (
        means["untreated after"] - means["untreated before"]
    )
    assert result.estimate == pytest.approx(by_hand, rel=1e-10)


def test_an_empty_cell_is_named():
    data = two_periods()
    kept = rows(data, np.flatnonzero((data.treatment == 0) | (data.post == 1)))
    assert "No complete rows are treated before" in refused("did_2x2", kept)


@pytest.mark.parametrize("dropped", [0.0, 0.15])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_way_fixed_effects_equal_dummies(dropped: float, weighted: bool):
    import statsmodels.api as sm

    data = panel(units=40, staggered=True, dropped=dropped)
    weights = np.random.default_rng(1).uniform(0.5, 2, data.n) if weighted else None
    unit = (data.unit[:, None] == np.arange(1, 40)).astype(float)
    time = (data.time[:, None] == np.arange(1, 6)).astype(float)
    design = np.column_stack([np.ones(data.n), unit, time, data.covariates, data.treatment])
    peer = sm.WLS(data.y, design, weights=1.0 if weights is None else weights).fit()
    result = answer("twfe", replace(data, weights=weights), se="iid")
    assert result.estimate == pytest.approx(peer.params[-1], rel=1e-9)
    assert result.standard_error == pytest.approx(peer.bse[-1], rel=1e-9)
    assert result.diagnostics["parameters"] == design.shape[1]


def test_the_clustered_error_is_fixests():
    import statsmodels.api as sm

    data = panel(units=60, staggered=True, dropped=0.1)
    unit = (data.unit[:, None] == np.arange(1, 60)).astype(float)
    time = (data.time[:, None] == np.arange(1, 6)).astype(float)
    design = np.column_stack([np.ones(data.n), unit, time, data.covariates, data.treatment])
    fit = sm.OLS(data.y, design).fit(cov_type="cluster", cov_kwds={"groups": data.unit, "use_correction": False})
    expected = fit.bse[-1] * np.sqrt(60 / 59 * (data.n - 1) / (data.n - 2 - 6))
    result = answer("twfe", data)
    assert result.se_method == "CRV1 by unit"
    assert result.standard_error == pytest.approx(expected, rel=1e-9)
    assert result.diagnostics["degrees_of_freedom"] == 59


def test_two_way_effects_with_a_third_equal_pyfixest():
    import pandas as pd
    import pyfixest as pf

    data = panel(units=60, staggered=True, dropped=0.1)
    third = np.random.default_rng(5).integers(0, 7, data.n)
    table = pd.DataFrame({"y": data.y, "t": data.treatment, "x": data.covariates[:, 0], "u": data.unit, "p": data.time})
    peer = pf.feols("y ~ t + x | u + p + k", table.assign(k=third), vcov="iid", fixef_tol=1e-12)
    result = answer("twfe", replace(data, fixed_effects=(third,)), se="iid")
    assert result.estimate == pytest.approx(peer.coef()["t"], rel=1e-8)


def test_the_jackknife_refits_without_each_unit():
    data = panel(units=20, staggered=True)
    result = answer("twfe", data)
    assert result.se_method == "CRV3 by unit"
    refits = np.array(
        [answer("twfe", rows(data, np.flatnonzero(data.unit != g)), se="iid").estimate for g in range(20)]
    )
    expected = np.sqrt(19 / 20 * np.sum((refits - result.estimate) ** 2))
    assert result.standard_error == pytest.approx(expected, rel=1e-8)


def test_negative_weights_of_staggered_starts_are_counted():
    assert answer("twfe", panel()).diagnostics["negative_weight_share"] == 0
    result = answer("twfe", panel(units=200, periods=12, staggered=True))
    data = panel(units=200, periods=12, staggered=True)
    assert 0 < result.diagnostics["negative_weight_share"] < 1
    assert -0.05 < result.diagnostics["negative_weight_sum"] < 0
    assert any("negative weight" in note for note in result.diagnostics["notes"])
    assert not any("negative weight" in warning for warning in result.warnings)
    import statsmodels.api as sm

    unit = (data.unit[:, None] == np.arange(1, 200)).astype(float)
    time = (data.time[:, None] == np.arange(1, 12)).astype(float)
    left = sm.OLS(data.treatment, np.column_stack([np.ones(data.n), unit, time, data.covariates])).fit().resid
    weights = left[data.treatment == 1] / left[data.treatment == 1].sum()
    assert result.diagnostics["negative_weight_share"] == pytest.approx((weights < 0).mean())
    assert result.diagnostics["negative_weight_sum"] == pytest.approx(weights[weights < 0].sum())


def test_large_negative_weights_are_a_warning():
    data = panel(units=40, periods=10)
    start = np.where(data.unit % 2 == 0, 1, 7)
    result = answer("twfe", replace(data, treatment=(data.time >= start).astype(float)))
    assert result.diagnostics["negative_weight_sum"] < -0.05
    assert any("negative weight" in warning for warning in result.warnings)


def test_a_block_design_is_found_from_the_panel():
    data = panel()
    result = answer("did_2x2_block", data)
    assert result.diagnostics["treated_units"] == 40
    assert result.diagnostics["first_treated_period"] == 2003.0
    group = np.isin(data.unit, np.unique(data.unit[data.treatment == 1])).astype(float)
    explicit = replace(data, treatment=group, post=(data.time >= 3).astype(float))
    assert result.estimate == pytest.approx(answer("did_2x2", explicit).estimate, rel=1e-10)


def test_a_balanced_block_without_covariates_equals_two_way_effects():
    data = panel()
    data = replace(data, covariates=np.empty((data.n, 0)), propensity_covariates=np.empty((data.n, 0)))
    assert answer("did_2x2_block", data).estimate == pytest.approx(answer("twfe", data).estimate, rel=1e-10)


def test_panels_that_are_no_block_say_why():
    data = panel()
    assert "different times" in refused("did_2x2_block", panel(staggered=True))
    assert "Treatment ends in some unit" in refused(
        "did_2x2_block", replace(data, treatment=data.treatment * (data.time < 5))
    )
    late = rows(data, np.flatnonzero(data.time >= 3))
    assert "before its treatment" in refused("did_2x2_block", late)
    treated = rows(data, np.flatnonzero(data.unit < 40))
    assert "Every unit is treated" in refused("did_2x2_block", treated)


def test_repeated_rows_of_a_unit_in_a_period_are_refused_with_their_numbers():
    data = panel()
    doubled = rows(data, np.append(np.arange(data.n), [4, 9]))
    for name in ("twfe", "did_2x2_block"):
        assert f"rows {data.n + 1}, {data.n + 2}" in refused(name, doubled)


def test_a_treatment_that_never_changes_within_units_is_skipped():
    data = panel()
    constant = replace(data, treatment=(data.unit < 40).astype(float))
    assert "collinear with the other variables within the fixed effects" in refused("twfe", constant)


def test_units_seen_once_have_no_level_of_their_own():
    data = panel()
    assert "has a single row" in refused("twfe", replace(data, unit=np.arange(data.n)))


@pytest.mark.parametrize(
    ("name", "data"),
    [("twfe", panel(units=2000)), ("did_2x2_block", panel(units=2000)), ("did_2x2", two_periods(n=20_000))],
)
def test_the_known_effect_is_found(name: str, data: Data):
    result = answer(name, data)
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error


def test_an_amount_of_treatment_has_no_cells_but_has_fixed_effects():
    data = panel()
    amount = replace(data, treatment=data.treatment * 2.5, treatment_kind="continuous")
    assert answer("twfe", amount).estimate == pytest.approx(answer("twfe", data).estimate / 2.5, rel=1e-10)
    assert "two levels" in refused("did_2x2_block", amount)


def test_the_jackknife_of_clusters_that_split_units_refits_without_each():
    data = panel()
    result = answer("twfe", replace(data, clusters=(data.time,)))
    assert result.se_method == "CRV3"
    periods = np.unique(data.time)
    without = [rows(data, np.flatnonzero(data.time != g)) for g in periods]
    refits = np.array([answer("twfe", rest, se="iid").estimate for rest in without])
    share = (len(periods) - 1) / len(periods)
    assert result.standard_error == pytest.approx(np.sqrt(share * np.sum((refits - result.estimate) ** 2)), rel=1e-8)


def test_units_that_are_too_many_to_refit_leave_no_jackknife():
    data = panel(units=300)
    result = answer("twfe", replace(data, clusters=(data.time,)))
    assert result.se_method == "CRV1"
    assert any("span clusters" in warning for warning in result.warnings)
    assert any("6 clusters" in warning for warning in result.warnings)


OVER_TIME = ("did_2x2_block", "twfe", "did_callaway_santanna", "did_imputation", "panel_matching")


def one_start(first: int, last: int, *, units: int = 60) -> Data:
    """A panel in which these units alone start treatment in the fourth period."""
    data = replace(panel(units=units), covariates=np.empty((units * 6, 0)))
    data = replace(data, propensity_covariates=np.empty((data.n, 0)))
    return replace(data, treatment=((data.unit >= first) & (data.unit < last) & (data.time >= 3)).astype(float))


@pytest.mark.parametrize("name", OVER_TIME)
@pytest.mark.parametrize(("first", "arm"), [(0, "treated"), (1, "untreated")])
def test_one_unit_of_an_arm_leaves_no_standard_error(name: str, first: int, arm: str):
    data = one_start(first, 1 if arm == "treated" else 60)
    if name == "did_callaway_santanna" and arm == "untreated":
        assert "fewer than two comparison units" in refused(name, data)
        return
    result = answer(name, data)
    assert (result.standard_error, result.p_value, result.ci_lower) == (None, None, None)
    assert any(f"Only 1 cluster is {arm}" in warning for warning in result.warnings)
    assert result.diagnostics["clusters_by_arm"][arm] == 1


def test_cohorts_say_who_is_treated_where_no_treatment_is_mapped():
    data = one_start(0, 1)
    cohort = np.where(data.unit < 1, data.time_values[3], np.nan)
    by_cohort = replace(data, treatment=None, treatment_kind="none", cohort=cohort)
    for name in ("did_callaway_santanna", "did_imputation"):
        result = answer(name, by_cohort)
        assert result.standard_error is None
        assert result.diagnostics["clusters_by_arm"] == {"untreated": 59, "treated": 1}


@pytest.mark.parametrize("name", OVER_TIME)
def test_one_state_of_treated_units_leaves_no_standard_error(name: str):
    data = one_start(0, 5)
    result = answer(name, replace(data, clusters=(data.unit // 5,)))
    assert (result.standard_error, result.p_value) == (None, None)
    assert answer(name, data).standard_error is not None


def test_units_treated_later_are_compared_with_until_then():
    data = one_start(0, 60)
    late = replace(data, treatment=np.where(data.unit < 30, data.treatment, (data.time >= 5).astype(float)))
    for name, treated in (("twfe", 60), ("did_callaway_santanna", 30), ("did_imputation", 30)):
        result = answer(name, late)
        assert result.standard_error is not None
        # The last period, in which nobody is left to compare with, and its starts are left out but by `twfe`.
        assert result.diagnostics["clusters_by_arm"] == {"untreated": 30, "treated": treated}


def test_a_cell_of_few_rows_is_a_warning():
    data = two_periods(n=300)
    after = np.flatnonzero((data.treatment == 1) & (data.post == 1))
    fewer = rows(data, np.setdiff1d(np.arange(300), after[4:]))
    assert "Only 4 rows are treated after" in " ".join(answer("did_2x2", fewer).warnings)
    assert not any("Only" in warning for warning in answer("did_2x2", data).warnings)


@pytest.mark.parametrize("name", ["did_2x2", "did_2x2_block"])
def test_fixed_effects_that_it_cannot_take_out_are_refused(name: str):
    data = two_periods() if name == "did_2x2" else panel()
    elsewhere = np.random.default_rng(1).integers(0, 5, data.n)
    assert "absorb fixed effects" in refused(name, replace(data, fixed_effects=(elsewhere,)))


def test_fixed_effects_that_units_or_periods_contain_are_taken_out_already():
    data = panel()
    within = replace(data, fixed_effects=(data.unit % 4, data.time // 2))
    assert answer("did_2x2_block", within).estimate == answer("did_2x2_block", data).estimate


def snow() -> Data:
    """Deaths per 10,000 houses that two companies supplied, before and after one of them moved its intake."""
    return Data(
        n=4,
        y=np.array([135.0, 147.0, 130.0, 19.0]),
        treatment=np.array([0.0, 0, 1, 1]),
        treatment_kind="binary",
        post=np.array([0.0, 1, 0, 1]),
        unit=np.array([0, 0, 1, 1]),
        time=np.array([0, 1, 0, 1]),
        time_values=np.array([1849.0, 1854.0]),
        row_key=np.arange(4, dtype=np.uint64),
        names={"y": ("deaths",), "treatment": ("moved",), "post": ("after",)},
    )


def test_one_row_in_each_cell_has_an_estimate_and_no_standard_error():
    result = answer("did_2x2", snow())
    assert result.estimate == (19 - 130) - (147 - 135)
    assert result.standard_error is result.ci_lower is result.p_value is None
    assert result.warnings[0].startswith("There is one row in each of the four cells")
    assert result.diagnostics["cell_means"]["treated after"] == 19


def test_a_treatment_that_says_who_is_ever_treated_is_sent_where_post_is_used():
    reason = refused("did_2x2_block", snow())
    assert "'moved' does not change within units" in reason
    assert "did_2x2" in reason
    assert "map 'post'" in refused("did_2x2_block", replace(snow(), post=None))


def test_units_that_are_nearly_all_seen_once_are_reported_as_cross_sections():
    data = panel(units=200, periods=6)
    once = np.flatnonzero(data.time == data.unit % 6)
    few = rows(data, np.union1d(once, np.flatnonzero(data.unit < 1)))
    reason = refused("twfe", few)
    assert "205 rows of 200 units in 6 periods" in reason
    assert "leave 'unit_id' out: did_callaway_santanna compares repeated cross-sections" in reason
    more = np.union1d(once, np.flatnonzero(np.isin(data.unit, [0, 1, 198, 199])))
    assert answer("twfe", rows(data, more)).n == 220
    twice = (data.unit == 0) & np.isin(data.time, [4, 5]) | (data.unit == 199) & np.isin(data.time, [0, 5])
    assert "4 complete rows are too few for" in refused("twfe", rows(data, np.flatnonzero(twice)))
