"""Bounds on an effect with missing outcomes."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Settings
from tests.diagnostics.looking import judged, trial


def test_outcomes_lost_more_in_one_arm_are_reported_with_bounds():
    data = trial(600)
    y = data.y.copy()
    lost = (data.treatment > 0) & (np.random.default_rng(1).random(data.n) < 0.2)
    y[lost] = np.nan
    found = judged(replace(data, y=y), only=["difference_in_means"]).diagnostics["attrition"]
    assert (found["untreated_rows_missing"], found["treated_rows_missing"]) == (0, int(lost.sum()))
    assert found["p_value"] < 1e-6
    worst, trimming = found["worst_case"], found["trimming"]
    assert worst["lower"] < trimming["lower"] <= trimming["upper"] < worst["upper"]
    assert trimming["trimmed"] == pytest.approx(lost.sum() / (data.treatment > 0).sum())


def test_a_range_of_outcomes_that_was_asked_for_is_used():
    data = trial(200)
    y = data.y.copy()
    y[:20] = np.nan
    holed = replace(data, y=y)
    narrow = judged(holed, only=["difference_in_means"]).diagnostics["attrition"]["worst_case"]
    asked = Settings(outcome_range=(-50.0, 50.0))
    wide = judged(holed, only=["difference_in_means"], settings=asked).diagnostics["attrition"]["worst_case"]
    assert wide["lower"] < narrow["lower"]


def test_nothing_is_said_where_no_outcome_is_missing():
    found = judged(trial(60), only=["difference_in_means"]).diagnostics["attrition"]
    assert found == {"reason": "No row with a treatment has a missing outcome."}
