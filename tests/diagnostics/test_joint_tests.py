import numpy as np
import pytest
from scipy import stats

from cqox.diagnostics.joint_tests import joint_test, supported


def test_the_p_value_is_that_of_hotellings_test() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((25, 3)) + 0.3
    covariance = np.cov(rows.T) / 25
    reported = joint_test(rows.mean(axis=0), covariance, 24)
    squared = rows.mean(axis=0) @ np.linalg.solve(covariance, rows.mean(axis=0))
    assert reported["statistic"] == pytest.approx(squared)
    assert reported["p_value"] == pytest.approx(stats.f.sf(squared * 22 / (3 * 24), 3, 22))


def test_the_detectable_slope_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((3, 3))
    covariance, trend = root @ root.T / 30, np.array([-3.0, -2.0, -1.0])
    slope = joint_test(np.zeros(3), covariance, 29, trend)["detectable_slope"]
    found = 0
    for _ in range(4000):
        rows = rng.standard_normal((30, 3)) @ root.T + slope * trend
        found += joint_test(rows.mean(axis=0), np.cov(rows.T) / 30, 29)["p_value"] < 0.05
    assert found / 4000 == pytest.approx(0.8, abs=0.025)


def test_estimates_that_repeat_each_other_count_once() -> None:
    covariance = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert joint_test(np.array([2.0, 2.0]), covariance, 1000)["degrees"] == 1


@pytest.mark.parametrize("covariance", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.eye(2)])
def test_too_few_clusters_and_no_variance_have_a_reason(covariance: np.ndarray) -> None:
    reported = joint_test(np.ones(2), covariance, 2)
    assert reported["p_value"] is None
    assert "too few" in reported["reason"]


def test_the_degrees_of_one_estimate_are_welchs() -> None:
    sizes = np.array([3.0, 40.0])
    held, degrees = supported((1 / sizes)[:, None], sizes - 1)
    assert held == 1
    assert degrees == pytest.approx((1 / sizes).sum() ** 2 / np.sum(1 / sizes**2 / (sizes - 1)))


def test_no_more_is_tested_than_the_smallest_groups_identify() -> None:
    degrees = np.array([1.0, 19.0, 200.0])
    support = np.array([[0.5, 0.02, 0.02], [0.0, 0.05, 0.05], [0.005, 0.005, 0.005]])
    assert supported(support, degrees)[0] == 2
    assert supported(support[:, :1], degrees)[0] == 0
    assert supported(np.empty((3, 0)), degrees) == (0, 0.0)


def test_the_level_is_kept_where_groups_are_of_very_different_size() -> None:
    rng = np.random.default_rng(2)
    support, degrees = np.array([[1 / 5] * 2, [1 / 40] * 2]), np.array([4.0, 39.0])
    held, rest = supported(support, degrees)
    rejected = 0
    for _ in range(3000):
        groups = rng.standard_normal((5, held)), rng.standard_normal((40, held))
        covariance = sum(np.cov(group.T) / len(group) for group in groups)
        rejected += joint_test(groups[0].mean(axis=0) - groups[1].mean(axis=0), covariance, rest)["p_value"] < 0.05
    assert held == 2
    assert rejected / 3000 < 0.07
