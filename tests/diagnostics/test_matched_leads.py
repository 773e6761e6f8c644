"""Leads of a treatment that goes on and off."""

import numpy as np
import pytest

from cqox.diagnostics.matched_leads import matched_leads
from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings
from tests.diagnostics.identification.simulated_panels import Block, feedback, switching
from tests.diagnostics.looking import judged


def test_the_leads_are_the_placebos_of_panel_matching() -> None:
    seen = judged(switching(0, periods=16), only=["panel_matching"], settings=Settings(match_lags=4))
    own = {row["lead"]: row for row in seen.diagnostics["matched_leads"]["leads"]}
    for row in seen.estimate("panel_matching").diagnostics["before"]["averages"]:
        assert own[row["lead"]]["estimate"] == pytest.approx(row["estimate"], rel=1e-10)
        assert own[row["lead"]]["standard_error"] == pytest.approx(row["standard_error"], rel=1e-10)


def test_in_a_block_they_are_those_of_the_event_study() -> None:
    data = Block(units=60, before=5, after=3, effect=3.0).drawn(1)
    settings = Settings(match_lags=5, match_leads=2, base_period="universal")
    seen = judged(data, only=["panel_matching", "did_callaway_santanna"], requested="panel_matching", settings=settings)
    own, study = seen.diagnostics["matched_leads"], seen.diagnostics["event_study"]
    before = {row["event"]: row["estimate"] for row in study["events"]}
    for row in own["leads"]:
        assert row["estimate"] == pytest.approx(before[row["lead"]], rel=1e-9)
    for name in ("first", "average"):
        assert own["honest"][name]["estimate"] == pytest.approx(study["honest"][name]["estimate"], rel=1e-9)
        assert own["honest"][name]["breakdown"] == pytest.approx(study["honest"][name]["breakdown"], rel=0.1)
    assert own["detectable_slope"] == pytest.approx(study["pre_trends"]["detectable_slope"], rel=0.05)
    assert own["periods_before"] == 5


def test_starts_after_bad_periods_have_leads() -> None:
    found = matched_leads(Plan(feedback(0), Settings(match_lags=3)))
    assert found["p_value"] < 1e-6
    assert found["last_change"]["p_value"] < 1e-6


def test_one_period_before_is_too_few() -> None:
    with pytest.raises(UnusableData, match="too few periods"):
        matched_leads(Plan(switching(0), Settings(match_lags=1)))


def test_a_treatment_that_stays_has_a_reason() -> None:
    seen = judged(Block(units=20).drawn(0), only=["did_2x2_block"])
    assert "stays" in seen.diagnostics["matched_leads"]["reason"]
    assert "stays" in seen.diagnostics["feedback"]["reason"]
    assert np.isfinite(seen.estimate("did_2x2_block").estimate)
