from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import design_checks as checks
from cqox.estimators import Json
from tests.diagnostics.checked_estimates import estimate
from tests.diagnostics.looking import confounded, judged, sentence, trial
from tests.estimators.designs import instrumented, panel


@pytest.mark.parametrize(
    ("share", "status"), [(0.0, "pass"), (0.1, "pass"), (0.101, "warn"), (0.25, "warn"), (0.26, "fail")]
)
def test_overlap_warns_above_a_tenth_and_fails_above_a_quarter(share: float, status: str) -> None:
    gate = checks.overlap({"overlap": {"share_outside": share}}, estimate())
    assert (gate.status, gate.value, gate.threshold) == (status, share, 0.1)
    assert (gate.reason is None) == (status == "pass")


def test_overlap_fires_on_data_without_it_and_not_in_a_trial() -> None:
    assert judged(confounded(strength=4.0)).gates["overlap"].status == "fail"
    assert judged(trial()).gates["overlap"].status == "pass"


def test_untreated_rows_without_counterparts_do_not_matter_to_the_treated() -> None:
    fields = {"overlap": {"share_outside": 0.5, "share_above": 0.0, "share_below": 0.5}}
    assert checks.overlap(fields, estimate("ipw_att", "weighting", "ATT")).status == "pass"
    assert checks.overlap(fields, estimate()).status == "fail"


def test_balance_fires_where_the_weights_leave_a_confounder_apart() -> None:
    data = confounded(strength=1.5)
    noise = np.random.default_rng(8).standard_normal((data.n, 1))
    names = {**data.names, "propensity_covariates": ("noise",)}
    blind = judged(replace(data, propensity_covariates=noise, names=names), assignment="unconfounded")
    assert blind.gates["balance"].status == "fail"
    assert "x0" in str(blind.gates["balance"].reason)
    assert judged(data, assignment="unconfounded").gates["balance"].status == "pass"


def test_standardised_differences_of_a_declared_trial_are_left_to_the_tests() -> None:
    gate = judged(trial(40), only=["difference_in_means"]).gates["balance"]
    assert (gate.status, sentence(gate.reason)) == ("not_applicable", ("gates.balance-by-tests", {}))


def test_a_difference_within_two_standard_errors_is_due_to_chance() -> None:
    apart: dict[str, Json] = {"largest": {"after_ATE": {"value": -0.29, "name": "age"}}}
    for rows, status in ((100.0, "fail"), (90.0, "pass")):
        found: dict[str, Json] = {"balance": apart, "effective_rows": {"ATE": {"treated": rows, "control": rows}}}
        gate = checks.balance(found, estimate("ipw_ate", "weighting"))
        assert gate.threshold == pytest.approx(2 * np.sqrt(2 / rows))
        assert gate.status == status
    before: dict[str, Json] = {"largest": {"before_ATE": {"value": 0.29, "name": "age"}}}
    found = {"balance": before, "outcome": {"treated_rows": 90, "control_rows": 90}}
    assert checks.balance(found, estimate("difference_in_means", "regression")).status == "pass"


def test_an_unadjusted_primary_is_judged_by_the_arms_as_they_are() -> None:
    for data, status in ((confounded(), "fail"), (trial(4000), "pass")):
        seen = judged(data, requested="difference_in_means", only=["difference_in_means"], assignment="unknown")
        assert seen.gates["balance"].status == status


def test_a_regression_is_judged_by_the_arms_that_it_starts_from() -> None:
    asked = {"requested": "ols_adjustment", "only": ["ols_adjustment"], "assignment": "unconfounded"}
    gate = judged(confounded(strength=2.0), **asked).gates["balance"]
    assert (gate.status, gate.threshold) == ("warn", 0.25)


@pytest.mark.parametrize(
    ("share", "status"), [(0.9, "pass"), (0.2, "pass"), (0.19, "warn"), (0.05, "warn"), (0.04, "fail")]
)
def test_the_poorer_arm_decides_on_the_effective_sample(share: float, status: str) -> None:
    fields = {"effective_rows": {"ATE": {"treated_share": 1.0, "treated": 100.0, "treated_rows": 100,
                                       "control_share": share, "control": share * 50, "control_rows": 50}}}  # fmt: skip
    gate = checks.effective_sample(fields, estimate())
    assert (gate.status, gate.value) == (status, share)
    if status != "pass":
        low = {"rows": 50, "effective": share * 50}
        assert sentence(gate.reason) == ("gates.low-effective-untreated", low)


def test_the_effective_sample_fires_where_few_rows_carry_the_weights() -> None:
    assert judged(confounded(3000, strength=5.0)).gates["effective_sample_size"].status in {"warn", "fail"}
    assert judged(trial()).gates["effective_sample_size"].status == "pass"


def test_a_weak_instrument_fails_and_a_strong_one_passes() -> None:
    weak = judged(instrumented(500, strength=0.02))
    assert weak.gates["instrument_strength"].status == "fail"
    assert weak.gates["instrument_strength"].value < 10
    strong = judged(instrumented(2000, strength=1.0))
    assert strong.gates["instrument_strength"].status == "pass"
    assert judged(trial()).gates["instrument_strength"].status == "not_applicable"


def test_an_instrument_between_the_two_thresholds_warns() -> None:
    fields = estimate("iv_2sls", "instruments", "LATE", diagnostics={"effective_f": 15.0, "effective_f_critical": 23.1})
    gate = checks.instrument_strength(fields)
    assert (gate.status, gate.threshold) == ("warn", 23.1)


@pytest.mark.parametrize(("total", "status"), [(0.0, "pass"), (-0.05, "pass"), (-0.06, "warn"), (-0.51, "fail")])
def test_negative_weights_count_by_their_sum(total: float, status: str) -> None:
    fields = estimate("twfe", "did", "ATT", diagnostics={"negative_weight_share": 0.1, "negative_weight_sum": total})
    assert checks.negative_weights(fields).status == status


@pytest.mark.parametrize(("n", "status"), [(100, "pass"), (80, "pass"), (79, "warn"), (49, "fail")])
def test_rows_left_out_count_against_the_primary(n: int, status: str) -> None:
    assert checks.missing_rows({"missing": {"rows": 100}}, estimate(n=n)).status == status


@pytest.mark.parametrize(("p_value", "status"), [(0.5, "pass"), (0.04, "pass"), (0.01, "pass"), (0.0099, "fail")])
def test_trends_before_treatment_count_against_a_comparison_over_time(p_value: float, status: str) -> None:
    fields = {"pre_trends": {"p_value": p_value, "largest": 0.3}}
    assert checks.pre_trends(fields, estimate("twfe", "did", "ATT")).status == status
    assert checks.pre_trends(fields, estimate()).status == "not_applicable"


@pytest.mark.parametrize(("fewest", "status"), [(50, "pass"), (20, "pass"), (19, "warn"), (4, "fail")])
def test_few_clusters_are_a_warning(fewest: int, status: str) -> None:
    assert checks.clusters({"clusters": {"fewest": fewest}}, estimate()).status == status


@pytest.mark.parametrize(
    ("fewest", "treated", "status", "value"),
    [
        (50, 10, "pass", 50), (16, 8, "pass", 16), (50, 5, "pass", 50), (50, 4, "warn", 4), (50, 2, "fail", 2),
        (9, 5, "warn", 9), (4, 2, "fail", 2), (4, 3, "fail", 4),
    ],
)  # fmt: skip
def test_few_clusters_of_an_arm_are_a_warning(fewest: int, treated: int, status: str, value: int) -> None:
    fields = estimate(diagnostics={"clusters_by_arm": {"untreated": 40, "treated": treated}})
    gate = checks.clusters({"clusters": {"fewest": fewest}}, fields)
    assert (gate.status, gate.value) == (status, value)


@pytest.mark.parametrize(("rows", "status"), [(10, "pass"), (9, "warn"), (3, "warn"), (2, "fail")])
def test_few_rows_of_an_arm_are_a_warning(rows: int, status: str) -> None:
    gate = checks.arm_rows(estimate(diagnostics={"rows_by_arm": {"untreated": rows, "treated": 500}}))
    assert (gate.status, gate.value, gate.threshold) == (status, rows, 10)
    assert status == "pass" or sentence(gate.reason) == ("gates.few-untreated", {"rows": rows})
    assert checks.arm_rows(estimate("iv_2sls", "instruments", "LATE")).status == "not_applicable"


def test_likeness_of_the_arms_does_not_matter_to_other_designs() -> None:
    seen = judged(panel(40)).gates
    for name in ("overlap", "balance", "effective_sample_size"):
        assert seen[name].status == "not_applicable"
        assert sentence(seen[name].reason)[0] == "gates.not-unconfounded"


def test_without_a_primary_no_check_applies() -> None:
    for check in (
        checks.overlap,
        checks.balance,
        checks.effective_sample,
        checks.missing_rows,
        checks.pre_trends,
        checks.clusters,
    ):
        assert check({}, None).status == "not_applicable"
    for alone in (checks.instrument_strength, checks.negative_weights, checks.arm_rows):
        assert alone(None).status == "not_applicable"


@pytest.mark.parametrize("estimand", ["ATT", "ATC"])
def test_an_effect_on_one_arm_is_judged_by_its_own_side_of_the_overlap(estimand: str) -> None:
    own = {"ATT": "share_above", "ATC": "share_below"}[estimand]
    gate = checks.overlap({"overlap": {own: 0.123, "share_outside": 0.9}}, estimate("ipw", "weighting", estimand))
    assert (gate.status, gate.value) == ("warn", 0.123)
    assert sentence(gate.reason) == ("gates.limited-overlap", {"share": 0.123})


@pytest.mark.parametrize(
    ("name", "family", "value", "status", "threshold"),
    [
        ("ipw_ate", "weighting", 0.0, "pass", 0.1), ("ipw_ate", "weighting", 0.1, "pass", 0.1),
        ("ipw_ate", "weighting", 0.11, "warn", 0.1), ("ipw_ate", "weighting", 0.26, "fail", 0.1),
        ("aipw", "doubly_robust", 0.25, "pass", 0.25), ("aipw", "doubly_robust", -0.26, "warn", 0.25),
        ("aipw", "doubly_robust", 0.51, "fail", 0.25),
    ],
)  # fmt: skip
def test_balance_after_weighting_has_a_wider_limit_where_an_outcome_model_adjusts_too(
    name: str, family: str, value: float, status: str, threshold: float
) -> None:
    found = {"balance": {"largest": {"after_ATE": {"value": value, "name": "age"}, "before_ATE": {"value": 9.0}}}}
    gate = checks.balance(found, estimate(name, family))
    assert (gate.status, gate.value, gate.threshold) == (status, value, threshold)
    if status != "pass":
        apart = {"covariate": "age", "difference": value}
        assert sentence(gate.reason) == ("gates.imbalance-after-weighting", apart)


@pytest.mark.parametrize(
    ("name", "family", "value", "status", "threshold"),
    [
        ("ols_adjustment", "regression", 0.25, "pass", 0.25), ("ols_adjustment", "regression", 99.0, "warn", 0.25),
        ("dml_plr", "double_ml", 0.26, "warn", 0.25), ("difference_in_means", "regression", 0.11, "warn", 0.1),
        ("difference_in_means", "regression", 0.26, "fail", 0.1),
    ],
)  # fmt: skip
def test_balance_before_weighting_is_asked_of_regressions(
    name: str, family: str, value: float, status: str, threshold: float
) -> None:
    found = {"balance": {"largest": {"before_ATE": {"value": value}, "after_ATE": {"value": 0.0, "name": "x"}}}}
    gate = checks.balance(found, estimate(name, family))
    assert (gate.status, gate.value, gate.threshold) == (status, value, threshold)
    if status != "pass":
        apart = {"covariate": ("gates.some-covariate", {}), "difference": value}
        assert sentence(gate.reason) == ("gates.imbalance-before-weighting", apart)


def test_balance_is_judged_by_the_weights_that_the_primary_uses() -> None:
    found: dict[str, Json] = {
        "balance": {"largest": {"after_ATE": {"value": 0.0}, "after_matched": {"value": 0.2, "name": "age"}}},
        "effective_rows": {
            "ATE": {"used_by": ["ipw_ate"]}, "other": {"used_by": None}, "matched": {"used_by": ["aipw", "ipw"]}
        },
    }  # fmt: skip
    assert checks.balance(found, estimate()).value == 0.2
    assert checks.balance(found, estimate("ipw_ate", "weighting")).value == 0.0
    assert checks.balance(found, estimate("ipw_att", "weighting", "ATT")).status == "not_applicable"


@pytest.mark.parametrize(
    ("ess", "status"), [(200.0, "pass"), (40.0, "pass"), (39.0, "warn"), (10.0, "warn"), (9.9, "fail")]
)
def test_the_effective_sample_of_a_log_is_compared_with_its_rows(ess: float, status: str) -> None:
    gate = checks.effective_sample({}, estimate("ips", "off_policy", "V", n=200, diagnostics={"ess": ess}))
    assert (gate.status, gate.value, gate.threshold) == (status, ess / 200, 0.2)
    if status != "pass":
        assert sentence(gate.reason) == ("gates.low-effective-log", {"rows": 200, "effective": ess})


@pytest.mark.parametrize(
    ("f", "critical", "status", "threshold"),
    [
        (23.1, 23.1, "pass", 23.1), (23.0, 23.1, "warn", 23.1), (10.0, 23.1, "warn", 23.1), (9.9, 23.1, "fail", 23.1),
        (10.0, None, "pass", 10.0), (9.9, None, "fail", 10.0), (9.0, 5.0, "fail", 10.0), (10.0, 5.0, "pass", 10.0),
    ],
)  # fmt: skip
def test_an_instrument_is_as_strong_as_the_larger_of_both_thresholds_asks(
    f: float, critical: float | None, status: str, threshold: float
) -> None:
    reported: dict[str, Json] = {"effective_f": f, "effective_f_critical": critical}
    gate = checks.instrument_strength(estimate("iv_2sls", "instruments", "LATE", diagnostics=reported))
    assert (gate.status, gate.value, gate.threshold) == (status, f, threshold)
    if status != "pass":
        assert sentence(gate.reason) == ("gates.weak-instruments", {"effective_f": f})
    else:
        assert gate.reason is None


def test_trends_of_staggered_adoption_are_tested_in_the_event_study() -> None:
    found: dict[str, Json] = {
        "pre_trends": {"p_value": 0.5},
        "event_study": {"pre_trends": {"p_value": 0.009, "largest": 0.25}},
    }
    gate = checks.pre_trends(found, estimate("did_imputation", "did_staggered", "ATT"))
    assert (gate.status, gate.value, gate.threshold) == ("fail", 0.009, 0.01)
    assert sentence(gate.reason) == ("gates.trends-differ", {"largest": 0.25})
    assert checks.pre_trends(found, estimate("twfe", "did", "ATT")).value == 0.5
    found["event_study"] = {}
    assert checks.pre_trends(found, estimate("did_imputation", "did_staggered", "ATT")).value == 0.5
    gate = checks.pre_trends({"pre_trends": {"p_value": 0.009}}, estimate("twfe", "did", "ATT"))
    assert sentence(gate.reason) == ("gates.trends-differ", {"largest": 0.0})


def test_a_slope_before_treatment_fails_where_the_joint_test_is_diluted() -> None:
    chosen = estimate("twfe", "did", "ATT")
    line: dict[str, Json] = {"estimate": 0.2, "p_value": 0.004}
    gate = checks.pre_trends({"pre_trends": {"p_value": 0.3, "largest": 1.1, "trend": line}}, chosen)
    assert (gate.status, gate.value) == ("fail", 0.008)
    assert sentence(gate.reason) == ("gates.trends-differ-along-line", {"largest": 1.1, "slope": 0.2})
    # Of two tests, by Holm.
    line["p_value"] = 0.006
    assert checks.pre_trends({"pre_trends": {"p_value": 0.3, "trend": line}}, chosen).status == "pass"
