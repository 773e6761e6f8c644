import statistics
from dataclasses import replace

import numpy as np
import pytest

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.diagnostics import result_checks as checks
from cqox.estimators import Estimate, Json
from tests.diagnostics.looking import confounded, judged, observed, sentence, trial


def estimate(
    name: str, value: float | None = 1.0, *, family: str = "doubly_robust", half: float = 0.4, **fields: object
) -> Estimate:
    known = (
        {}
        if value is None
        else {"ci_lower": value - half, "ci_upper": value + half, "standard_error": half / 2, "n": 100}
    )
    return Estimate(name=name, family=family, estimand="ATE", **{"status": "ok", "estimate": value, **known, **fields})


def apart(other: str, value: float, primary: float = 1.0) -> tuple[str, dict[str, object]]:
    values = {"other": other, "other_value": value, "primary": "aipw", "primary_value": primary}
    return "gates.estimates-differ", values


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


def test_an_unbounded_interval_fails() -> None:
    assert checks.precision({"outcome": {"sd": 1.0}}, estimate("iv_2sls", ci_lower=None)).status == "fail"


def test_estimates_far_apart_in_both_errors_disagree() -> None:
    primary, other = estimate("aipw"), estimate("ols_adjustment", 1.5, family="regression")
    gate = checks.agreement(differing({"ols_adjustment": 0.05}), [primary, other], primary)
    assert gate.status == "warn"
    assert gate.value == pytest.approx(2.5)
    assert sentence(gate.reason) == apart("ols_adjustment", 1.5)


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


def test_matching_is_compared_by_both_errors() -> None:
    seen = judged(confounded(500), only=["aipw", "psm_ate"])
    groups = seen.diagnostics["agreement"]["groups"]
    one, other = seen.estimate("aipw"), seen.estimate("psm_ate")
    expected = pytest.approx(np.hypot(one.standard_error, other.standard_error))
    row = groups[0]["standard_errors_of_differences"][groups[0]["estimators"].index("aipw")]
    assert row[groups[0]["estimators"].index("psm_ate")] == expected
    assert seen.gates["agreement"].value is not None


def test_a_series_regression_is_one_of_the_estimates_to_agree_with() -> None:
    primary = estimate("aipw")
    series: dict[str, Json] = {
        "estimate": 0.2, "difference_standard_error": 0.1, "ci_lower": 0.1, "ci_upper": 0.3,
    }  # fmt: skip
    gate = checks.agreement({"curvature": series}, [primary], primary)
    assert gate.status == "warn"
    assert sentence(gate.reason) == apart("series_regression", 0.2)
    opposed: dict[str, Json] = {**series, "estimate": -1.0, "ci_lower": -1.2, "ci_upper": -0.8}
    assert checks.agreement({"curvature": opposed}, [primary], primary).status == "fail"
    assert checks.agreement({"curvature": {"reason": "x"}}, [primary], primary).status == "not_applicable"


def test_a_block_comparison_and_two_way_effects_are_one_estimate() -> None:
    primary, other = estimate("did_2x2_block", family="did"), estimate("twfe", 2.0, family="did")
    assert checks.agreement(differing({"twfe": 0.1}), [primary, other], primary).status == "not_applicable"


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


def test_robustness_does_not_know_the_sign() -> None:
    data = trial(1000)
    turned = replace(data, y=-data.y)
    one, other = (judged(each, only=["aipw"], assignment="unknown").gates["robustness"] for each in (data, turned))
    assert one.value == pytest.approx(other.value)


NO_PRIMARY = ("gates.no-primary", {})


def said(gate: Gate) -> tuple[str, tuple[str, dict[str, object]] | None]:
    return gate.status, None if gate.reason is None else sentence(gate.reason)


def test_without_a_primary_the_other_checks_do_not_apply() -> None:
    found = {"outcome": {"sd": 1.0}, **differing({"ipwra": 0.1}), "robustness": {"robustness_value": 0.001}}
    bare = estimate("aipw", None, warnings=("Rows were clipped.",))
    for without in (None, bare):
        for gate in (
            checks.primary_warnings(without), checks.precision(found, without), checks.robustness(found, without),
            checks.agreement(found, [estimate("ipwra")], without),
        ):  # fmt: skip
            assert said(gate) == ("not_applicable", NO_PRIMARY)
            assert gate.rule.endswith(".")


def test_what_failed_is_listed() -> None:
    primary = estimate("aipw")
    failed = [estimate(name, None, status="failed", reason="x") for name in ("ipwra", "tmle")]
    gate = checks.computation(
        {"overlap": {"failed": True}, "balance": {"failed": False}, "n": 3}, [primary, *failed], primary
    )
    assert (gate.status, gate.value, gate.threshold) == ("warn", 3.0, 0.0)
    assert sentence(gate.reason) == ("gates.failed", {"names": ["ipwra", "tmle", "overlap"]})
    gate = checks.computation({}, [primary], primary)
    assert (gate.status, gate.value, gate.threshold, gate.reason) == ("pass", 0.0, 0.0, None)


def test_a_primary_without_a_number_fails_with_its_reason() -> None:
    for without in (None, estimate("aipw", None)):
        gate = checks.computation({}, [estimate("ipwra", None, status="failed", reason="x")], without)
        assert (*said(gate), gate.value, gate.threshold) == ("fail", NO_PRIMARY, 1.0, 0.0)
    gate = checks.computation({}, [], estimate("aipw", None, reason="One arm."))
    assert said(gate) == ("fail", ("gates.primary-without-number", {"primary": "aipw", "reason": "One arm."}))


def test_warnings_are_counted_and_joined() -> None:
    gate = checks.primary_warnings(estimate("aipw", status="warning", warnings=("One.", "Two.")))
    assert (gate.status, gate.value, gate.threshold, gate.reason) == ("warn", 2.0, 0.0, "One. Two.")
    gate = checks.primary_warnings(estimate("aipw", warnings=("One.",)))
    assert gate.status == "warn"
    gate = checks.primary_warnings(estimate("aipw", status="warning"))
    assert (gate.status, gate.value) == ("warn", 0.0)
    gate = checks.primary_warnings(estimate("aipw"))
    assert (gate.status, gate.value, gate.threshold, gate.reason) == ("pass", 0.0, 0.0, None)


def test_precision_is_half_the_interval_over_the_standard_deviation_of_the_outcome_and_has_no_limit() -> None:
    gate = checks.precision({"outcome": {"sd": 2.0}}, estimate("aipw", half=1.5))
    assert (gate.status, gate.value, gate.threshold, gate.reason) == ("pass", pytest.approx(0.75), None, None)
    gate = checks.precision({"outcome": {"sd": 1.0, "treatment_sd": 10.0}}, estimate("aipw", half=0.06))
    assert gate.value == pytest.approx(0.6)
    for found in ({}, {"outcome": {"sd": 0.0}}, {"outcome": {"sd": None}}):
        gate = checks.precision(found, estimate("aipw"))
        assert (gate.status, gate.value) == ("pass", None)
    assert sentence(gate.rule) == ("gates.precision-rule", {})


def test_an_interval_without_an_end_is_not_precise() -> None:
    for end in ("ci_lower", "ci_upper"):
        gate = checks.precision({"outcome": {"sd": 1.0}}, estimate("aipw", **{end: None}))
        assert (gate.status, gate.value) == ("fail", None)
        assert sentence(gate.reason) == ("gates.unbounded-interval", {"primary": "aipw"})


def test_warnings_that_another_gate_judges_do_not_count_twice() -> None:
    elsewhere = Message("nuisance.extreme-probabilities", rows=1, event="treatment", distance=0.01)
    gate = checks.primary_warnings(estimate("aipw", status="warning", warnings=(elsewhere,)))
    assert (gate.status, gate.value, gate.reason) == ("pass", 0.0, None)
    gate = checks.primary_warnings(estimate("aipw", status="warning", warnings=(elsewhere, "One.")))
    assert (gate.status, gate.value, gate.reason) == ("warn", 1.0, "One.")


def test_agreement_needs_another_estimate_of_the_same_kind() -> None:
    nothing = ("not_applicable", ("gates.nothing-to-compare", {"estimand": "ATE", "primary": "aipw"}))
    primary, other = estimate("aipw"), estimate("ipwra", 9.0)
    assert said(checks.agreement(differing({"ipwra": 0.1}), [primary], primary)) == nothing
    assert said(checks.agreement({}, [primary, other], primary)) == nothing
    assert said(checks.agreement(differing({"tmle": 0.1}), [primary, other], primary)) == nothing
    att = replace(other, estimand="ATT")
    assert said(checks.agreement(differing({"ipwra": 0.1}), [primary, att], primary)) == nothing
    exact = estimate("aipw", standard_error=0.0)
    assert said(checks.agreement(differing({"ipwra": 0.1}), [exact, other], exact)) == nothing


def test_agreement_reads_the_group_of_the_primary_and_skips_what_it_cannot_read() -> None:
    primary, other = estimate("aipw"), estimate("ipwra", 1.4)
    row: list[Json] = [0.1, 0.0, None]
    group: Json = {"estimators": ["ipwra", "aipw", "tmle"], "standard_errors_of_differences": [None, row, None]}
    foreign: Json = {"estimators": ["ipwra"], "standard_errors_of_differences": [[0.0]]}
    broken: list[Json] = ["no group", {"estimators": ["aipw"]}, {"standard_errors_of_differences": [[0.0]]}]
    found: dict[str, Json] = {"agreement": {"groups": [*broken, foreign, group]}}
    gate = checks.agreement(found, [primary, other, estimate("tmle", 9.0)], primary)
    assert gate.value == pytest.approx(0.4 / (statistics.NormalDist().inv_cdf(1 - 0.01 / 4) * 0.1))
    assert (gate.status, gate.threshold) == ("warn", 1.0)
    assert sentence(gate.reason) == apart("ipwra", 1.4)


def test_the_farthest_estimate_gives_the_reason_and_an_opposed_one_before_it() -> None:
    primary = estimate("aipw", 1.0)
    near, far = estimate("ipwra", 1.5), estimate("tmle", 3.0)
    gate = checks.agreement(differing({"ipwra": 0.01, "tmle": 0.01}), [near, primary, far], primary)
    assert said(gate) == ("warn", apart("tmle", 3.0))
    assert gate.value == pytest.approx(10.0)
    opposed = estimate("lin_interacted", -0.5, family="regression")
    gate = checks.agreement(differing({"tmle": 0.01, "lin_interacted": 0.01}), [primary, far, opposed], primary)
    assert said(gate) == ("fail", apart("lin_interacted", -0.5))
    gate = checks.agreement(differing({"ipwra": 0.5}), [primary, near], primary)
    assert (gate.status, gate.reason, gate.threshold) == ("pass", None, 1.0)


@pytest.mark.parametrize(
    ("value", "ends", "status"),
    [
        (-1.0, {}, "fail"), (-1.0, {"ci_lower": None}, "fail"), (-1.0, {"ci_upper": 0.0}, "warn"),
        (-1.0, {"ci_upper": None}, "warn"), (2.0, {}, "warn"), (0.0, {"ci_lower": 0.1, "ci_upper": 0.2}, "warn"),
    ],
)  # fmt: skip
def test_an_opposed_estimate_fails_where_its_interval_excludes_none(
    value: float, ends: dict[str, float | None], status: str
) -> None:
    primary, other = estimate("aipw"), estimate("ipwra", value, **ends)
    assert checks.agreement(differing({"ipwra": 0.1}), [primary, other], primary).status == status
    flipped = estimate("aipw", -1.0), estimate("ipwra", 1.0, ci_lower=0.0)
    assert checks.agreement(differing({"ipwra": 0.1}), list(flipped), flipped[0]).status == "warn"


def test_an_opposed_estimate_fails_only_where_the_primary_excludes_none_too() -> None:
    primary, other = estimate("aipw", half=1.0), estimate("ipwra", -1.0)
    assert checks.agreement(differing({"ipwra": 0.1}), [primary, other], primary).status == "warn"


@pytest.mark.parametrize(("value", "status"), [(0.5, "pass"), (0.01, "pass"), (0.009, "warn"), (0.0, "warn")])
def test_a_confounder_of_negligible_strength_is_a_warning(value: float, status: str) -> None:
    gate = checks.robustness({"robustness": {"robustness_value": value}}, estimate("aipw"))
    assert (gate.status, gate.value, gate.threshold) == (status, value, 0.01)
    if status == "warn":
        assert sentence(gate.reason) == ("gates.confounder-of-no-strength", {"share": value})


def test_a_study_that_measured_its_strongest_confounder_is_not_punished_for_it() -> None:
    data = confounded(2000, strength=1.5, effect=0.3)
    strong = judged(replace(data, y=data.y + 3 * data.covariates[:, 0]), assignment="unconfounded", only=["aipw"])
    found = strong.diagnostics["robustness"]["benchmarks"][0]
    assert found["adjusted_estimate"] < 0
    assert strong.gates["robustness"].status == "pass"


def test_robustness_says_why_it_does_not_apply() -> None:
    found: dict[str, Json] = {"robustness": {"robustness_value": 0.001}}
    for name, family in (("difference_in_means", "regression"), ("twfe", "did")):
        gate = checks.robustness(found, estimate(name, family=family))
        assert said(gate) == ("not_applicable", ("gates.not-all-confounders", {"primary": name}))
    drawn = checks.robustness(found, estimate("aipw"), randomized=True)
    assert said(drawn) == ("not_applicable", ("gates.no-confounder-of-a-draw", {}))
    assert said(checks.robustness({}, estimate("aipw"))) == ("not_applicable", ("gates.no-robustness-value", {}))
    assert checks.robustness({"robustness": {"reason": "One arm."}}, estimate("aipw")).reason == "One arm."
