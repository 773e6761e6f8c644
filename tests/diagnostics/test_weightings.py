from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics.looking import confounded, judged, reference, trial


def test_effective_rows_are_those_of_the_reference() -> None:
    found = judged(reference("lalonde_ipw_ate")).diagnostics["effective_rows"]["ATE"]
    assert found["treated"] == pytest.approx(58.3267, abs=1e-3)
    assert found["control"] == pytest.approx(329.0078, abs=1e-3)
    assert (found["treated_rows"], found["control_rows"]) == (185, 429)
    assert found["smallest_share"] == pytest.approx(58.3267 / 185, abs=1e-5)


def test_effective_rows_follow_kish() -> None:
    seen = judged(confounded(500))
    e, t = seen.plan.propensity().e, seen.plan.data.treatment == 1
    w = e[~t] / (1 - e[~t])
    found = seen.diagnostics["effective_rows"]["ATT"]
    assert found["control"] == pytest.approx(w.sum() ** 2 / (w @ w), rel=1e-10)
    assert found["treated"] == pytest.approx(t.sum(), rel=1e-10)


def test_the_estimates_that_use_the_weights_are_named() -> None:
    found = judged(trial()).diagnostics["effective_rows"]
    assert "aipw" in found["ATE"]["used_by"]
    assert "ipw_att" in found["ATT"]["used_by"]
    assert "dml_plr" not in found["ATE"]["used_by"]
    assert "ols_adjustment" not in found["ATE"]["used_by"]


def test_the_spread_of_the_weights_is_reported_by_arm() -> None:
    seen = judged(confounded(500, strength=2.0))
    e, t = seen.plan.propensity().e, seen.plan.data.treatment == 1
    w = (1 / e[t]) / (1 / e[t]).mean()
    found = seen.diagnostics["weights"]["ATE"]["treated"]
    assert found["maximum"] == pytest.approx(w.max(), rel=1e-10)
    assert found["median"] == pytest.approx(np.median(w), rel=1e-10)
    assert found["coefficient_of_variation"] == pytest.approx(w.std(), rel=1e-10)


def test_without_weights_there_is_a_reason() -> None:
    found = judged(trial(), only=["difference_in_means"]).diagnostics
    assert set(found["weights"]) == set(found["effective_rows"]) == {"reason"}


def test_sampling_weights_are_a_factor_of_the_weights() -> None:
    data = confounded(500)
    w = np.random.default_rng(2).uniform(0.5, 3.0, data.n)
    seen = judged(replace(data, weights=w))
    e, t = seen.plan.propensity().e, data.treatment == 1
    own = w[t] / e[t]
    assert seen.diagnostics["effective_rows"]["ATE"]["treated"] == pytest.approx(own.sum() ** 2 / (own @ own), rel=1e-9)
    assert seen.estimate("ipw_ate").diagnostics["ess_treated"] == pytest.approx(own.sum() ** 2 / (own @ own), rel=1e-9)


def test_blocks_of_rows_make_the_same_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(confounded()).diagnostics["weights"]
    monkeypatch.setattr("cqox.diagnostics.weightings._BLOCK", 37)
    assert judged(confounded()).diagnostics["weights"] == whole


def test_the_distribution_of_the_weights_adds_up_to_the_rows_that_are_used() -> None:
    reported = judged(confounded(strength=3.0)).diagnostics["weights"]
    for each in reported.values():
        for arm in each.values():
            assert sum(bar["share"] for bar in arm["bins"]) + arm["unused_share"] == pytest.approx(1)
            assert all(bar["lower"] < bar["upper"] for bar in arm["bins"])
            assert arm["bins"][-1]["lower"] <= arm["maximum"] <= max(arm["bins"][-1]["upper"], 2.0**8)
