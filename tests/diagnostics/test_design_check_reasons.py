"""The reasons that checks of a design state, and why one does not apply."""

from cqox.contract import Gate
from cqox.diagnostics import design_checks as checks
from cqox.estimators import Json
from tests.diagnostics.checked_estimates import NO_PRIMARY, estimate, said
from tests.diagnostics.looking import sentence


def test_a_primary_without_a_number_is_not_checked_whatever_was_found() -> None:
    found: dict[str, Json] = {
        "overlap": {"share_outside": 0.5}, "balance": {"largest": {"after_ATE": {"value": 1.0, "name": "x"}}},
        "effective_rows": {"ATE": {"treated_share": 0.01}}, "clusters": {"fewest": 2}, "pre_trends": {"p_value": 0.0},
    }  # fmt: skip
    seen: dict[str, Json] = {
        "rows_by_arm": {"treated": 1, "untreated": 1}, "effective_f": 1.0, "negative_weight_share": 0.5,
        "negative_weight_sum": -1.0,
    }  # fmt: skip
    for without in (None, estimate("twfe", "did", "ATT", estimate=None, diagnostics=seen)):
        for gate in (
            checks.pre_trends(found, without), checks.clusters(found, without), checks.arm_rows(without),
            checks.instrument_strength(without), checks.negative_weights(without),
        ):  # fmt: skip
            assert said(gate) == ("not_applicable", NO_PRIMARY)
            assert gate.rule.endswith(".")
    for without in (None, estimate(estimate=None)):
        for gate in (
            checks.overlap(found, without), checks.balance(found, without), checks.effective_sample(found, without)
        ):  # fmt: skip
            assert said(gate) == ("not_applicable", NO_PRIMARY)
            assert gate.rule.endswith(".")


def test_rows_left_out_are_counted() -> None:
    gate = checks.missing_rows({"missing": {"rows": 200}}, estimate(n=150))
    assert (gate.status, gate.value, gate.threshold) == ("warn", 0.25, 0.2)
    assert sentence(gate.reason) == ("gates.rows-used", {"primary": "aipw", "used": 150, "rows": 200})
    assert sentence(gate.rule) == ("gates.missingness-rule", {"most": 0.2, "fails": 0.5})
    lost: dict[str, Json] = {"treated_rows_missing": 30, "untreated_rows_missing": 20}
    assert checks.missing_rows({"missing": {"rows": 200}, "attrition": lost}, estimate(n=150)).value == 0
    assert checks.missing_rows({"missing": {"rows": 2}}, estimate(n=1)).status == "warn"
    for rows in ({"rows": 0}, {"rows": None}, {}):
        assert said(checks.missing_rows({"missing": rows}, estimate())) == ("not_applicable", NO_PRIMARY)
    assert said(checks.missing_rows({"missing": {"rows": 10}}, estimate(n=None))) == ("not_applicable", NO_PRIMARY)


def test_overlap_says_why_it_was_not_computed() -> None:
    assert said(checks.overlap({}, estimate())) == ("not_applicable", ("gates.no-propensity-score", {}))
    assert checks.overlap({"overlap": {"reason": "One arm."}}, estimate()).reason == "One arm."


def test_balance_says_why_it_was_not_computed() -> None:
    assert said(checks.balance({}, estimate())) == ("not_applicable", ("gates.unweighted", {}))
    assert checks.balance({"balance": {"reason": "No covariates."}}, estimate()).reason == "No covariates."
    found = {"balance": {"reason": "No covariates.", "largest": {"after_ATE": {"reason": "All are constant."}}}}
    assert checks.balance(found, estimate()).reason == "All are constant."


def test_the_arm_with_the_lower_effective_share_is_described() -> None:
    arm = {"treated_share": 0.1, "treated": 12.25, "treated_rows": 120, "control_share": 0.15, "control": 9.0}
    gate = checks.effective_sample({"effective_rows": {"ATE": arm}}, estimate())
    assert (gate.status, gate.value, gate.threshold) == ("warn", 0.1, 0.2)
    assert sentence(gate.reason) == ("gates.low-effective-treated", {"rows": 120, "effective": 12.25})
    gate = checks.effective_sample({"effective_rows": {"ATE": {"control_share": 0.01}}}, estimate())
    assert said(gate) == ("fail", ("gates.low-effective-untreated", {"rows": 0, "effective": 0}))
    assert sentence(gate.rule) == ("gates.effective-sample-rule", {"least": 0.2, "fails": 0.05})


def test_the_effective_sample_says_why_it_does_not_apply() -> None:
    gate = checks.effective_sample({}, estimate())
    assert said(gate) == ("not_applicable", ("gates.unweighted", {}))
    gate = checks.effective_sample(
        {"effective_rows": {"ATE": {"treated_share": 0.01}}}, estimate("difference_in_means", "regression")
    )
    assert said(gate) == ("not_applicable", ("gates.no-weights", {"primary": "difference_in_means"}))
    gate = checks.effective_sample({}, estimate("iv_2sls", "instruments", "LATE"))
    assert said(gate) == ("not_applicable", ("gates.not-unconfounded", {"primary": "iv_2sls"}))


def test_a_log_that_is_not_weighted_has_no_effective_sample() -> None:
    gate = checks.effective_sample({}, estimate("direct_method", "off_policy", "V", n=200))
    assert said(gate) == ("not_applicable", ("gates.no-weights", {"primary": "direct_method"}))
    gate = checks.effective_sample({}, estimate("ips", "off_policy", "V", n=0, diagnostics={"ess": 1.0}))
    assert gate.status == "not_applicable"


def test_the_smaller_arm_is_named() -> None:
    gate = checks.arm_rows(estimate(diagnostics={"rows_by_arm": {"treated": 2, "untreated": 500}}))
    assert said(gate) == ("fail", ("gates.few-treated", {"rows": 2}))
    gate = checks.arm_rows(estimate(diagnostics={"rows_by_arm": {"treated": 2}}))
    assert said(gate) == ("fail", ("gates.few-treated", {"rows": 2}))
    assert sentence(gate.rule) == ("gates.arm-rows-rule", {"least": 10, "fails": 3})
    gate = checks.arm_rows(estimate("iv_2sls", "instruments", "LATE"))
    assert sentence(gate.reason) == ("gates.no-two-arms", {"primary": "iv_2sls"})


def test_the_strength_of_instruments_says_why_it_does_not_apply() -> None:
    gate = checks.instrument_strength(estimate())
    assert sentence(gate.reason) == ("gates.no-instrument", {"primary": "aipw"})
    gate = checks.instrument_strength(estimate("iv_2sls", "instruments", "LATE", diagnostics={"effective_f": None}))
    assert said(gate) == ("not_applicable", ("gates.instrument-determines-treatment", {}))
    assert sentence(gate.rule) == ("gates.instrument-rule", {"fails": 10.0})
    assert "bias of 10% (Montiel Olea and Pflueger 2013); fails below 10." in gate.rule


def test_negative_weights_are_described_by_their_share_and_sum() -> None:
    reported: dict[str, Json] = {"negative_weight_share": 0.125, "negative_weight_sum": -0.5}
    gate = checks.negative_weights(estimate("twfe", "did", "ATT", diagnostics=reported))
    assert (gate.status, gate.value, gate.threshold) == ("warn", 0.5, 0.05)
    assert sentence(gate.reason) == ("gates.negative-weights", {"share": 0.125, "total": -0.5})
    for missing in reported:
        partial = {name: value for name, value in reported.items() if name != missing}
        gate = checks.negative_weights(estimate("twfe", "did", "ATT", diagnostics=partial))
        assert said(gate) == ("not_applicable", ("gates.no-such-weights", {"primary": "twfe"}))


def test_pre_trends_say_why_they_do_not_apply() -> None:
    gate = checks.pre_trends({}, estimate())
    assert sentence(gate.reason) == ("gates.not-parallel-trends", {"primary": "aipw"})
    gate = checks.pre_trends({}, estimate("twfe", "did", "ATT"))
    assert said(gate) == ("not_applicable", ("gates.no-pre-trends-test", {}))
    gate = checks.pre_trends({"pre_trends": {"reason": "One period."}}, estimate("twfe", "did", "ATT"))
    assert gate.reason == "One period."


def test_the_reason_about_clusters_is_the_stricter_one() -> None:
    def found(fewest: int, **arms: int) -> Gate:
        return checks.clusters({"clusters": {"fewest": fewest}}, estimate(diagnostics={"clusters_by_arm": {**arms}}))

    assert said(found(50)) == ("pass", None)
    assert found(50).threshold == 20
    assert said(found(19)) == ("warn", ("gates.few-clusters", {"clusters": 19}))
    assert said(found(50, treated=4, untreated=46)) == ("warn", ("gates.few-treated-clusters", {"clusters": 4}))
    assert found(50, treated=4, untreated=46).threshold == 5
    assert said(found(9, treated=4, untreated=5)) == ("warn", ("gates.few-clusters", {"clusters": 9}))
    assert found(16, treated=8, untreated=8).threshold == 10
    assert said(found(3, treated=2, untreated=1)) == ("fail", ("gates.few-untreated-clusters", {"clusters": 1}))


def test_clusters_say_why_they_do_not_apply() -> None:
    assert said(checks.clusters({}, estimate())) == ("not_applicable", ("gates.independent-rows", {}))
    assert checks.clusters({"clusters": {"reason": "No cluster."}}, estimate()).reason == "No cluster."
