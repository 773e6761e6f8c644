from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from tests.estimators.designs import EFFECT, factor_panel, rows, series
from tests.estimators.time_series.interrupted import answer, bare, calendar, design, refused


def test_level_slope_and_average_are_those_of_statsmodels():
    data = bare(series(slope=0.1))
    x = design(data, 61.0)
    fit = sm.OLS(data.y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True})
    result = answer(data)
    average = np.array([0, 0, 1, x[x[:, 2] > 0, 3].mean()])
    assert result.estimate == pytest.approx(average @ fit.params, rel=1e-9)
    reported = result.diagnostics
    assert reported["level_change"]["estimate"] == pytest.approx(fit.params[2], rel=1e-9)
    assert reported["slope_change"]["estimate"] == pytest.approx(fit.params[3], rel=1e-9)
    assert reported["slope_before"]["estimate"] == pytest.approx(fit.params[1], rel=1e-9)
    errors = reported["standard_errors"]
    assert errors["Newey-West (4 lags)"] == pytest.approx(np.sqrt(average @ fit.cov_params() @ average), rel=1e-9)
    assert errors["iid"] == pytest.approx(np.sqrt(average @ sm.OLS(data.y, x).fit().cov_params() @ average), rel=1e-9)


@pytest.mark.parametrize("level", [0.0, 1e3, 1e6, 1e9, 1e12])
def test_a_high_level_costs_no_digits(level: float) -> None:
    data, rng = series(units=3, slope=0.1), np.random.default_rng(5)
    # Multiples of 1/4096, which every level keeps exactly; covariates vary enough not to count as constant.
    y, z = (np.round(each * 4096) / 4096 for each in (data.y, 40 * rng.standard_normal((data.n, 2)).cumsum(axis=0)))
    weights = rng.integers(1, 5, data.n).astype(float)
    names = {**data.names, "covariates": ("a", "b"), "weights": ("w",)}
    high = replace(data, y=level + y, covariates=level + z, weights=weights, names=names)
    assert (high.y - level == y).all()
    own = [data.time == period for period in range(100)]
    (mean, *means) = ([np.average(each[those], weights=weights[those]) for those in own] for each in (y, *z.T))
    x = np.column_stack([design(bare(series()), 61.0), *means])
    fit = sm.OLS(mean, x).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True})
    average = np.array([0, 0, 1, x[x[:, 2] > 0, 3].mean(), 0, 0])
    result = answer(high)
    assert result.estimate == pytest.approx(average @ fit.params, rel=1e-11)
    errors, expected = result.diagnostics["standard_errors"], np.sqrt(average @ fit.cov_params() @ average)
    assert errors["Newey-West (4 lags)"] == pytest.approx(expected, rel=1e-11)
    assert result.diagnostics["slope_change"]["estimate"] == pytest.approx(fit.params[3], rel=1e-11)
    assert not any("collinear" in getattr(note, "code", "") for note in result.diagnostics["notes"])


def test_a_known_effect_is_found():
    result = answer(series(200, 150, noise=0.3, slope=0.02))
    assert result.estimate == pytest.approx(EFFECT + 0.02 * 74.5, abs=0.35)
    assert result.ci_lower < EFFECT + 0.02 * 74.5 < result.ci_upper


def test_the_counterfactual_is_the_trend_before_carried_on():
    data = series()
    result = answer(data)
    path = result.diagnostics["periods"]
    gaps = [row["fitted"] - row["counterfactual"] for row in path]
    assert gaps[:60] == pytest.approx([0.0] * 60, abs=1e-9)
    assert np.mean(gaps[60:]) == pytest.approx(result.estimate, rel=1e-9)
    assert [row["observed"] for row in path] == pytest.approx(data.y.tolist())


def test_post_treatment_and_a_time_say_the_same():
    data = series()
    by_time = replace(data, intervention_time=61.0, post=None, treatment=None, treatment_kind="none")
    by_treatment = replace(data, post=None)
    results = [answer(each) for each in (data, by_time, by_treatment)]
    assert len({(result.estimate, result.standard_error) for result in results}) == 1


def test_units_treated_at_once_are_one_series_of_means():
    several = bare(series(units=4))
    means = several.y.reshape(4, -1).mean(axis=0)
    alone = replace(bare(series()), y=means)
    left, right = answer(several), answer(alone)
    assert left.estimate == pytest.approx(right.estimate, rel=1e-10)
    assert left.standard_error == pytest.approx(right.standard_error, rel=1e-8)
    assert (left.n, right.n) == (400, 100)
    assert any("averaged by period" in note for note in left.diagnostics["notes"])


def test_autocorrelated_residuals_are_reported():
    dependent, independent = answer(series(dependence=0.7)), answer(series(dependence=0.0))
    assert any("autocorrelated" in note for note in dependent.diagnostics["notes"])
    assert not any("autocorrelated" in note for note in independent.diagnostics["notes"])
    assert dependent.warnings == ()
    assert dependent.diagnostics["residuals"]["ljung_box"]["p_value"] < 0.01
    assert dependent.diagnostics["residuals"]["durbin_watson"] < 1.4
    assert dependent.n_effective < 60 < independent.n_effective
    assert independent.warnings == ()


def test_dependence_that_no_autoregression_of_few_lags_describes_is_doubted():
    data = series(140, 60, dependence=0.0)
    errors = np.random.default_rng(3).standard_normal(240)
    for place in range(10, 240):
        errors[place] += 0.8 * errors[place - 10]
    result = answer(replace(data, y=data.y + 3 * errors[40:]))
    assert any("does not describe the serial correlation" in warning for warning in result.warnings)


def test_the_standard_error_allows_for_more_than_newey_west_does():
    result = answer(series(dependence=0.7))
    assert result.standard_error > 1.2 * result.diagnostics["standard_errors"]["Newey-West (4 lags)"]
    assert result.se_method.startswith("autoregressive errors, AR(1)")
    assert result.diagnostics["degrees_of_freedom"] < 30


def test_few_periods_and_uneven_ones_are_said():
    assert any("with fewer than 8" in warning for warning in answer(series(6, 5)).warnings)
    gap = rows(series(), np.flatnonzero(~np.isin(series().time, range(20, 30))))
    assert any("unevenly" in note for note in answer(gap).diagnostics["notes"])


def test_units_that_come_and_go_are_said():
    data = series(units=4)
    thinned = rows(data, np.flatnonzero((data.unit > 0) | (data.time % 3 > 0)))
    assert any("composition of the averages changes" in warning for warning in answer(thinned).warnings)


def test_series_that_it_cannot_read_are_refused_with_what_to_do():
    data = series()
    bare = replace(data, post=None, treatment=None, treatment_kind="none")
    assert "'intervention_time' or 'post'" in refused(bare)
    assert "did_2x2_block" in refused(factor_panel())
    assert "did_2x2_block" in refused(replace(data, treatment=data.treatment * (data.time % 2)))
    ended = (data.time >= 60) & (data.time < 80)
    assert "ends within the series" in refused(replace(data, post=ended.astype(float), treatment=ended.astype(float)))
    assert "at least 4 and 3" in refused(series(3, 30))
    assert "at least 4 and 3" in refused(replace(bare, intervention_time=1_000.0))
    assert "must be 0 before and 1" in refused(replace(data, post=data.post * 2, treatment=None))


def test_weights_make_the_means():
    data = bare(series(units=2))
    weights = np.where(data.unit == 0, 3.0, 1.0)
    wide = data.y.reshape(2, -1)
    left = answer(replace(data, weights=weights))
    right = answer(replace(bare(series()), y=(3 * wide[0] + wide[1]) / 4))
    assert left.estimate == pytest.approx(right.estimate, rel=1e-9)


@pytest.mark.parametrize(("code", "unit"), [("M", "month"), ("Y", "year"), ("W", "week"), ("D", "day")])
def test_time_is_counted_as_the_calendar_does(code: str, unit: str) -> None:
    plain = series(60, 30, slope=0.1)
    dated = answer(calendar(np.datetime64("2010", code) + np.arange(90) * np.timedelta64(1, code)))
    expected = answer(plain)
    assert dated.estimate == pytest.approx(expected.estimate, rel=1e-9)
    assert dated.standard_error == pytest.approx(expected.standard_error, rel=1e-7)
    for name in ("level_change", "slope_change", "slope_before"):
        assert dated.diagnostics[name] == pytest.approx(expected.diagnostics[name], rel=1e-7)
    assert dated.diagnostics["time_unit"] == unit
    assert f"The slopes are per {unit}." in dated.diagnostics["notes"]


def test_the_path_and_the_start_stay_on_the_scale_of_the_data() -> None:
    data = calendar(np.datetime64("2010-01") + np.arange(90) * np.timedelta64(1, "M"))
    reported = answer(data).diagnostics
    assert [row["time"] for row in reported["periods"]] == data.time_values.tolist()
    assert reported["first_period_after"] in data.time_values


def test_the_unit_of_numbers_is_named_by_its_column() -> None:
    data = series()
    data = replace(data, names={**data.names, "time": ("year",)})
    assert "The slopes are per unit of 'year'." in answer(data).diagnostics["notes"]


def test_covariates_are_adjusted_for_as_statsmodels_does() -> None:
    data = series(slope=0.1)
    rng = np.random.default_rng(4)
    z = np.column_stack([rng.standard_normal(100).cumsum(), rng.standard_normal(100)])
    data = replace(data, y=data.y + z @ [1.5, -0.7], covariates=z, names={**data.names, "covariates": ("a", "b")})
    x = np.column_stack([design(data, 61.0), z])
    fit = sm.OLS(data.y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True})
    average = np.array([0, 0, 1, x[x[:, 2] > 0, 3].mean(), 0, 0])
    result = answer(data)
    assert result.estimate == pytest.approx(average @ fit.params, rel=1e-9)
    errors = result.diagnostics["standard_errors"]
    assert errors["Newey-West (4 lags)"] == pytest.approx(np.sqrt(average @ fit.cov_params() @ average), rel=1e-8)
    assert any(
        "Adjusted for covariates" in note and "a" in note and "b." in note for note in result.diagnostics["notes"]
    )


def test_covariates_that_the_lines_determine_are_left_out_and_said() -> None:
    data = bare(series())
    line = np.column_stack([3.0 + 2.0 * data.time, np.full(100, 0.1)])
    given = replace(data, covariates=line, names={**data.names, "covariates": ("line", "constant")})
    result, plain = answer(given), answer(data)
    assert result.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert any("left out" in note and "line" in note and "constant" in note for note in result.diagnostics["notes"])
    many = replace(data, covariates=np.random.default_rng(0).standard_normal((100, 92)))
    assert "too few for two lines, the seasons and 92 covariates" in refused(many)


def test_the_wider_of_the_justified_intervals_is_reported() -> None:
    data = bare(series(24, 8, dependence=0.0))
    louder = replace(data, y=data.y + 3 * np.random.default_rng(2).standard_normal(32) * data.post)
    result = answer(louder)
    assert "by segment" in result.se_method
    assert result.diagnostics["residuals"]["standard_deviation_ratio"] > 1.5
    errors = [error for name, error in result.diagnostics["standard_errors"].items() if name.startswith("auto")]
    assert result.standard_error == max(errors)
    assert result.diagnostics["degrees_of_freedom"] < 12
