from collections import Counter

import pytest

from cqox.estimators import Data
from tests.diagnostics.looking import confounded, judged, trial
from tests.estimators.designs import cross_section, instrumented, panel, two_periods

NAMES = [
    "computation", "design", "primary_warnings", "missingness", "bad_controls", "overlap", "balance",
    "effective_sample_size", "clusters", "instrument_strength", "negative_weights", "pre_trends", "manipulation",
    "covariate_continuity", "donor_fit", "serial_dependence", "precision", "agreement", "robustness",
]  # fmt: skip


@pytest.mark.parametrize(
    "data", [trial(), confounded(), cross_section(200, continuous=True), instrumented(200), panel(30), two_periods(200)]
)
def test_every_gate_says_its_rule_and_why_it_does_not_pass(data: Data) -> None:
    found = judged(data).gates
    assert list(found) == NAMES
    for gate in found.values():
        assert gate.rule.endswith(".")
        assert (gate.reason is None) == (gate.status == "pass")
        if gate.status in {"pass", "warn"}:
            assert gate.value is not None
            assert gate.threshold is not None


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
