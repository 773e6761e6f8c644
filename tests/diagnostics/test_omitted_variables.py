from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.diagnose import diagnose
from cqox.estimators import Plan, Settings
from tests.diagnostics.looking import confounded, judged, trial

DML = ["dml_plr", "dml_irm_ate", "dml_irm_att"]


def test_every_estimate_of_double_machine_learning_has_its_bounds() -> None:
    seen = judged(confounded(800), only=DML)
    reported = seen.diagnostics["omitted_variables"]
    assert set(reported) == set(DML)
    for name, each in reported.items():
        assert each["estimate"] == pytest.approx(seen.estimate(name).estimate)
        assert 0 <= each["robustness_value_alpha"] < each["robustness_value"] < 1
        ends = each["scenario"]
        assert ends["confidence_lower"] < ends["lower"] < each["estimate"] < ends["upper"] < ends["confidence_upper"]
        assert {row["covariate"] for row in each["benchmarks"]} == set(seen.plan.labels("covariates"))


def test_a_scenario_of_the_strength_of_a_covariate_bounds_the_estimate_without_it() -> None:
    reported = judged(confounded(1500, strength=1.5), only=DML).diagnostics["omitted_variables"]["dml_plr"]
    for row in reported["benchmarks"]:
        without = reported["estimate"] + row["change"] * abs(row["adversity"])
        assert row["lower"] - 0.1 <= without <= row["upper"] + 0.1


def test_many_rows_have_no_benchmarks_of_the_interactive_model_and_the_reason_is_said() -> None:
    reported = judged(confounded(2500), only=DML).diagnostics["omitted_variables"]
    assert reported["dml_plr"]["benchmarks"]
    assert reported["dml_irm_ate"]["benchmarks"] == []
    assert "refit the treatment model" in reported["dml_irm_ate"]["reason"]


def test_at_most_ten_covariates_are_yardsticks() -> None:
    reported = judged(trial(800, p=14), only=DML).diagnostics["omitted_variables"]
    assert {len(each["benchmarks"]) for each in reported.values()} == {10}


def test_without_double_machine_learning_there_is_a_reason() -> None:
    assert "No double machine" in judged(trial(), only=["aipw"]).diagnostics["omitted_variables"]["reason"]
    assert "reason" in diagnose(Plan(trial(100), Settings()), ())["omitted_variables"]


def test_rows_with_gaps_are_left_out_of_the_fits_without_a_covariate_too() -> None:
    data = confounded(900)
    x = data.covariates.copy()
    x[::9, 0] = np.nan
    whole = replace(data, covariates=x, propensity_covariates=x)
    cut = whole.rows(np.flatnonzero(~np.isnan(x[:, 0])))
    found, same = (judged(each, only=DML).diagnostics["omitted_variables"]["dml_irm_ate"] for each in (whole, cut))
    assert found["benchmarks"][0]["change"] == pytest.approx(same["benchmarks"][0]["change"])


@pytest.mark.parametrize("clusters", [12, 1])
def test_an_estimate_without_an_error_has_bounds_without_intervals(clusters: int) -> None:
    data = confounded(600)
    codes = np.arange(600) % clusters
    one = replace(data, clusters=(codes,), treatment=(codes == 0).astype(float) if clusters > 1 else data.treatment)
    seen = judged(one, only=["dml_plr"])
    reported = seen.diagnostics["omitted_variables"]["dml_plr"]
    assert seen.estimate("dml_plr").standard_error is None
    assert 0 <= reported["robustness_value"] < 1
    assert reported["robustness_value_alpha"] is None
    assert reported["interval_reason"]
    for ends in (reported["scenario"], *reported["benchmarks"]):
        assert ends["lower"] <= reported["estimate"] <= ends["upper"]
        assert (ends["confidence_lower"], ends["confidence_upper"]) == (None, None)
