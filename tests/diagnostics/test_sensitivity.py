from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators.sensitivity.unmeasured_confounding import e_value
from tests.diagnostics.looking import OUTSIDE, cases, judged, observed, trial
from tests.estimators.designs import cross_section, panel
from tests.reference.cases import Table, build


def test_the_robustness_of_the_darfur_study_is_that_of_sensemakr() -> None:
    found = [case for case in cases(OUTSIDE) if case.name == "darfur_sensemakr"]
    if not found:
        pytest.skip(f"Not run: darfur_sensemakr is not in {OUTSIDE}.")
    covariates = [name for name in found[0].mapping["covariates"] if name != "village"]
    case = replace(found[0], mapping={**found[0].mapping, "covariates": covariates, "fixed_effects": "village"})
    assert len(Table(case.path).levels("village")) > 400
    reported = judged(build(case), only=["ols_adjustment"]).diagnostics["robustness"]
    for key, name in (
        ("partial_r2", "partial_R2"),
        ("robustness_value", "RV_q1"),
        ("robustness_value_alpha", "RV_q1_alpha05"),
        ("standard_error", "se_iid"),
        ("degrees_of_freedom", "df"),
    ):
        assert reported[key] == pytest.approx(case.expected[name], abs=1.5e-6)
    # Cinelli and Hazlett 2020, figure 2: once, twice and three times as strong as being female.
    female = {row["times_as_strong"]: row for row in reported["benchmarks"] if row["covariate"] == "female"}
    assert female[1.0]["adjusted_estimate"] == pytest.approx(0.075, abs=5e-4)
    assert female[2.0]["adjusted_estimate"] == pytest.approx(0.053, abs=5e-4)
    assert female[3.0]["adjusted_estimate"] == pytest.approx(0.030, abs=5e-4)


def test_e_values_of_amounts_go_by_standard_deviations_of_the_outcome() -> None:
    seen = judged(trial())
    sd = seen.plan.data.y.std(ddof=1)
    reported = seen.diagnostics["e_values"]["aipw"]
    d = seen.estimate("aipw").estimate / sd
    assert reported["standardised_difference"] == pytest.approx(d)
    assert reported["estimate"] == pytest.approx(e_value(np.exp(0.91 * d)).estimate)
    assert 1 <= reported["interval"] < reported["estimate"]


def test_e_values_of_a_binary_outcome_are_of_the_ratio_of_the_risks() -> None:
    data = trial(4000)
    rng = np.random.default_rng(3)
    y = (rng.random(data.n) < np.where(data.treatment == 1, 0.4, 0.2)).astype(float)
    seen = judged(replace(data, y=y, y_kind="binary"))
    reported = seen.diagnostics["e_values"]["difference_in_means"]
    risks = y[data.treatment == 1].mean(), y[data.treatment == 0].mean()
    ratio = risks[0] / risks[1]
    assert reported["risk_ratio"] == pytest.approx(ratio)
    assert reported["estimate"] == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)))
    weighted = seen.diagnostics["e_values"]["aipw"]["untreated_risk"]
    assert weighted == pytest.approx(seen.estimate("ipw_ate").diagnostics["mean_control"])


def test_an_effect_that_leaves_the_scale_of_risks_has_a_reason() -> None:
    data = trial(200)
    y = data.treatment.copy()
    y[:2] = 1 - y[:2]
    reported = judged(replace(data, y=y, y_kind="binary")).diagnostics["e_values"]
    for each in reported.values():
        assert each["estimate"] is not None or each["reason"]


def test_e_values_are_of_estimates_that_fear_confounding() -> None:
    assert "twfe" not in judged(panel(30)).diagnostics["e_values"]
    amount = judged(cross_section(300, continuous=True)).diagnostics["e_values"]["ols_adjustment"]
    assert amount["estimate"] is None
    assert "binary treatment" in amount["reason"]


def test_the_outcome_is_described_with_the_arms() -> None:
    data = trial(201)
    reported = judged(data).diagnostics["outcome"]
    assert reported["mean"] == pytest.approx(data.y.mean())
    assert reported["sd"] == pytest.approx(data.y.std(ddof=1))
    assert (reported["treated_rows"], reported["control_rows"]) == (100, 101)
    amounts = cross_section(300, continuous=True, weights=False)
    reported = judged(amounts).diagnostics["outcome"]
    assert reported["treatment_sd"] == pytest.approx(amounts.treatment.std(ddof=1))


def test_without_anything_to_adjust_for_there_is_no_robustness_value() -> None:
    data = trial()
    nothing = np.empty((data.n, 0))
    bare = replace(data, covariates=nothing, propensity_covariates=nothing, names={"y": ("y",), "treatment": ("t",)})
    reported = judged(bare).diagnostics["robustness"]
    assert reported["robustness_value"] is None
    assert reported["reason"]


def test_covariates_that_determine_the_treatment_leave_no_robustness_value() -> None:
    data = trial()
    x = np.column_stack([data.covariates, data.treatment])
    reported = judged(observed(x, data.treatment), only=["ols_adjustment"]).diagnostics["robustness"]
    assert reported["robustness_value"] is None
    assert "determine the treatment" in reported["reason"]
