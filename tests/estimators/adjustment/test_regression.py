from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import cross_section, names_for, rows

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
ERRORS = {"iid": "nonrobust", "HC0": "HC0", "HC1": "HC1", "HC2": "HC2", "HC3": "HC3"}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


@pytest.mark.parametrize("se", ERRORS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_adjusted_regression_equals_statsmodels(se: str, weighted: bool):
    import statsmodels.api as sm

    data = cross_section(n=400, weights=weighted)
    design = sm.add_constant(np.column_stack([data.covariates, data.treatment]))
    peer = sm.WLS(data.y, design, weights=data.weights if weighted else 1.0).fit(cov_type=ERRORS[se], use_t=True)
    result = answer("ols_adjustment", data, se=se)
    assert result.estimate == pytest.approx(peer.params[-1], rel=1e-10)
    assert result.standard_error == pytest.approx(peer.bse[-1], rel=1e-10)
    assert result.p_value == pytest.approx(peer.pvalues[-1], rel=1e-8)
    assert (result.ci_lower, result.ci_upper) == pytest.approx(tuple(peer.conf_int()[-1]), rel=1e-9)
    assert result.diagnostics["standard_errors"][se] == result.standard_error


@pytest.mark.parametrize("se", ERRORS)
def test_lins_regression_equals_statsmodels_with_centred_interactions(se: str):
    import statsmodels.api as sm

    data = cross_section(n=400, weights=False)
    centred = data.covariates - data.covariates.mean(axis=0)
    t = data.treatment[:, None]
    peer = sm.OLS(data.y, np.hstack([np.ones_like(t), t, centred, t * centred])).fit(cov_type=ERRORS[se], use_t=True)
    result = answer("lin_interacted", data, se=se)
    assert result.estimate == pytest.approx(peer.params[1], rel=1e-9)
    assert result.standard_error == pytest.approx(peer.bse[1], rel=1e-9)


def test_a_polynomial_of_years_keeps_its_digits():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    year = rng.integers(1980, 2020, 500).astype(float)
    x = np.column_stack([year, year**2])
    t = (rng.random(500) < 0.5).astype(float)
    y = (year - 2000) ** 2 / 50 + t + rng.standard_normal(500)
    data = Data(
        n=500, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=np.arange(500, dtype=np.uint64), names=names_for(x),
    )  # fmt: skip
    centred = np.column_stack([year - 2000, (year - 2000) ** 2, t])
    peer = sm.OLS(y, sm.add_constant(centred)).fit()
    assert answer("ols_adjustment", data).estimate == pytest.approx(peer.params[-1], rel=1e-8)


def test_columns_that_nearly_repeat_each_other_keep_their_digits():
    data = cross_section(n=400, weights=False)
    near = data.covariates[:, 0] + 1e-4 * np.random.default_rng(3).standard_normal(400)
    x = np.column_stack([data.covariates, near])
    t = data.treatment + 1e-4 * near
    design = np.column_stack([np.ones(400), data.covariates - data.covariates.mean(0), near - data.covariates[:, 0], t])
    expected = np.linalg.lstsq(design, data.y, rcond=None)[0][-1]
    close = replace(data, covariates=x, propensity_covariates=x, treatment=t, treatment_kind="continuous")
    assert answer("ols_adjustment", close).estimate == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("folded", [False, True])
def test_absorbed_fixed_effects_equal_dummies(folded: bool):
    import statsmodels.api as sm

    data = cross_section(n=500, weights=folded)
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 30, data.n), rng.integers(3, 9, data.n)
    data = replace(data, fixed_effects=(first, second))
    dummies = np.column_stack([first == level for level in range(30)] + [second == level for level in range(4, 9)])
    design = np.column_stack([dummies.astype(float), data.covariates, data.treatment])
    model = sm.WLS(data.y, design, weights=data.weights if folded else 1.0)
    for se in ("iid", "HC1"):
        peer = model.fit(cov_type=ERRORS[se])
        result = answer("ols_adjustment", data, se=se)
        assert result.estimate == pytest.approx(peer.params[-1], rel=1e-10)
        assert result.standard_error == pytest.approx(peer.bse[-1], rel=1e-10)


def test_rows_alone_in_a_level_of_a_fixed_effect_are_counted():
    data = cross_section(n=500, weights=False)
    level = np.arange(500) % 40
    assert "notes" not in answer("ols_adjustment", replace(data, fixed_effects=(level,))).diagnostics
    level[:3] = [40, 41, 42]
    result = answer("ols_adjustment", replace(data, fixed_effects=(level,)))
    (note,) = result.diagnostics["notes"]
    assert note.startswith("3 rows are each the only one of a level of a fixed effect")
    assert result.n == 500


def trial(treated: int, untreated: int) -> Data:
    data = cross_section(n=treated + untreated)
    return replace(data, treatment=(np.arange(data.n) < treated).astype(float))


def test_the_default_error_depends_on_the_rows_of_the_smaller_arm():
    for treated, untreated in ((124, 500), (500, 124)):
        assert answer("ols_adjustment", trial(treated, untreated)).se_method == "HC2"
        assert answer("lin_interacted", trial(treated, untreated)).se_method == "HC2 (unconditional)"
    assert answer("ols_adjustment", trial(125, 500)).se_method == "HC1"
    assert answer("lin_interacted", trial(125, 500)).se_method == "HC1 (unconditional)"
    assert answer("difference_in_means", trial(300, 300)).se_method == "HC2"
    amounts = cross_section(n=249, continuous=True)
    assert answer("ols_adjustment", amounts).se_method == "HC3"
    assert answer("ols_adjustment", cross_section(n=250, continuous=True)).se_method == "HC1"


def test_an_error_by_name_keeps_the_degrees_of_freedom_of_other_programs():
    asked = answer("ols_adjustment", trial(20, 300), se="HC2")
    assert asked.diagnostics["degrees_of_freedom"] == 320 - 6
    assert answer("ols_adjustment", trial(20, 300)).diagnostics["degrees_of_freedom"] < 60


def test_lins_error_includes_the_variation_of_the_covariates_as_g_computation_does():
    data = cross_section(n=900, weights=False)
    lin, g = answer("lin_interacted", data), answer("g_computation_ate", data)
    k = lin.diagnostics["parameters"]
    assert lin.standard_error == pytest.approx(g.standard_error * np.sqrt(900 / (900 - k)), rel=1e-10)
    np.testing.assert_allclose(lin.influence, g.influence, atol=1e-10)
    assert answer("lin_interacted", data, se="HC1").standard_error < lin.standard_error


def few(treated: int, *, n: int = 600, seed: int = 0, weights: bool = False) -> Data:
    """A trial of a normal outcome, more spread among the treated, who are few."""
    rng = np.random.default_rng(seed)
    t = (np.arange(n) < treated).astype(float)
    y = rng.standard_normal(n) * np.where(t > 0, 1.5, 1.0)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", row_key=np.arange(n, dtype=np.uint64), names={"y": ("y",)},
        weights=rng.uniform(0.5, 2.0, n) if weights else None,
    )  # fmt: skip


@pytest.mark.parametrize("treated", [2, 3, 12, 300])
def test_a_difference_in_means_is_welchs_test(treated: int):
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    data = few(treated)
    on, off = (DescrStatsW(data.y[data.treatment == arm]) for arm in (1, 0))
    statistic, p_value, degrees = CompareMeans(on, off).ttest_ind(usevar="unequal")
    result = answer("difference_in_means", data)
    assert result.se_method == "HC2"
    assert result.diagnostics["degrees_of_freedom"] == pytest.approx(degrees, rel=1e-9)
    assert result.estimate / result.standard_error == pytest.approx(statistic, rel=1e-9)
    assert result.p_value == pytest.approx(p_value, rel=1e-7)
    expected = CompareMeans(on, off).tconfint_diff(usevar="unequal")
    assert (result.ci_lower, result.ci_upper) == pytest.approx(expected, rel=1e-8)


def test_two_treated_rows_among_hundreds_are_no_proof():
    data = few(2)
    result = answer("difference_in_means", replace(data, y=np.append([2.0, 2.3], data.y[2:])))
    assert result.diagnostics["degrees_of_freedom"] == pytest.approx(1.15, abs=0.05)
    assert 0.01 < result.p_value < 0.1
    assert "The treated arm has 2 rows" in result.warnings[0]


def test_weighted_means_have_the_degrees_of_freedom_of_their_quadratic_forms():
    data = few(5, n=40, weights=True)
    result = answer("difference_in_means", data)
    top, bottom = 0.0, 0.0
    for arm in (data.treatment == 1, data.treatment == 0):
        p = data.weights[arm] / data.weights[arm].sum()
        residual_maker = np.eye(len(p)) - np.outer(np.ones(len(p)), p)
        form = residual_maker.T @ np.diag(p**2 / (1 - p)) @ residual_maker
        variance = data.y[arm] @ form @ data.y[arm]
        top += variance
        bottom += variance**2 * np.trace(form @ form) / np.trace(form) ** 2
    assert result.standard_error == pytest.approx(np.sqrt(top), rel=1e-9)
    assert result.diagnostics["degrees_of_freedom"] == pytest.approx(top**2 / bottom, rel=1e-9)
    assert answer("difference_in_means", replace(data, weights=np.full(40, 3.0))).diagnostics["degrees_of_freedom"] == (
        pytest.approx(answer("difference_in_means", replace(data, weights=None)).diagnostics["degrees_of_freedom"])
    )


@pytest.mark.parametrize("treated", [3, 5, 8])
def test_intervals_of_few_treated_rows_cover(treated: int):
    found = [answer("difference_in_means", few(treated, seed=seed)) for seed in range(1000)]
    # By t(n - 2) they would hold it .82, .88 and .91 times.
    assert np.mean([result.ci_lower <= 0 <= result.ci_upper for result in found]) > 0.93


def test_an_error_that_was_asked_for_keeps_the_degrees_of_freedom_of_the_residuals():
    for se in ("iid", "HC1", "HC3"):
        assert answer("difference_in_means", few(5), se=se).diagnostics["degrees_of_freedom"] == 598


@pytest.mark.parametrize(
    "name", ["ols_adjustment", "lin_interacted", "g_computation_ate", "psm_att", "nn_mahalanobis_att", "ipw_ate"]
)
def test_an_arm_of_few_rows_is_a_warning_by_its_name(name: str):
    data = cross_section(n=400, p=1, weights=False)
    for arm in (1, 0):
        kept = np.flatnonzero(data.treatment == arm)[:8]
        fewer = rows(data, np.append(kept, np.flatnonzero(data.treatment != arm)))
        said = f"The {'treated' if arm else 'untreated'} arm has 8 rows"
        assert any(said in warning for warning in answer(name, fewer).warnings)
    assert not any("arm has" in warning for warning in answer(name, data).warnings)


@pytest.mark.parametrize("name", ["difference_in_means", "ols_adjustment", "ipw_att"])
def test_an_arm_whose_outcome_never_varies_is_a_warning(name: str):
    data = cross_section(n=400, weights=False)
    y = np.where(data.treatment > 0, 0.0, data.y > np.median(data.y))
    assert "The outcome is the same in all" in answer(name, replace(data, y=y)).warnings[0]
    assert not any("is the same" in warning for warning in answer(name, data).warnings)


def test_g_computation_over_all_is_the_mean_of_treated_and_untreated():
    data = cross_section(weights=False)
    share = data.treatment.mean()
    ate, att = (answer(f"g_computation_{target}", data).estimate for target in ("ate", "att"))
    atc = ENTRIES["g_computation_att"].flipped(Plan(data, Settings())).estimate
    assert ate == pytest.approx(share * att + (1 - share) * atc, rel=1e-12)


def test_a_treatment_that_the_covariates_determine_is_skipped_with_its_name():
    data = cross_section()
    x = np.column_stack([data.covariates, 1 - data.treatment])
    result = run(ENTRIES["ols_adjustment"], Plan(replace(data, covariates=x, propensity_covariates=x), Settings()))
    assert result.status == "skipped"
    assert "'t' is collinear with the other variables" in result.reason


def test_more_coefficients_than_rows_are_skipped_with_both_numbers():
    data = rows(cross_section(p=20), np.arange(20))
    result = run(ENTRIES["ols_adjustment"], Plan(data, Settings()))
    assert result.status == "skipped"
    assert "20 complete rows" in result.reason


@pytest.mark.parametrize("name", [entry.name for entry in catalog() if entry.family in ("regression", "weighting")])
def test_an_arm_with_one_row_is_skipped_by_name(name: str):
    data = cross_section()
    treated = np.flatnonzero(data.treatment == 1)
    data = rows(data, np.append(np.flatnonzero(data.treatment == 0), treated[0]))
    result = run(ENTRIES[name], Plan(data, Settings()))
    assert result.status == "skipped"
    assert "treated arm has 1 complete row" in result.reason


def test_pooled_periods_are_a_warning():
    data = cross_section(n=400, weights=False)
    data = replace(data, unit=np.arange(400) // 2, time=np.arange(400) % 2)
    result = answer("difference_in_means", data)
    assert result.status == "warning"
    assert any("several periods are pooled" in warning for warning in result.warnings)
    assert result.se_method == "CRV1 by unit"
    clustered = answer("difference_in_means", replace(data, clusters=(data.unit // 2,)))
    assert clustered.warnings == result.warnings
    crossed = replace(data, unit=None, cohort=np.where(data.treatment > 0, 1.0, np.nan))
    assert answer("difference_in_means", crossed).warnings == result.warnings
