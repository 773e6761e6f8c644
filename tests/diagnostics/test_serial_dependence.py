import pytest

from cqox.diagnostics.serial_dependence import serial_dependence, serial_dependence_gate
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import series


@pytest.mark.parametrize(("dependence", "status"), [(0.0, "pass"), (0.6, "warn"), (0.98, "fail")])
def test_dependent_errors_set_off_the_gate(dependence: float, status: str) -> None:
    judgement = judged(series(dependence=dependence), only=("interrupted_series",))
    assert judgement.primary.name == "interrupted_series"
    assert "before and after" in judgement.primary.rule
    gate = judgement.gates["serial_dependence"]
    assert gate.status == status
    assert (gate.reason is None) == (status == "pass")
    found = judgement.diagnostics["serial_dependence"]
    assert found["ljung_box"]["p_value"] == gate.value
    assert 0 < found["durbin_watson"] < 4


def test_other_primaries_have_no_order_of_errors() -> None:
    judgement = judged(trial(200), only=("aipw",))
    assert "no series" in judgement.gates["serial_dependence"].reason
    assert "reason" in serial_dependence(judgement.estimates)
    assert serial_dependence_gate(None).status == "not_applicable"


def test_a_series_without_error_has_nothing_to_test() -> None:
    judgement = judged(series(noise=0.0), only=("interrupted_series",))
    assert judgement.gates["serial_dependence"].status == "not_applicable"
