from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run

ENTRY = next(entry for entry in catalog() if entry.name == "rd_density_test")


def score(values: np.ndarray, cutoff: float) -> Data:
    n = len(values)
    return Data(
        n=n, y=np.full(n, np.nan), y_kind="none", running=values, cutoff=cutoff, row_key=np.arange(n, dtype=np.uint64),
        names={"running": ("score",)},
    )  # fmt: skip


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ENTRY, Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


DRAWN = {
    "normal": (lambda rng: rng.normal(0.2, 1, 500), 0.0),
    "off centre": (lambda rng: rng.normal(-0.5, 1, 1000), 0.0),
    "few below": (lambda rng: rng.normal(1, 1, 300), 0.0),
    "one decimal": (lambda rng: np.round(rng.normal(0.3, 1, 2000), 1), 0.0),
    "two decimals": (lambda rng: np.round(rng.normal(0, 1, 3000), 2), 0.5),
    "whole numbers": (lambda rng: np.round(rng.normal(3, 20, 20_000)), 3.0),
    "large": (lambda rng: rng.normal(0, 1, 50_000), -1.0),
    "small": (lambda rng: rng.normal(0, 1, 60), 0.1),
    "uniform": (lambda rng: rng.uniform(0, 10, 1500), 3.0),
    "ends close by": (lambda rng: rng.uniform(-1, 4, 1200), 0.0),
    "near its end": (lambda rng: rng.exponential(1, 1500), 0.3),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_the_test_equals_rddensity(kind: str) -> None:
    from rddensity import rddensity

    draw, cutoff = DRAWN[kind]
    data = score(draw(np.random.default_rng(len(kind))), cutoff)
    peer, result = rddensity(data.running, c=cutoff), answer(data)
    reported = result.diagnostics
    np.testing.assert_allclose(reported["bandwidths"], peer.h.values, rtol=1e-6)
    np.testing.assert_allclose([reported["density_below"], reported["density_above"]], peer.hat.values[:2], rtol=1e-6)
    assert result.standard_error == pytest.approx(peer.sd_jk.values[2], rel=1e-6)
    assert reported["t_jackknife"] == pytest.approx(peer.test.t_jk, rel=1e-5, abs=1e-7)
    assert reported["p"] == result.p_value == pytest.approx(peer.test.p_jk, rel=1e-5)
    assert reported["N_h"] == [peer.n.eff_left, peer.n.eff_right]


def test_units_that_moved_just_above_the_cutoff_are_found() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, 3000)
    moved = (values > -0.1) & (values < 0) & (rng.random(3000) < 0.7)
    result = answer(score(np.where(moved, -values, values), 0.0))
    assert result.p_value < 1e-3
    assert result.estimate > 0


def test_its_rejections_are_as_rare_as_they_should_be() -> None:
    rejected = sum(
        answer(score(np.random.default_rng(seed).normal(0.3, 1, 800), 0.0)).p_value < 0.05 for seed in range(300)
    )
    assert 4 <= rejected <= 30


def test_it_needs_no_outcome_and_estimates_no_effect() -> None:
    result = answer(score(np.random.default_rng(2).normal(0, 1, 400), 0.0))
    assert result.estimand == "density jump"
    assert any("estimates no effect" in note for note in result.diagnostics["notes"])


def test_the_unit_and_the_direction_of_the_score_change_no_statistic() -> None:
    values = np.random.default_rng(3).normal(0.4, 1, 700)
    statistic = answer(score(values, 0.1)).diagnostics["t_jackknife"]
    for factor in (1e-120, 7.0, 1e120):
        assert answer(score(values * factor, 0.1 * factor)).diagnostics["t_jackknife"] == pytest.approx(
            statistic, rel=1e-8
        )
    assert answer(score(-values, -0.1)).diagnostics["t_jackknife"] == pytest.approx(-statistic, rel=1e-8)


def test_what_it_does_not_use_is_said() -> None:
    data = score(np.random.default_rng(4).normal(0, 3, 900), 0.0)
    data = replace(
        data, weights=np.linspace(1, 2, 900),
        clusters=(np.arange(900) % 30,), names={**data.names, "weights": ("w",)},
    )  # fmt: skip
    result = answer(data)
    assert any("does not use the weights 'w'" in note for note in result.diagnostics["notes"])
    assert any("rows as independent" in warning for warning in result.warnings)


def test_heaps_are_warned_of_and_too_few_values_refused() -> None:
    data = score(np.round(np.random.default_rng(5).normal(0, 30, 900)), 0.0)
    assert any("mass points" in warning for warning in answer(data).warnings)
    coarse = score(np.round(np.random.default_rng(5).normal(0, 2, 900)), 0.0)
    assert "distinct values below the cutoff 0" in str(run(ENTRY, Plan(coarse, Settings())).reason)
