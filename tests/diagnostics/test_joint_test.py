import numpy as np
import pytest
from scipy import stats

from cqox.diagnostics._joint_test import joint_test


def test_the_p_value_is_that_of_hotellings_test() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((25, 3)) + 0.3
    covariance = np.cov(rows.T) / 25
    told = joint_test(rows.mean(axis=0), covariance, 25)
    squared = rows.mean(axis=0) @ np.linalg.solve(covariance, rows.mean(axis=0))
    assert told["statistic"] == pytest.approx(squared)
    assert told["p_value"] == pytest.approx(stats.f.sf(squared * 22 / (3 * 24), 3, 22))


def test_the_detectable_slope_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((3, 3))
    covariance, trend = root @ root.T / 30, np.array([-3.0, -2.0, -1.0])
    slope = joint_test(np.zeros(3), covariance, 30, trend)["detectable_slope"]
    found = 0
    for _ in range(4000):
        rows = rng.standard_normal((30, 3)) @ root.T + slope * trend
        found += joint_test(rows.mean(axis=0), np.cov(rows.T) / 30, 30)["p_value"] < 0.05
    assert found / 4000 == pytest.approx(0.8, abs=0.025)


def test_estimates_that_repeat_each_other_count_once() -> None:
    covariance = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert joint_test(np.array([2.0, 2.0]), covariance, 1000)["degrees"] == 1


@pytest.mark.parametrize("covariance", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.eye(2)])
def test_too_few_clusters_and_no_variance_have_a_reason(covariance: np.ndarray) -> None:
    told = joint_test(np.ones(2), covariance, 3)
    assert told["p_value"] is None
    assert "too few" in told["reason"]
