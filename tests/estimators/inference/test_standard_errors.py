from dataclasses import replace

import numpy as np
import pytest
from scipy.special import stdtrit

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import cross_section, design_for, rows, two_periods

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
WITHOUT_COVARIATES = {"covariates": np.empty((600, 0)), "propensity_covariates": np.empty((600, 0))}


def clustered(groups: int, *, second: int = 0, n: int = 600, seed: int = 3, by_cluster: bool = False) -> Data:
    data = cross_section(n=n, weights=False, seed=seed)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, groups, n)
    clusters = (codes, rng.integers(0, second, n)) if second else (codes,)
    shock = rng.standard_normal(groups)[codes]
    treatment = (codes % 2).astype(float) if by_cluster else data.treatment
    return replace(data, clusters=clusters, y=data.y + shock, treatment=treatment)


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def frame(data: Data):
    import pandas as pd

    columns = {f"x{k}": data.covariates[:, k] for k in range(data.covariates.shape[1])}
    clusters = {f"g{k}": codes for k, codes in enumerate(data.clusters)}
    return pd.DataFrame({"y": data.y, "t": data.treatment, **columns, **clusters})


def test_one_way_clustering_equals_pyfixest():
    import pyfixest as pf

    data = clustered(60)
    peer = pf.feols("y ~ t + x0 + x1 + x2 + x3", frame(data), vcov={"CRV1": "g0"})
    result = answer("ols_adjustment", data)
    assert result.estimate == pytest.approx(peer.coef()["t"], rel=1e-9)
    assert result.standard_error == pytest.approx(peer.se()["t"], rel=1e-8)
    assert result.p_value == pytest.approx(peer.pvalue()["t"], rel=1e-6)


def test_the_jackknife_is_pyfixests_without_its_small_sample_factor():
    import pyfixest as pf

    data = clustered(40)
    peer = pf.feols("y ~ t + x0 + x1 + x2 + x3", frame(data), vcov={"CRV3": "g0"})
    factor = 40 / 39 * (data.n - 1) / (data.n - 6)
    result = answer("ols_adjustment", data)
    assert result.standard_error == pytest.approx(peer.se()["t"] * np.sqrt(39 / 40 / factor), rel=1e-8)


def test_two_way_clustering_equals_pyfixest():
    import pyfixest as pf

    data = clustered(60, second=55)
    peer = pf.feols("y ~ t + x0 + x1 + x2 + x3", frame(data), vcov={"CRV1": "g0 + g1"})
    result = answer("ols_adjustment", data)
    assert result.se_method == "CRV1"
    assert result.standard_error == pytest.approx(peer.se()["t"], rel=1e-9)


def test_few_clusters_take_the_jackknife_and_many_do_not():
    assert answer("ols_adjustment", clustered(49)).se_method == "CRV3"
    assert answer("ols_adjustment", clustered(50)).se_method == "CRV1"
    assert answer("ols_adjustment", clustered(49)).diagnostics["degrees_of_freedom"] == 48


def test_few_treated_clusters_take_the_jackknife_and_are_a_warning():
    data = clustered(60, by_cluster=True)
    few = replace(data, treatment=(data.clusters[0] < 4).astype(float))
    result = answer("difference_in_means", few)
    assert result.se_method == "CRV3"
    assert "Only 4 clusters are treated" in result.warnings[0]


def few_treated(*, many: int = 40, treated: int = 4) -> Data:
    data = clustered(many)
    return replace(data, treatment=(data.clusters[0] < treated).astype(float))


@pytest.mark.parametrize("name", ["difference_in_means", "ols_adjustment", "lin_interacted", "proximal_2sls"])
def test_few_treated_clusters_have_welchs_degrees_of_freedom_over_the_clusters(name: str):
    data = few_treated()
    if name == "proximal_2sls":
        proxies = data.covariates[:, :1] + np.random.default_rng(4).standard_normal((data.n, 2))
        data = replace(data, proxy_treatment=proxies[:, :1], proxy_outcome=proxies[:, 1:])
    codes, result = data.clusters[0], answer(name, data)
    refits = np.array([answer(name, rows(data, np.flatnonzero(codes != g)), se="HC0").estimate for g in range(40)])
    shares = np.square(refits - result.estimate)
    shares /= shares.sum()
    expected = 0.0
    for own in (np.arange(40) < 4, np.arange(40) >= 4):
        sizes = np.bincount(codes)[own]
        moved = sizes / (sizes.sum() - sizes)
        covariance = np.outer(moved, moved) * (np.diag(1 / sizes) - 1 / sizes.sum())
        expected += shares[own].sum() ** 2 * np.square(covariance).sum() / np.trace(covariance) ** 2
    assert result.diagnostics["degrees_of_freedom"] == pytest.approx(1 / expected, rel=1e-6)
    assert result.se_method == "CRV3"
    assert 2 < result.diagnostics["degrees_of_freedom"] < (39 if name == "proximal_2sls" else 12)
    assert any("by Welch's formula for the clusters of the two arms; the number of clusters less 1 is 39" in note
               for note in result.diagnostics["notes"])  # fmt: skip
    half = stdtrit(result.diagnostics["degrees_of_freedom"], 0.975) * result.standard_error
    assert result.ci_upper - result.estimate == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("name", ["difference_in_means", "ols_adjustment", "lin_interacted"])
@pytest.mark.parametrize("se", ["CRV1", "CRV3"])
def test_a_clustered_error_that_was_asked_for_keeps_the_clusters_less_1_and_warns(name: str, se: str):
    result = answer(name, few_treated(), se=se)
    assert (result.se_method, result.diagnostics["degrees_of_freedom"]) == (se, 39)
    assert any("Only 4 clusters are treated" in warning for warning in result.warnings)


def test_many_clusters_of_both_arms_keep_the_clusters_less_1():
    result = answer("ols_adjustment", clustered(60, by_cluster=True))
    assert (result.se_method, result.diagnostics["degrees_of_freedom"]) == ("CRV1", 59)


def test_arms_within_every_cluster_keep_the_clusters_less_1():
    result = answer("ols_adjustment", clustered(12))
    assert (result.se_method, result.diagnostics["degrees_of_freedom"]) == ("CRV3", 11)
    assert "notes" not in result.diagnostics


def test_where_clusters_cannot_be_left_out_few_of_them_are_allowed_for_all_the_same():
    data = replace(few_treated(), fixed_effects=(np.arange(600) % 250,))
    result = answer("ols_adjustment", data)
    assert result.se_method == "CRV1"
    assert "CRV3 is not computed" in " ".join(result.warnings)
    assert result.diagnostics["degrees_of_freedom"] < 12


@pytest.mark.parametrize("second", [False, True], ids=["treated clusters", "arms within clusters"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_order_jackknife_of_a_difference_of_means_is_the_jackknife(second: bool, weighted: bool):
    data = clustered(14) if second else few_treated()
    weights = np.random.default_rng(6).exponential(size=data.n) + np.where(data.clusters[0] == 0, 8.0, 1.0)
    data = replace(data, pscore=np.full(data.n, 0.4), weights=weights if weighted else None)
    exact, linear = answer("difference_in_means", data), answer("ipw_ate", data)
    assert linear.se_method == "CRV3L (M-estimation)"
    assert linear.standard_error == pytest.approx(exact.standard_error, rel=1e-9)
    reported = [result.diagnostics["degrees_of_freedom"] for result in (linear, exact)]
    assert reported[0] == pytest.approx(reported[1], rel=1e-9)


OF_INFLUENCE = (
    "g_computation_ate", "g_computation_att", "ipw_ate", "ipw_att", "overlap_weights", "entropy_balancing_ate",
    "entropy_balancing_att", "aipw", "ipwra", "propensity_strata", "dml_plr", "dml_irm_ate", "dml_irm_att",
    "dr_learner", "s_learner",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_INFLUENCE)
def test_every_comparison_of_arms_allows_for_few_clusters(name: str):
    data = few_treated()
    few, asked = answer(name, data), answer(name, data, se="CRV1")
    many = answer(name, clustered(60))
    assert [result.se_method.split(" ")[0] for result in (few, asked, many)] == ["CRV3L", "CRV1", "CRV1"]
    assert asked.diagnostics["degrees_of_freedom"] == 39
    assert few.diagnostics["degrees_of_freedom"] < 12
    assert few.diagnostics["standard_errors"]["CRV1"] == pytest.approx(asked.standard_error, rel=1e-12)
    assert few.standard_error > asked.standard_error
    assert not any("below 50" in warning for warning in few.warnings)


def test_the_arms_of_an_instrument_part_the_clusters_of_its_estimates():
    data = few_treated()
    uptake = np.random.default_rng(9).random(data.n) < 0.2 + 0.6 * data.treatment
    z = data.treatment[:, None]
    result = answer("iv_wald", replace(data, treatment=uptake.astype(float), instruments=z, **WITHOUT_COVARIATES))
    assert result.se_method == "CRV3"
    assert result.diagnostics["degrees_of_freedom"] < 12
    amounts = z + np.random.default_rng(3).standard_normal((data.n, 1))
    by_amounts = answer("iv_2sls", replace(data, treatment=uptake.astype(float), instruments=amounts))
    assert by_amounts.diagnostics["degrees_of_freedom"] == 39


OF_ARMS = ("difference_in_means", "ols_adjustment", "lin_interacted", "g_computation_att", "aipw", "ipw_att", "dml_plr")


@pytest.mark.parametrize("name", OF_ARMS)
@pytest.mark.parametrize("arm", ["treated", "untreated"])
@pytest.mark.parametrize("second", [0, 55])
def test_one_cluster_of_an_arm_leaves_no_standard_error_and_says_so(name: str, arm: str, second: int):
    data = clustered(60, second=second)
    alone = (data.clusters[0] < 1).astype(float)
    result = answer(name, replace(data, treatment=alone if arm == "treated" else 1 - alone))
    assert result.estimate is not None
    assert (result.standard_error, result.ci_lower, result.ci_upper, result.p_value) == (None, None, None, None)
    assert f"Only 1 cluster is {arm}" in result.warnings[0]
    assert not any("the standard error is" in warning for warning in result.warnings)
    assert result.diagnostics["standard_errors"]["CRV1"] > 0
    assert result.diagnostics["clusters_by_arm"][arm] == 1


@pytest.mark.parametrize("name", OF_ARMS)
def test_one_treated_cluster_has_the_error_that_other_programs_give_where_it_is_asked_for(name: str):
    data = clustered(60)
    result = answer(name, replace(data, treatment=(data.clusters[0] < 1).astype(float)), se="CRV1")
    assert result.standard_error is not None
    assert "interval is far too narrow" in result.warnings[0]


@pytest.mark.parametrize("name", ["ols_adjustment", "ipw_ate"])
def test_few_clusters_of_an_arm_are_a_warning_of_every_kind_of_estimator(name: str):
    data = clustered(60)
    few = answer(name, replace(data, treatment=(data.clusters[0] < 4).astype(float)))
    assert few.standard_error is not None
    assert sum("Only 4 clusters are treated" in warning for warning in few.warnings) == 1
    assert not any("clusters are" in warning for warning in answer(name, data).warnings)


def test_an_amount_has_no_treated_clusters():
    data = replace(clustered(60), treatment_kind="continuous")
    amount = replace(data, treatment=np.random.default_rng(2).standard_normal(data.n))
    result = answer("ols_adjustment", amount)
    assert (result.se_method, result.warnings) == ("CRV1", ())
    assert "clusters_by_arm" not in result.diagnostics


@pytest.mark.parametrize("se", ["auto", "CRV1"])
@pytest.mark.parametrize("name", ["difference_in_means", "g_computation_att", "did_2x2"])
def test_scores_that_vanish_in_every_cluster_leave_no_standard_error(name: str, se: str):
    data = two_periods(n=400) if name == "did_2x2" else cross_section(n=400, weights=False)
    bare = {"covariates": np.empty((400, 0)), "propensity_covariates": np.empty((400, 0))}
    data = replace(data, **(bare if name != "g_computation_att" else {}))
    data = replace(data, y=1000 + data.y, clusters=(data.treatment.astype(np.int64),))
    result = answer(name, data, se=se)
    assert (result.standard_error, result.p_value, result.ci_upper) == (None, None, None)
    assert "CRV1" not in result.diagnostics["standard_errors"]
    if se == "CRV1":
        assert "sum to 0 up to rounding" in result.warnings[0]


def test_a_single_cluster_gives_an_estimate_without_an_error():
    data = replace(clustered(40), clusters=(np.zeros(600, dtype=np.int64),))
    for name in ("ols_adjustment", "ipw_ate"):
        result = answer(name, data)
        assert result.standard_error is None
        assert result.ci_lower is None
        assert "one cluster" in result.warnings[0]


@pytest.mark.parametrize("name", ["ols_adjustment", "difference_in_means", "iv_2sls", "did_2x2"])
def test_the_jackknife_equals_refitting_without_each_cluster(name: str):
    data = design_for(ENTRIES[name])
    codes = np.random.default_rng(1).integers(0, 12, data.n)
    result = answer(name, replace(data, clusters=(codes,)), se="CRV3")
    refits = [answer(name, rows(data, np.flatnonzero(codes != g))).estimate for g in range(12)]
    expected = np.sqrt(11 / 12 * np.sum(np.square(np.array(refits) - result.estimate)))
    assert result.standard_error == pytest.approx(expected, rel=1e-8)


def test_the_jackknife_refits_effects_that_reach_across_clusters():
    data = clustered(12)
    data = replace(data, fixed_effects=(np.arange(data.n) % 7, data.clusters[0] // 2))
    result = answer("ols_adjustment", data)
    assert result.se_method == "CRV3"
    keep = [np.flatnonzero(data.clusters[0] != g) for g in range(12)]
    refits = np.array([answer("ols_adjustment", rows(data, index), se="iid").estimate for index in keep])
    expected = np.sqrt(11 / 12 * np.sum((refits - result.estimate) ** 2))
    assert result.standard_error == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", ["ols_adjustment", "aipw"])
@pytest.mark.parametrize("second", [0, 7])
def test_few_clusters_are_a_warning_wherever_the_error_does_not_allow_for_them(name: str, second: int):
    result = answer(name, clustered(12, second=second), se="auto" if second else "CRV1")
    assert f"There are {second or 12} clusters" in " ".join(result.warnings)


@pytest.mark.parametrize("name", ["ols_adjustment", "difference_in_means", "aipw"])
def test_an_error_that_forgets_the_clusters_is_a_warning(name: str):
    asked = answer(name, clustered(60), se="HC1")
    assert "options.se = HC1 treats rows of a mapped cluster as independent" in " ".join(asked.warnings)
    assert not any("independent" in warning for warning in answer(name, clustered(60)).warnings)


@pytest.mark.parametrize("name", ["ols_adjustment", "ipw_ate"])
def test_dimensions_whose_combination_is_not_positive_are_added(name: str):
    for seed in range(400):
        data = clustered(3, second=3, n=90, seed=seed)
        result = answer(name, data)
        if any("is conservative" in warning for warning in result.warnings):
            break
    else:
        raise AssertionError("no seed gives such a sample")
    alone = [answer(name, replace(data, clusters=(codes,)), se="CRV1").standard_error for codes in data.clusters]
    assert result.standard_error == pytest.approx(np.sqrt(sum(error**2 for error in alone)), rel=1e-9)


def test_few_rows_for_the_models_of_an_arm_are_a_warning():
    few, many = cross_section(n=60, weights=False), cross_section(n=600, weights=False)
    for name in ("aipw", "ipw_ate", "dml_plr", "ipwra"):
        assert "may be too narrow here" in " ".join(answer(name, few).warnings)
        assert not any("too narrow" in warning for warning in answer(name, many).warnings)
    assert not any("too narrow" in warning for warning in answer("ols_adjustment", few).warnings)


def test_lins_jackknife_equals_that_of_the_interacted_regression():
    import statsmodels.api as sm

    data = clustered(12)
    centred = data.covariates - data.covariates.mean(axis=0)
    t = data.treatment[:, None]
    design = np.hstack([np.ones_like(t), t, centred, t * centred])
    keep = [data.clusters[0] != g for g in range(12)]
    refits = np.array([sm.OLS(data.y[rows], design[rows]).fit().params[1] for rows in keep])
    result = answer("lin_interacted", data, se="CRV3")
    assert result.standard_error == pytest.approx(np.sqrt(11 / 12 * np.sum((refits - result.estimate) ** 2)), rel=1e-8)


def test_m_estimators_cluster_their_contributions():
    data = clustered(60)
    plain, grouped = answer("ipw_ate", data, se="HC0"), answer("ipw_ate", data)
    sums = np.bincount(data.clusters[0], plain.influence / plain.n)
    assert grouped.standard_error == pytest.approx(np.sqrt(60 / 59 * np.sum(sums**2)), rel=1e-10)
    assert grouped.se_method == "CRV1 (M-estimation)"


def test_an_error_asked_of_an_m_estimator_is_named_as_what_it_is():
    result = answer("aipw", cross_section(), se="HC3")
    assert result.se_method == "influence function"
    assert any("HC3 is not defined" in note for note in result.diagnostics["notes"])


def test_clusters_asked_for_without_any_are_the_rows():
    data = cross_section()
    assert (
        answer("ols_adjustment", data, se="CRV1").standard_error
        == answer("ols_adjustment", data, se="HC1").standard_error
    )
    assert answer("ols_adjustment", data, se="CRV3").se_method == "HC3"


def test_an_error_that_a_perfectly_fitted_row_rules_out_is_replaced_by_name():
    data = cross_section(n=300, weights=False)
    alone = (np.arange(300) == 7).astype(float)
    x = np.column_stack([data.covariates, alone])
    result = answer("ols_adjustment", replace(data, covariates=x, propensity_covariates=x), se="HC3")
    assert result.se_method == "HC1"
    assert "HC3 is not defined, because a row is fitted exactly" in result.warnings[0]


def test_absorbed_effects_have_no_leverages_and_say_so():
    data = replace(cross_section(n=300), fixed_effects=(np.arange(300) % 7,))
    result = answer("ols_adjustment", data, se="HC2")
    assert result.se_method == "HC1"
    assert "leverages, which are not computed" in result.warnings[0]


def test_absorbed_effects_take_hc1_without_a_word_where_no_error_was_asked_for():
    data = replace(cross_section(n=200), fixed_effects=(np.arange(200) % 7,))
    result = answer("ols_adjustment", data)
    assert (result.se_method, result.warnings) == ("HC1", ())
    assert answer("ols_adjustment", data, se="HC1").standard_error == result.standard_error


ADJUSTING_FOR_NOTHING = {"difference_in_means", "rd_density_test", "ope_ips", "ope_snips"}
WITHOUT_EFFECTS = {name for name, entry in ENTRIES.items() if "fixed_effects" not in entry.optional}


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECTS - ADJUSTING_FOR_NOTHING))
def test_fixed_effects_are_never_ignored_where_something_is_adjusted_for(name: str):
    data = design_for(ENTRIES[name])
    elsewhere = np.random.default_rng(1).integers(0, 5, data.n)
    result = run(ENTRIES[name], Plan(replace(data, fixed_effects=(elsewhere,)), Settings()))
    assert result.status == "skipped"
