from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import design_checks as checks
from cqox.estimators import Estimate
from tests.diagnostics.looking import confounded, judged, trial
from tests.estimators.designs import instrumented, panel


def estimate(name: str = "aipw", family: str = "doubly_robust", estimand: str = "ATE", **fields: object) -> Estimate:
    return Estimate(
        name=name, family=family, estimand=estimand, status="ok", estimate=1.0, standard_error=0.2, ci_lower=0.6,
        ci_upper=1.4, **{"n": 100, **fields},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("share", "status"), [(0.0, "pass"), (0.05, "pass"), (0.051, "warn"), (0.2, "warn"), (0.21, "fail")]
)
def test_overlap_warns_above_a_twentieth_and_fails_above_a_fifth(share: float, status: str) -> None:
    gate = checks.overlap({"overlap": {"share_outside": share}}, estimate())
    assert (gate.status, gate.value, gate.threshold) == (status, share, 0.05)
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
    blind = judged(replace(data, propensity_covariates=noise, names=names))
    assert blind.gates["balance"].status == "fail"
    assert "x0" in str(blind.gates["balance"].reason)
    assert judged(data).gates["balance"].status == "pass"


def test_an_unadjusted_primary_is_judged_by_the_arms_as_they_are() -> None:
    assert judged(confounded(), requested="difference_in_means").gates["balance"].status == "fail"
    assert judged(trial(4000), requested="difference_in_means").gates["balance"].status == "pass"


def test_a_regression_is_judged_by_the_arms_that_it_starts_from() -> None:
    gate = judged(confounded(strength=2.0), requested="ols_adjustment").gates["balance"]
    assert (gate.status, gate.threshold) == ("warn", 0.25)


@pytest.mark.parametrize(
    ("share", "status"), [(0.9, "pass"), (0.2, "pass"), (0.19, "warn"), (0.05, "warn"), (0.04, "fail")]
)
def test_the_poorer_arm_decides_on_the_effective_sample(share: float, status: str) -> None:
    fields = {"effective_rows": {"ATE": {"treated_share": 1.0, "treated": 100.0, "treated_rows": 100,
                                       "control_share": share, "control": share * 50, "control_rows": 50}}}  # fmt: skip
    gate = checks.effective_sample(fields, estimate())
    assert (gate.status, gate.value) == (status, share)
    assert status == "pass" or "50 untreated" in str(gate.reason)


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


@pytest.mark.parametrize(("n", "status"), [(100, "pass"), (90, "pass"), (89, "warn"), (49, "fail")])
def test_rows_left_out_count_against_the_primary(n: int, status: str) -> None:
    assert checks.missing_rows({"missing": {"rows": 100}}, estimate(n=n)).status == status


@pytest.mark.parametrize(("p_value", "status"), [(0.5, "pass"), (0.05, "pass"), (0.04, "warn"), (0.0009, "fail")])
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
        (50, 10, "pass", 50), (50, 9, "warn", 9), (50, 2, "fail", 2), (19, 9, "warn", 19), (4, 2, "fail", 2),
        (4, 3, "fail", 4),
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
    assert status == "pass" or gate.reason == f"Only {rows} rows are untreated."
    assert checks.arm_rows(estimate("iv_2sls", "instruments", "LATE")).status == "not_applicable"


def test_likeness_of_the_arms_does_not_matter_to_other_designs() -> None:
    seen = judged(panel(40)).gates
    for name in ("overlap", "balance", "effective_sample_size"):
        assert seen[name].status == "not_applicable"
        assert "does not assume unconfoundedness" in str(seen[name].reason)


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
