from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.serial_dependence import serial_dependence, serial_dependence_gate
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import series


@pytest.mark.parametrize(("dependence", "status"), [(0.0, "pass"), (0.6, "pass"), (0.98, "fail")])
def test_only_uninformative_errors_set_off_the_gate(dependence: float, status: str) -> None:
    judgement = judged(series(dependence=dependence), only=("interrupted_series",))
    assert judgement.primary.name == "interrupted_series"
    assert "before and after" in judgement.primary.rule
    gate = judgement.gates["serial_dependence"]
    assert gate.status == status
    assert (gate.reason is None) == (status == "pass")
    found = judgement.diagnostics["serial_dependence"]
    assert found["ljung_box_of_innovations"]["p_value"] == gate.value
    assert (found["ljung_box"]["p_value"] < 0.01) == (dependence > 0)
    assert 0 < found["durbin_watson"] < 4


def test_a_clean_series_with_autoregressive_errors_can_go() -> None:
    judgement = judged(
        series(120, 80, dependence=0.5, level=4.0), only=("interrupted_series",),
        assumes=["no_concurrent_event", "stable_trend"],
    )  # fmt: skip
    assert judgement.decision.verdict == "GO", judgement.decision.reasons


def test_dependence_that_an_autoregression_does_not_describe_is_warned_of() -> None:
    data = series(140, 60, dependence=0.0)
    errors = np.random.default_rng(3).standard_normal(240)
    for place in range(10, 240):
        errors[place] += 0.8 * errors[place - 10]
    judgement = judged(replace(data, y=data.y + 3 * errors[40:]), only=("interrupted_series",))
    gate = judgement.gates["serial_dependence"]
    assert gate.status == "warn"
    assert "interval may be too short" in str(gate.reason)


def test_the_gate_warns_as_rarely_of_autoregressive_errors_as_its_level_says() -> None:
    warned = 0
    for seed in range(120):
        data = series(60, 40, seed, dependence=0.5)
        warned += judged(data, only=("interrupted_series",)).gates["serial_dependence"].status != "pass"
    assert warned <= 6


def test_other_primaries_have_no_order_of_errors() -> None:
    judgement = judged(trial(200), only=("aipw",))
    assert "is not a time series" in judgement.gates["serial_dependence"].reason
    assert "reason" in serial_dependence(judgement.estimates)
    assert serial_dependence_gate(None).status == "not_applicable"


def test_a_series_without_error_has_nothing_to_test() -> None:
    judgement = judged(series(noise=0.0), only=("interrupted_series",))
    assert judgement.gates["serial_dependence"].status == "not_applicable"
