from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cqox.contract import Gate
from cqox.diagnostics import Primary, gates
from cqox.estimators import Data, Estimate, Json, Settings, Vector
from tests.diagnostics.looking import confounded, judged, observed, trial
from tests.estimators.designs import cross_section, instrumented, panel, row_keys, two_periods

NAMES = [
    "computation", "design", "primary_warnings", "missingness", "bad_controls", "overlap", "balance",
    "effective_sample_size", "arm_rows", "clusters", "tails", "instrument_strength", "negative_weights",
    "pre_trends", "manipulation", "covariate_continuity", "placebo_cutoffs", "polynomial_order",
    "bandwidth_sensitivity", "donor_fit", "serial_dependence", "precision", "agreement", "curvature",
    "robustness",
]  # fmt: skip


@pytest.mark.parametrize(
    "data", [trial(), confounded(), cross_section(200, continuous=True), instrumented(200), panel(30), two_periods(200)]
)
def test_every_gate_says_its_rule_and_why_it_does_not_pass(data: Data) -> None:
    found = judged(data).gates
    assert list(found) == NAMES
    for name, gate in found.items():
        assert gate.rule.endswith(".")
        assert (gate.reason is None) == (gate.status == "pass")
        if gate.status in {"pass", "warn"}:
            assert gate.value is not None
            assert (gate.threshold is None) == (name == "precision")


def bare(y: Vector, t: Vector, **fields: object) -> Data:
    """A comparison of two arms without covariates."""
    return Data(n=len(y), y=y, treatment=t, treatment_kind="binary", row_key=row_keys(y, t), **fields)


def test_two_treated_rows_do_not_decide() -> None:
    y = np.append([2.0, 2.3], np.random.default_rng(0).standard_normal(598))
    seen = judged(bare(y, (np.arange(600) < 2).astype(float)))
    assert seen.gates["arm_rows"].status == "fail"
    assert seen.decision.verdict == "HOLD"


def test_events_that_none_of_a_few_treated_rows_has_are_no_proof() -> None:
    t = (np.arange(600) < 12).astype(float)
    y = np.where(t > 0, 0.0, np.random.default_rng(0).random(600) < 0.3)
    assert judged(bare(y, t), better="lower").decision.verdict == "CANARY"


def test_one_treated_cluster_does_not_decide() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(50), 20)
    t = (codes == 0).astype(float)
    y = 3 * t + 0.7 * rng.standard_normal(50)[codes] + rng.standard_normal(1000)
    for settings in (Settings(), Settings(se="CRV1")):
        seen = judged(bare(y, t, clusters=(codes,)), settings=settings)
        gate = seen.gates["clusters"]
        assert (gate.status, gate.value, gate.reason) == ("fail", 1.0, "Only 1 cluster is treated.")
        assert seen.decision.verdict == "HOLD"
    many = judged(bare(y, codes % 2.0, clusters=(codes,)))
    assert many.gates["clusters"].status == "pass"


@pytest.mark.parametrize("name", ["did_2x2_block", "did_callaway_santanna", "did_imputation", "twfe"])
@pytest.mark.parametrize("se", ["auto", "CRV1"])
def test_one_treated_unit_of_a_panel_does_not_decide(name: str, se: str) -> None:
    data = panel(60)
    data = replace(data, y=data.y + 50 * data.treatment, treatment=data.treatment * (data.unit == 0))
    seen = judged(data, requested=name, only=[name], settings=Settings(se=se))
    assert seen.gates["clusters"].status == "fail"
    assert seen.decision.verdict == "HOLD"


def test_an_instrument_that_is_the_treatment_does_not_decide() -> None:
    data = instrumented(800)
    seen = judged(replace(data, instruments=data.treatment[:, None].copy()))
    assert seen.decision.primary == "iv_2sls"
    assert seen.decision.verdict != "GO"


def test_a_good_trial_rarely_sets_off_a_gate() -> None:
    fired: Counter[str] = Counter()
    for seed in range(100):
        gates = judged(trial(800, seed), only=["aipw", "ols_adjustment", "ipw_ate", "lin_interacted", "ipwra"]).gates
        fired.update(name for name, gate in gates.items() if gate.status not in {"pass", "not_applicable"})
    assert max(fired.values(), default=0) <= 5, fired


def test_a_primary_without_a_number_leaves_only_the_failure() -> None:
    found = judged(trial(), requested="iv_2sls").gates
    assert found["computation"].status == "fail"
    assert {gate.status for name, gate in found.items() if name != "computation"} == {"not_applicable"}


def test_a_covariate_that_determines_the_treatment_fails_by_overlap() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((800, 1))
    t = (x[:, 0] + 0.1 * rng.standard_normal(800) > 0).astype(float)
    y = 5 * x[:, 0] + 2 * t + 0.3 * rng.standard_normal(800)
    assert judged(replace(observed(x, t), y=y), only=["ols_adjustment"]).gates["overlap"].status == "fail"


def test_the_gates_are_about_the_primary_and_read_the_diagnostics() -> None:
    def found(name: str, family: str, **more: object) -> dict[str, Gate]:
        known = {"n": 40, "estimate": 1.0, "standard_error": 0.5, "ci_lower": 0.1, "ci_upper": 1.9, "warnings": ("W.",)}
        one = Estimate(name=name, family=family, estimand="ATT", status="ok", **{**known, **more})
        other = Estimate(name="other", family="other", estimand="LATE", status="failed", reason="It failed.")
        near = replace(one, name="near", estimate=2.0)
        return gates(diagnostics, [other, near, one], Primary(name=name, rule="By the design."))

    diagnostics: dict[str, Json] = {
        "missing": {"rows": 100}, "overlap": {"share_above": 0.2}, "outcome": {"sd": 1.0},
        "balance": {"largest": {"after_ATT": {"name": "x", "value": 0.2}}},
        "effective_rows": {"ATT": {"treated_share": 0.1}}, "clusters": {"fewest": 19}, "pre_trends": {"p_value": 0.01},
        "discontinuity": {"manipulation": {"p_value": 0.005}, "covariates": {"adjusted_p_value": 0.005, "jumps": [
            {"covariate": "x", "p_value": 0.01}]}},
        "design": {"roles": ["instruments"], "unused": ["instruments"]}, "bad_controls": {"suspected": ["x"]},
        "agreement": {"groups": [
            {"estimators": ["ipw_att", "near"], "standard_errors_of_differences": [[0, 0.1], [0.1, 0]]}]},
        "robustness": {"robustness_value": 0.001},
    }  # fmt: skip
    weighted = found("ipw_att", "weighting", diagnostics={"rows_by_arm": {"treated": 9, "untreated": 31}})
    assert {name for name, gate in weighted.items() if gate.status == "warn"} == {
        "computation", "primary_warnings", "bad_controls", "overlap", "balance", "effective_sample_size", "arm_rows",
        "clusters", "agreement", "robustness",
    }  # fmt: skip
    assert {name for name, gate in weighted.items() if gate.status == "fail"} == {"design", "missingness"}
    over_time = found("twfe", "did", diagnostics={"negative_weight_share": 0.1, "negative_weight_sum": -0.1})
    assert (over_time["negative_weights"].status, over_time["pre_trends"].status) == ("warn", "pass")
    strong = found("iv_2sls", "instruments", diagnostics={"effective_f": 11.0, "effective_f_critical": 23.0})
    assert strong["instrument_strength"].status == "warn"
    cutoff = found("rd_sharp", "discontinuity")
    assert cutoff["manipulation"].status == cutoff["covariate_continuity"].status == "warn"
    assert cutoff["polynomial_order"].status == "not_applicable"
    assert found("sc", "synthetic_control", diagnostics={"pre_fit": 9.0})["donor_fit"].status == "fail"
    residuals: dict[str, Json] = {"ljung_box_of_innovations": {"p_value": 0.001}, "effective_periods": 50.0}
    series = found("its", "interrupted_series", diagnostics={"residuals": residuals})
    assert series["serial_dependence"].status == "warn"
