from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import result_checks as checks
from cqox.estimators import Estimate, Json
from tests.diagnostics.looking import confounded, judged, observed, trial


def estimate(
    name: str, value: float | None = 1.0, *, family: str = "doubly_robust", half: float = 0.4, **fields: object
) -> Estimate:
    known = (
        {}
        if value is None
        else {"ci_lower": value - half, "ci_upper": value + half, "standard_error": half / 2, "n": 100}
    )
    return Estimate(name=name, family=family, estimand="ATE", **{"status": "ok", "estimate": value, **known, **fields})


def differing(errors: dict[str, float]) -> dict[str, Json]:
    names = ["aipw", *errors]
    row: list[Json] = [0.0, *errors.values()]
    return {
        "agreement": {"groups": [{"estimators": names, "standard_errors_of_differences": [row, *[row] * len(errors)]}]}
    }


def test_a_failed_estimator_is_a_warning_and_a_failed_primary_ends_it() -> None:
    primary, other = estimate("aipw"), estimate("ipwra", None, status="failed", reason="LinAlgError: singular")
    assert checks.computation({}, [primary], primary).status == "pass"
    gate = checks.computation({}, [primary, other], primary)
    assert (gate.status, gate.value) == ("warn", 1.0)
    assert "ipwra" in str(gate.reason)
    gate = checks.computation({}, [primary, other], other)
    assert gate.status == "fail"
    assert "singular" in str(gate.reason)
    assert checks.computation({}, [primary], None).status == "fail"


def test_a_skipped_estimator_is_no_warning() -> None:
    primary, other = estimate("aipw"), estimate("iv_2sls", None, status="skipped", reason="no instrument")
    assert checks.computation({}, [primary, other], primary).status == "pass"


def test_a_failed_diagnostic_is_a_warning() -> None:
    primary = estimate("aipw")
    gate = checks.computation({"overlap": {"failed": True, "reason": "ValueError: x"}}, [primary], primary)
    assert gate.status == "warn"
    assert "overlap" in str(gate.reason)


def test_the_primary_s_own_warnings_are_a_warning() -> None:
    assert checks.primary_warnings(estimate("aipw")).status == "pass"
    gate = checks.primary_warnings(estimate("aipw", status="warning", warnings=("Rows were clipped.",)))
    assert (gate.status, gate.reason) == ("warn", "Rows were clipped.")


def test_precision_compares_the_interval_with_the_spread_of_the_outcome() -> None:
    assert checks.precision({"outcome": {"sd": 1.0}}, estimate("aipw", half=0.5)).status == "pass"
    gate = checks.precision({"outcome": {"sd": 1.0}}, estimate("aipw", half=0.6))
    assert gate.status == "warn"
    assert gate.value == pytest.approx(0.6)
    gate = checks.precision({"outcome": {"sd": 1.0, "treatment_sd": 10.0}}, estimate("aipw", half=0.06))
    assert gate.value == pytest.approx(0.6)


def test_an_unbounded_interval_fails() -> None:
    assert checks.precision({"outcome": {"sd": 1.0}}, estimate("iv_2sls", ci_lower=None)).status == "fail"


def test_a_small_trial_is_imprecise_and_a_large_one_is_not() -> None:
    assert judged(trial(12), requested="difference_in_means").gates["precision"].status == "warn"
    assert judged(trial(600)).gates["precision"].status == "pass"


def test_estimates_far_apart_in_both_errors_disagree() -> None:
    primary, other = estimate("aipw"), estimate("ols_adjustment", 1.5, family="regression")
    gate = checks.agreement(differing({"ols_adjustment": 0.05}), [primary, other], primary)
    assert gate.status == "warn"
    assert gate.value == pytest.approx(2.5)
    assert "The estimate of ols_adjustment is 1.5" in str(gate.reason)


def test_a_distance_that_chance_explains_is_no_disagreement() -> None:
    primary, other = estimate("aipw"), estimate("ols_adjustment", 1.5, family="regression")
    assert checks.agreement(differing({"ols_adjustment": 0.3}), [primary, other], primary).status == "pass"


def test_a_distance_within_the_primary_s_error_is_no_disagreement() -> None:
    primary, other = estimate("aipw"), estimate("ols_adjustment", 1.15, family="regression")
    assert checks.agreement(differing({"ols_adjustment": 0.001}), [primary, other], primary).status == "pass"


def test_opposite_effects_that_both_exclude_none_fail() -> None:
    primary, other = estimate("aipw"), estimate("ols_adjustment", -1.0, family="regression")
    gate = checks.agreement(differing({"ols_adjustment": 0.1}), [primary, other], primary)
    assert gate.status == "fail"
    unsure = estimate("ols_adjustment", -0.2, family="regression")
    assert checks.agreement(differing({"ols_adjustment": 0.1}), [primary, unsure], primary).status == "warn"


def test_the_unadjusted_difference_is_not_held_against_the_adjusted_estimate() -> None:
    seen = judged(confounded(strength=2.0))
    far = seen.estimate("difference_in_means").estimate - seen.estimate("aipw").estimate
    assert far > 3 * seen.estimate("aipw").standard_error
    assert seen.gates["agreement"].status == "pass"


def test_a_wrong_outcome_model_shows_as_disagreement() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4000, 1))
    t = (rng.random(4000) < 1 / (1 + np.exp(-1.2 * x[:, 0]))).astype(float)
    data = observed(x, t)
    bent = replace(data, y=data.y + 3 * np.exp(x[:, 0]) * t)
    assert judged(bent).gates["agreement"].status in {"warn", "fail"}


def test_a_strong_covariate_is_a_warning_on_a_small_effect() -> None:
    data = confounded(2000, strength=1.5, effect=0.2)
    strong = replace(data, y=data.y + 3 * data.covariates[:, 0])
    assert judged(strong).gates["robustness"].status == "fail"
    assert "x0" in str(judged(strong).gates["robustness"].reason)
    weak = judged(trial(2000, effect=1.0)).gates["robustness"]
    assert weak.status == "pass"
    assert weak.value > weak.threshold


def test_an_effect_that_is_not_seen_cannot_be_explained_away() -> None:
    gate = judged(trial(300, effect=0.0)).gates["robustness"]
    assert gate.status == "not_applicable"
    assert "even without an unmeasured confounder" in str(gate.reason)


def test_robustness_does_not_know_the_sign() -> None:
    data = trial(1000)
    turned = replace(data, y=-data.y)
    assert judged(data).gates["robustness"].value == pytest.approx(judged(turned).gates["robustness"].value)
