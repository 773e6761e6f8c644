from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.donor_fit import donor_fit, donor_fit_gate
from cqox.estimators import Data
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import factor_panel, panel

SYNTHETIC = ("synthetic_control", "synthetic_control_augmented", "synthetic_did")


def moved(data: Data, distance: float) -> Data:
    """The treated unit beyond all donors, by something that they do not share."""
    return replace(data, y=data.y + distance * (data.unit == 0) * np.where(data.time % 2, 1.0, -1.0))


def test_each_synthetic_control_is_described_with_its_donors_and_placebos() -> None:
    found = judged(factor_panel(treated=1), only=SYNTHETIC).diagnostics["donor_fit"]
    assert list(found) == list(SYNTHETIC)
    for row in found.values():
        assert 0 < row["misfit"] < 0.5
        assert 1 <= row["effective_donors"] <= row["donors"] == 20
        assert 0 < row["p_value_in_space"] <= 1


def test_the_primary_of_few_treated_units_passes_where_donors_follow_them() -> None:
    judgement = judged(factor_panel(treated=1), only=SYNTHETIC)
    assert judgement.primary.name == "synthetic_did"
    assert judgement.gates["donor_fit"].status == "pass"


@pytest.mark.parametrize(("distance", "status"), [(1.5, "warn"), (6.0, "fail")])
def test_a_treated_unit_that_no_donor_follows_sets_off_the_gate(distance: float, status: str) -> None:
    judgement = judged(moved(factor_panel(treated=1), distance), only=SYNTHETIC)
    gate = judgement.gates["donor_fit"]
    assert gate.status == status
    assert "The pre-treatment fit is poor" in gate.reason
    if status == "fail":
        assert judgement.decision.verdict == "HOLD"


def test_other_primaries_have_no_donors() -> None:
    judgement = judged(trial(200), only=("aipw",))
    assert "is not a synthetic control" in judgement.gates["donor_fit"].reason
    assert "reason" in donor_fit(judgement.estimates)
    assert donor_fit_gate(None).status == "not_applicable"


def test_many_treated_units_are_compared_by_differences() -> None:
    assert judged(panel(30)).primary.name == "did_2x2_block"
