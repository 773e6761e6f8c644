from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data
from tests.diagnostics.looking import confounded, judged, observed, trial
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


def test_a_covariate_as_strong_as_can_be_is_a_doubt_and_no_exemption() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((800, 1))
    t = (x[:, 0] + 0.1 * rng.standard_normal(800) > 0).astype(float)
    y = 5 * x[:, 0] + 2 * t + 0.3 * rng.standard_normal(800)
    gate = judged(replace(observed(x, t), y=y), only=["ols_adjustment"]).gates["robustness"]
    assert gate.status == "warn"
    assert gate.value is None
    assert gate.reason.startswith("Beside 'x0' a confounder as strong would determine the treatment")
