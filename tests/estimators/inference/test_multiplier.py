import numpy as np
import pytest
from scipy import stats

from cqox.estimators.inference.multiplier import banded, uniform_critical_value


def test_independent_estimates_need_sidaks_critical_value() -> None:
    values = [uniform_critical_value(np.eye(8), 0.05, None, seed) for seed in range(20)]
    assert np.mean(values) == pytest.approx(stats.norm.ppf(1 - (1 - 0.95 ** (1 / 8)) / 2), abs=0.02)


def test_it_is_the_quantile_of_the_bootstrap_with_normal_multipliers() -> None:
    rng = np.random.default_rng(0)
    contributions = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4))
    errors = np.sqrt((contributions**2).sum(axis=0))
    drawn = np.abs(rng.standard_normal((150_000, 60)) @ contributions / errors).max(axis=1)
    values = [uniform_critical_value(contributions.T @ contributions, 0.05, None, seed) for seed in range(20)]
    assert np.mean(values) == pytest.approx(np.quantile(drawn, 0.95), abs=0.02)


def test_estimates_that_repeat_each_other_need_no_more_than_one() -> None:
    assert uniform_critical_value(np.ones((5, 5)), 0.05, None, 0) == pytest.approx(stats.norm.ppf(0.975), abs=0.08)
    assert uniform_critical_value(np.diag([1.0, 0.0]), 0.05, None, 0) == pytest.approx(stats.norm.ppf(0.975))


def test_few_clusters_widen_the_band() -> None:
    wide, narrow = (uniform_critical_value(np.eye(4), 0.05, degrees, 0) for degrees in (9.0, None))
    assert wide > 1.15 * narrow


def test_the_seed_decides_and_nothing_else() -> None:
    assert uniform_critical_value(np.eye(4), 0.05, None, 3) == uniform_critical_value(np.eye(4), 0.05, None, 3)
    assert uniform_critical_value(np.eye(4), 0.05, None, 3) != uniform_critical_value(np.eye(4), 0.05, None, 4)
    assert uniform_critical_value(np.eye(500), 0.05, None, 0) is None


def test_what_is_so_by_definition_has_no_interval_and_the_band_holds_the_intervals() -> None:
    reported = banded(
        [{"event": -1}, {"event": 0}, {"event": 1}], np.array([0.0, 1.0, 2.0]), np.diag([0.0, 1.0, 4.0]), alpha=0.05,
        degrees=None, seed=0,
    )  # fmt: skip
    base, *others = reported["averages"]
    assert [base[key] for key in ("standard_error", "lower", "band_upper")] == [None, None, None]
    for row in others:
        assert row["band_lower"] < row["lower"] < row["estimate"] < row["upper"] < row["band_upper"]


def test_an_unknown_covariance_has_neither() -> None:
    reported = banded(
        [{"event": 0}, {"event": 1}], np.ones(2), np.full((2, 2), np.nan), alpha=0.05, degrees=None, seed=0
    )
    assert reported["critical_value"] is None
    assert all(row["lower"] is None for row in reported["averages"])
