"""Seasons that the estimator of interrupted series adjusts for."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from cqox.estimators import Data, Plan, Settings, run
from tests.estimators.designs import EFFECT, series
from tests.estimators.time_series.interrupted import ENTRY, answer, bare, calendar, refused, seasonal


@pytest.mark.parametrize("pairs", [1, 2, 4, 6])
def test_seasons_are_those_of_statsmodels(pairs: int) -> None:
    data = bare(seasonal(60, 31))
    since = np.arange(91.0) - 60
    turns = range(1, pairs + 1)
    waves = [wave(2 * np.pi * turn * since / 12) for turn in turns for wave in (np.sin, np.cos)]
    # The sine of six turns is 0 in every month.
    waves = [wave for wave in waves if np.abs(wave).max() > 1e-9]
    x = np.column_stack([np.ones(91), since, since >= 0, since * (since >= 0), *waves])
    fit = sm.OLS(data.y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True})
    result = answer(data, season_pairs=pairs)
    average = np.zeros(x.shape[1])
    average[2:4] = 1.0, x[60:, 3].mean()
    reported = result.diagnostics
    assert result.estimate == pytest.approx(average @ fit.params, rel=1e-10)
    for place, name in enumerate(("slope_before", "level_change", "slope_change"), start=1):
        assert reported[name]["estimate"] == pytest.approx(fit.params[place], rel=1e-10)
    errors = reported["standard_errors"]
    assert errors["Newey-West (3 lags)"] == pytest.approx(np.sqrt(average @ fit.cov_params() @ average), rel=1e-10)
    plain = sm.OLS(data.y, x).fit()
    assert errors["iid"] == pytest.approx(np.sqrt(average @ plain.cov_params() @ average), rel=1e-10)
    path = reported["periods"]
    np.testing.assert_allclose([row["fitted"] for row in path], plain.fittedvalues, rtol=1e-10)
    without = plain.fittedvalues - x[:, 2:4] @ plain.params[2:4]
    np.testing.assert_allclose([row["counterfactual"] for row in path], without, rtol=1e-10)
    assert reported["seasons"]["terms"] == len(waves)
    assert reported["seasons"]["p_value"] < 1e-6


def test_seasons_are_adjusted_for_where_that_is_asked_for_and_said() -> None:
    months = seasonal()
    adjusted, left, plain = answer(months, season_pairs=2), answer(months, season_pairs=0), answer(months)
    assert plain.estimate == left.estimate
    assert any("options.season_length = 12 adjusts for it" in warning for warning in plain.warnings)
    assert adjusted.standard_error < 0.6 * left.standard_error
    assert adjusted.ci_lower < EFFECT < adjusted.ci_upper
    assert adjusted.diagnostics["seasons"]["cycles"] == [{"length": 12.0, "unit": "month", "pairs": 2}]
    assert any("2 pairs over 12 months" in note for note in adjusted.diagnostics["notes"])
    assert not any("mistaken for an effect" in warning for warning in adjusted.warnings)
    assert any("a cycle of 12 months" in warning and "season_pairs = 0" in warning for warning in left.warnings)
    assert left.diagnostics["seasons"]["adjusted"] is False


def test_an_effect_is_found_where_months_are_unequal_before_and_after() -> None:
    gone = [answer(seasonal(34, 8, seed=seed), season_pairs=2).estimate - EFFECT for seed in range(40)]
    kept = [answer(seasonal(34, 8, seed=seed)).estimate - EFFECT for seed in range(40)]
    assert abs(np.mean(gone)) < 3 * np.std(gone) / np.sqrt(40)
    assert abs(np.mean(kept)) > 6 * np.std(kept) / np.sqrt(40)


def test_numbered_months_are_distinguished_only_where_the_request_says_so() -> None:
    numbers = seasonal(dated=False)
    plain = answer(numbers)
    assert any("a cycle of 12 periods" in warning and "season_length = 12" in warning for warning in plain.warnings)
    named = answer(numbers, season_length=12.0)
    dated = answer(seasonal(), season_pairs=2)
    assert named.estimate == pytest.approx(dated.estimate, rel=1e-10)
    assert named.standard_error == pytest.approx(dated.standard_error, rel=1e-8)
    assert not any("mistaken for an effect" in warning for warning in named.warnings)


def test_a_season_in_addition_to_those_that_are_adjusted_for_is_a_warning() -> None:
    months = seasonal()
    odd = answer(months, season_length=7.0)
    (warning,) = (each for each in odd.warnings if "mistaken for an effect" in each)
    assert warning.startswith("In addition to the adjusted seasons, the series has a cycle of 12 months")
    assert "options.season_length = 12 adjusts for it instead" in warning
    reported = odd.diagnostics["seasons"]
    assert reported["adjusted"] is True
    assert reported["others"]["cycles"][0]["length"] == 12
    assert reported["others"]["p_value"] < 1e-6 < reported["p_value"]


@pytest.mark.parametrize("length", [11.99, 12.0, 12.05])
@pytest.mark.parametrize("dated", [True, False])
def test_the_cycle_that_is_adjusted_for_and_its_harmonics_are_no_others(length: float, dated: bool) -> None:
    reported = answer(seasonal(dated=dated), season_length=length)
    assert not any("mistaken for an effect" in warning for warning in reported.warnings)
    others = reported.diagnostics["seasons"].get("others", {"cycles": []})
    assert [cycle["length"] for cycle in others["cycles"]] == ([] if dated else [7.0])


def test_a_cycle_of_one_unit_is_said_in_the_singular() -> None:
    years = seasonal(dated=False)
    reported = answer(replace(years, time_values=years.time_values / 12), season_length=1.0)
    assert any(note.endswith("2 pairs over 1 period.") for note in reported.diagnostics["notes"])
    assert reported.standard_error == pytest.approx(answer(years, season_length=12.0).standard_error, rel=1e-8)


def test_a_short_series_is_adjusted_where_the_length_is_named() -> None:
    short = seasonal(20, 12)
    plain = answer(short)
    assert plain.diagnostics["seasons"]["adjusted"] is False
    assert any("season_length = 12 adjusts for it" in warning for warning in plain.warnings)
    assert answer(short, season_length=12.0).standard_error < plain.standard_error


def test_seasons_that_cannot_be_adjusted_for_are_refused() -> None:
    def why(data: Data, **settings: object) -> str:
        return str(run(ENTRY, Plan(data, Settings(**settings))).reason)

    assert "no longer than the series" in why(series(), season_length=120.0)
    assert "options.season_length sets another" in why(series(), season_pairs=2)
    assert "too few for two lines and 8 seasonal terms" in why(series(8, 6), season_length=12.0, season_pairs=4)


def test_years_have_no_seasons_and_nothing_is_said_of_any() -> None:
    years = calendar(np.datetime64("1930", "Y") + np.arange(90) * np.timedelta64(1, "Y"))
    reported = answer(years).diagnostics["seasons"]
    assert reported == {"adjusted": False, "reason": "The series does not cover any known cycle twice."}


def test_reasons_warnings_and_notes_can_be_read_in_japanese() -> None:
    reason = refused(replace(series(), post=series().post * 2, treatment=None))
    assert reason.in_language("ja") == "「post」は、介入前は0、介入以後は1でなければならない。"
    odd, adjusted = answer(seasonal(), season_length=7.0), answer(seasonal(), season_pairs=2)
    (warning,) = (each for each in odd.warnings if "mistaken for an effect" in each)
    assert "系列は12か月ごとの周期性をもち" in warning.in_language("ja")
    (note,) = (each for each in adjusted.diagnostics["notes"] if "sines and cosines" in each)
    assert note.in_language("ja") == "季節性は、指定どおり正弦・余弦項で調整した：周期12か月に2組。"


@pytest.mark.parametrize(("dated", "settings"), [(True, {}), (False, {"season_length": 12.0})])
def test_dummies_of_months_are_those_of_statsmodels(dated: bool, settings: dict[str, float]) -> None:
    data = bare(seasonal(60, 31, dated=dated))
    since = np.arange(91.0) - 60
    months = np.eye(12)[np.arange(91) % 12][:, 1:]
    x = np.column_stack([np.ones(91), since, since >= 0, since * (since >= 0), months])
    fit = sm.OLS(data.y, x).fit()
    average = np.zeros(x.shape[1])
    average[2:4] = 1.0, x[60:, 3].mean()
    result = answer(data, season_dummies=True, **settings)
    assert result.estimate == pytest.approx(average @ fit.params, rel=1e-9)
    assert result.diagnostics["standard_errors"]["iid"] == pytest.approx(
        np.sqrt(average @ fit.cov_params() @ average), rel=1e-9
    )
    assert any("a coefficient of each period of a cycle" in note for note in result.diagnostics["notes"])


def test_dummies_without_a_cycle_of_whole_periods_are_refused() -> None:
    def why(data: Data, **settings: object) -> str:
        return str(run(ENTRY, Plan(data, Settings(season_dummies=True, **settings))).reason)

    assert "needs a cycle of whole periods" in why(series())
    assert "divide the cycle of 7.5 units evenly" in why(series(), season_length=7.5)
    assert "too few for two lines and 11 seasonal terms" in why(series(12, 6), season_length=12.0)
