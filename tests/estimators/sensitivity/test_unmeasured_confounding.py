import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings, catalog, run
from cqox.estimators.sensitivity import unmeasured_confounding as s
from tests.estimators.designs import cross_section, names_for

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_published_e_value_of_breastfeeding_is_met():
    found = s.e_value(3.9, 1.8, 8.7)
    assert found.estimate == pytest.approx(7.26, abs=0.01)
    assert found.interval == pytest.approx(3.0)


def test_protective_and_harmful_ratios_have_the_same_e_value():
    left, right = s.e_value(0.5, 0.4, 0.8), s.e_value(2.0, 1.25, 2.5)
    assert left.estimate == pytest.approx(right.estimate)
    assert left.interval == pytest.approx(right.interval)


def test_an_interval_that_holds_no_effect_needs_no_confounder():
    assert s.e_value(1.2, 0.9, 1.5).interval == 1.0
    assert s.e_value(1.0, 0.9, 1.1).estimate == 1.0


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_that_is_none_is_refused(ratio: float):
    with pytest.raises(ValueError, match="risk ratio"):
        s.e_value(ratio)


def test_a_difference_is_put_on_the_scale_of_risk_ratios():
    found = s.e_value_of_difference(0.42, 0.14, 1.0)
    assert found.risk_ratio == pytest.approx(math.exp(0.91 * 0.42))
    assert found.interval == pytest.approx(s.e_value(math.exp(0.91 * 0.42 - 1.78 * 0.14)).estimate)
    assert s.e_value_of_difference(1e9, 1.0, 1.0).estimate < math.inf


def test_the_interval_behind_it_has_the_level_of_the_others():
    found = s.e_value_of_difference(0.42, 0.14, 1.0, alpha=0.1)
    low = 0.91 * 0.42 - 1.78 * 1.6448536 / 1.9599640 * 0.14
    assert found.interval == pytest.approx(s.e_value(math.exp(low)).estimate, rel=1e-7)


def test_risks_make_their_own_ratio_or_none():
    found = s.e_value_of_risks(0.1, 0.05, 0.15, 0.2)
    assert found.risk_ratio == pytest.approx(1.5)
    assert found.interval == pytest.approx(s.e_value(1.25).estimate)
    assert s.e_value_of_risks(0.9, None, None, 0.2) is None
    assert s.e_value_of_risks(-0.2, None, None, 0.2) is None


def test_a_confounder_of_the_robustness_value_explains_exactly_everything():
    for statistic, degrees in ((4.18, 783), (2.5, 40), (-30.0, 100)):
        value = s.robustness_value(statistic, degrees)
        estimate, _ = s.adjusted_estimate(statistic, 1.0, degrees, r2_treatment=value, r2_outcome=value)
        assert estimate == pytest.approx(0.0, abs=1e-9)


def test_a_confounder_of_the_second_robustness_value_makes_it_just_insignificant():
    from scipy import stats

    value = s.robustness_value(4.18, 783, alpha=0.05)
    estimate, error = s.adjusted_estimate(4.18, 1.0, 783, r2_treatment=value, r2_outcome=value)
    assert estimate / error == pytest.approx(stats.t.ppf(0.975, 782), rel=1e-6)
    assert s.robustness_value(1.0, 783, alpha=0.05) == 0.0


def test_the_adjustment_is_what_a_regression_with_the_confounder_gives():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    n = 500
    x, u = rng.standard_normal((n, 2)), rng.standard_normal(n)
    t = x[:, 0] + 0.7 * u + rng.standard_normal(n)
    y = t + x[:, 1] + 0.8 * u + rng.standard_normal(n)
    short = sm.OLS(y, sm.add_constant(np.column_stack([x, t]))).fit()
    full = sm.OLS(y, sm.add_constant(np.column_stack([x, u, t]))).fit()
    of_t = sm.OLS(t, sm.add_constant(np.column_stack([x, u]))).fit()
    r2_treatment = s.partial_r2(of_t.tvalues[-1], of_t.df_resid)
    r2_outcome = s.partial_r2(full.tvalues[-2], full.df_resid)
    estimate, error = s.adjusted_estimate(
        short.params[-1], short.bse[-1], short.df_resid, r2_treatment=r2_treatment, r2_outcome=r2_outcome
    )
    assert estimate == pytest.approx(full.params[-1], rel=1e-10)
    assert error == pytest.approx(full.bse[-1], rel=1e-10)


def test_the_regressions_own_sensitivity_agrees_with_its_estimate():
    data = cross_section(weights=False)
    plan = Plan(data, Settings(se="iid"))
    ols = run(next(entry for entry in catalog() if entry.name == "ols_adjustment"), plan)
    found = s.regression_sensitivity(plan)
    assert found.estimate == pytest.approx(ols.estimate, rel=1e-10)
    assert found.standard_error == pytest.approx(ols.standard_error, rel=1e-10)
    assert found.partial_r2 == pytest.approx(ols.diagnostics["partial_r2"], rel=1e-9)
    assert found.degrees == ols.diagnostics["residual_degrees_of_freedom"]


def test_benchmarks_use_each_covariates_partial_shares():
    import statsmodels.api as sm

    data = cross_section(weights=False)
    found = s.regression_sensitivity(Plan(data, Settings()), multiples=(1.0,), most=10)
    assert len(found.benchmarks) == 4
    of_t = sm.OLS(data.treatment, sm.add_constant(data.covariates)).fit()
    of_y = sm.OLS(data.y, sm.add_constant(np.column_stack([data.covariates, data.treatment]))).fit()
    for benchmark in found.benchmarks:
        place = int(benchmark.label[1:]) + 1
        bounds = s.benchmark_bounds(
            s.partial_r2(of_t.tvalues[place], of_t.df_resid), s.partial_r2(of_y.tvalues[place], of_y.df_resid)
        )
        assert (benchmark.r2_treatment, benchmark.r2_outcome) == pytest.approx(bounds, rel=1e-8)


def test_a_benchmark_that_cannot_exist_is_left_out():
    assert s.benchmark_bounds(0.6, 0.1, 2.0) is None


def test_a_fit_without_error_has_no_sensitivity():
    data = cross_section(weights=False)
    with pytest.raises(UnusableData):
        s.regression_sensitivity(
            Plan(replace(data, covariates=data.treatment[:, None], names=names_for(data.covariates[:, :1])), Settings())
        )


def test_absorbed_effects_count_like_the_dummies_that_they_are():
    data = cross_section(weights=False)
    codes = np.random.default_rng(1).integers(0, 30, data.n)
    dummies = (codes[:, None] == np.arange(1, 30)).astype(float)
    labels = (*data.names["covariates"], *(f"d{level}" for level in range(1, 30)))
    wide = replace(
        data, covariates=np.hstack([data.covariates, dummies]), names={**data.names, "covariates": labels},
    )  # fmt: skip
    left = s.regression_sensitivity(Plan(replace(data, fixed_effects=(codes,)), Settings()), most=1)
    right = s.regression_sensitivity(Plan(wide, Settings()), most=1)
    assert left.degrees == right.degrees
    assert left.robustness_value == pytest.approx(right.robustness_value, rel=1e-9)
    assert left.benchmarks[0].label == right.benchmarks[0].label
    assert left.benchmarks[0].estimate == pytest.approx(right.benchmarks[0].estimate, rel=1e-9)
