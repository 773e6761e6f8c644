"""Every reference case of the estimators that there are, at its own tolerance."""

import re
from functools import cache

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.matching.with_replacement import matching_weights
from cqox.estimators.sensitivity.unmeasured_confounding import regression_sensitivity
from tests.reference.cases import HERE, OUTSIDE, Case, build, cases, entry_for, settings_for, staggered_number

BY_NAME = {entry.name: entry for entry in catalog()}
COMMITTED, READ = cases(HERE), cases(OUTSIDE)
ERRORS = ("iid", "HC0", "HC1", "HC2", "HC3", "CRV1", "CRV3")
LOOSE = 1e-4
SPLITS = 31
"""Cross-fitted numbers depend on the folds: the reference is a median over seeds, and so is the answer."""


@cache
def data_of(case: Case) -> Data:
    return build(case)


def answer(case: Case, estimator: str, se: str = "auto") -> Estimate:
    data = data_of(case)
    repetitions = SPLITS if estimator.startswith("dml_") else 1
    asked = settings_for(case.described)
    result = run(BY_NAME[estimator], Plan(data, Settings(se=se, repetitions=repetitions, **asked)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def distinct_scores(case: Case, target: str) -> int:
    """Scores that matched untreated rows have: as many as there are rows where the first of equals is taken."""
    plan = Plan(data_of(case), Settings(**settings_for(case.described)))
    sample, _, control = matching_weights(plan, "psm", target)
    scores = np.sort(sample.take(plan.propensity().e)[control > 0])
    return 1 + int(np.count_nonzero(np.diff(scores) > 1e-10))


def tolerance(case: Case, quantity: str) -> float:
    words = quantity.split("_")
    for key in ("_".join(words[:count]) for count in range(len(words), 0, -1)):
        if key in case.tolerance:
            return float(case.tolerance[key])
    decimals = len(str(case.expected[quantity]).partition(".")[2])
    return max(LOOSE, 0.5 * 10.0**-decimals) if decimals else LOOSE


def computed(case: Case, quantity: str) -> object:
    """The number behind the name of an expected one; None where the name means nothing here."""
    estimator = str(case.estimator)
    if ai := re.match(r"se_(AI\d{4})", quantity):
        return answer(case, estimator).diagnostics["standard_errors"].get(ai[1])
    if quantity == "n_unique_controls" and "first-of-ties" in case.described:
        return distinct_scores(case, answer(case, estimator).estimand)
    if estimator.startswith("rd_") and (reported := answer(case, estimator).diagnostics.get(quantity)) is not None:
        return reported
    if path := re.fullmatch(r"(acme|ade|total)(_se_delta)?", quantity):
        effect = f"mediation_{path[1]}"
        return answer(case, effect, "iid").standard_error if path[2] else answer(case, effect).estimate
    if quantity.startswith("se"):
        asked = next((name for name in ERRORS if quantity.endswith(name)), None)
        return answer(case, estimator, asked or "auto").standard_error if asked or quantity == "se" else None
    if off_policy := re.fullmatch(r"(ips|snips|dm|dr)(_se)?", quantity):
        found = answer(case, f"ope_{off_policy[1]}")
        return found.standard_error if off_policy[2] else found.estimate
    result = answer(case, estimator)
    if quantity in ("estimate", "n"):
        return getattr(result, quantity)
    if gap := re.fullmatch(r"gap_(\d+)", quantity):
        return next(row["gap"] for row in result.diagnostics["periods"] if row["time"] == float(gap[1]))
    if gaps := re.fullmatch(r"avg_gap_(\d+)_(\d+)", quantity):
        inside = [row for row in result.diagnostics["periods"] if float(gaps[1]) <= row["time"] <= float(gaps[2])]
        return float(np.mean([row["gap"] for row in inside]))
    if quantity in ("ols", "ols_se"):
        ols = answer(case, "ols_adjustment", "iid")
        return ols.estimate if quantity == "ols" else ols.standard_error
    if result.family == "did_staggered" and (number := staggered_number(result.diagnostics, quantity)) is not None:
        return number
    if quantity == "ar_ci":
        return result.diagnostics["anderson_rubin_homoskedastic"]["intervals"][0]
    if quantity in ("df", "partial_R2", "RV_q1", "RV_q1_alpha05") and estimator == "ols_adjustment":
        sensitivity = regression_sensitivity(Plan(data_of(case), Settings()))
        return {
            "df": sensitivity.degrees,
            "partial_R2": sensitivity.partial_r2,
            "RV_q1": sensitivity.robustness_value,
            "RV_q1_alpha05": sensitivity.robustness_value_alpha,
        }[quantity]
    return {key.lower(): value for key, value in result.diagnostics.items()}.get(quantity.lower())


@pytest.mark.parametrize(
    ("case", "quantity"),
    [
        pytest.param(case, quantity, id=f"{case.name}-{quantity}")
        for case in (*COMMITTED, *READ)
        if case.estimator
        for quantity in case.expected
        if not quantity.startswith(("on_policy_truth", "truth"))  # of another log, which the case does not hold
    ],
)
def test_a_reference_number_is_met(case: Case, quantity: str):
    value = computed(case, quantity)
    assert value is not None, f"nothing computes {quantity}"
    np.testing.assert_allclose(value, case.expected[quantity], rtol=0, atol=tolerance(case, quantity))


@pytest.mark.skipif(not READ, reason="without CQOX_REFERENCE_DIR")
def test_a_weak_instrument_is_called_weak():
    case = next(case for case in READ if case.name == "nhefs_iv")
    result = answer(case, "iv_wald")
    assert result.status == "warning"
    assert any("Weak instrument" in warning for warning in result.warnings)
    assert result.diagnostics["anderson_rubin_robust"]["kind"] == "whole line"


@pytest.mark.skipif(not READ, reason="without CQOX_REFERENCE_DIR")
def test_smoking_in_california_is_that_of_synthdid():
    """Arkhangelsky et al. 2021, table 1: SC -19.6 (9.9), SDID -15.6 (8.4); synthdid itself says -15.604."""
    case = next(case for case in READ if case.name == "prop99_sc")
    difference = answer(case, "synthetic_did")
    assert difference.estimate == pytest.approx(-15.604, abs=0.05)
    assert 7.5 < difference.standard_error < 10
    assert answer(case, "synthetic_control").estimate == pytest.approx(-19.62, abs=0.35)


def test_every_case_names_an_estimator_of_the_catalog():
    assert [case.described for case in READ if case.estimator is None] == []


def test_cases_outside_the_repository_were_found():
    if not READ:
        pytest.skip(f"not run without CQOX_REFERENCE_DIR ({OUTSIDE}): every case that reads data of unclear licence")


def test_committed_cases_were_found():
    assert COMMITTED


@pytest.mark.parametrize(
    ("described", "entry"),
    [
        ("ipw_ate_hajek(logit, M-estimation SE)", "ipw_ate"),
        ("double_ml_plr(linear, 5 folds)", "dml_plr"),
        ("did_2x2_block", "did_2x2_block"),
        ("did_callaway_santanna(never-treated, no covariates)", "did_callaway_santanna"),
        ("did_imputation(unit and period levels)", "did_imputation"),
        ("psm_att(1:1, with replacement)", "psm_att"),
        ("psm_ate(logit PS, 1:1 with ties)", "psm_ate"),
        ("nn_mahalanobis(1:4, ATT)", "nn_mahalanobis_att"),
        ("propensity_strata(quintiles)", "propensity_strata"),
        ("entropy_balancing_att", "entropy_balancing_att"),
        ("overlap_weights(logit)", "overlap_weights"),
        ("synthetic_control(outcome-only, simplex)", "synthetic_control"),
        ("synthetic_did", "synthetic_did"),
        ("rd_local_linear(triangular)", "rd_local_linear"),
        ("rd_density_test", "rd_density_test"),
        ("rd_local_linear(triangular, fuzzy)", "rd_fuzzy"),
        ("astrology(moon)", None),
    ],
)
def test_a_described_estimator_finds_its_entry(described: str, entry: str | None):
    assert entry_for(described) == entry
    assert entry is None or re.fullmatch(r"\w+", entry)


def test_what_a_description_asks_for_becomes_settings():
    assert settings_for("psm_att(1:3, caliper=0.05)") == {"matches": 3, "caliper": 0.05}
    assert settings_for("propensity_strata(10)") == {"strata": 10}
    assert settings_for("propensity_strata(deciles)") == {"strata": 10}
    assert settings_for("double_ml_plr(linear, 5 folds)") == {}
    assert settings_for("did_callaway_santanna(not-yet-treated, reg)") == {
        "control_group": "not_yet_treated",
        "did_method": "reg",
    }
