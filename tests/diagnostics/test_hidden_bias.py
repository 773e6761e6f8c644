from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Settings
from tests.diagnostics.looking import confounded, judged, trial

MATCHINGS = ["psm_att", "nn_mahalanobis_att"]


def test_a_caliper_leaves_out_whom_the_estimate_leaves_out() -> None:
    data = confounded(600, strength=3.0)
    settings = Settings(caliper=0.002)
    seen = judged(data, only=["psm_att"], settings=settings)
    reported = seen.diagnostics["rosenbaum_bounds"]["psm"]
    assert reported["treated_without_counterpart"] == seen.estimate("psm_att").diagnostics["unmatched_rows"] > 0


def test_a_strong_effect_withstands_more_hidden_bias_than_a_weak_one() -> None:
    weak, strong = (
        judged(confounded(1500, effect=effect), only=MATCHINGS).diagnostics["rosenbaum_bounds"] for effect in (0.4, 2.0)
    )
    for name in ("psm", "nn_mahalanobis"):
        assert 1 <= weak[name]["gamma_test"] < weak[name]["gamma_estimate"]
        assert strong[name]["gamma_test"] > 2 * weak[name]["gamma_test"]
        upper = [row["p_upper"] for row in weak[name]["bounds"]]
        assert upper == sorted(upper)
        first = weak[name]["bounds"][0]
        assert first["estimate_lower"] == first["estimate_upper"] == pytest.approx(0.4, abs=0.35)


def test_outcomes_of_two_values_have_tests_and_no_shift() -> None:
    data = confounded(900)
    y = (data.y > np.median(data.y)).astype(float)
    reported = judged(replace(data, y=y, y_kind="binary"), only=MATCHINGS).diagnostics["rosenbaum_bounds"]["psm"]
    assert "estimate_lower" not in reported["bounds"][0]
    assert reported["pairs_without_difference"] > 0


def test_without_a_difference_the_reason_is_said() -> None:
    reported = judged(confounded(600, effect=0.0), only=MATCHINGS).diagnostics["rosenbaum_bounds"]["psm"]
    assert reported["gamma_test"] is None
    assert "does not reject" in reported["reason"]
    assert "reason" in judged(trial(9), only=MATCHINGS).diagnostics["rosenbaum_bounds"].get("psm", {"reason": ""})
    assert "No matching" in judged(trial(), only=["aipw"]).diagnostics["rosenbaum_bounds"]["reason"]
