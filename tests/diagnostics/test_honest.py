import numpy as np
import pytest
from scipy import optimize, stats

from cqox.diagnostics.honest import honest_bounds

DELTAS = np.array([0.3, -0.5, 0.2])
SMALL = 1e-14 * np.eye(3)


def exact(value: float, reach: list[int]) -> dict[str, object]:
    """Bounds without noise: the identified set."""
    return honest_bounds((DELTAS, SMALL), (value, np.zeros(3), 1e-14), reach, alpha=0.05, degrees=None)


def widest(value: float, reach: list[int], m: float) -> tuple[float, float]:
    """The set by linear programming over the changes of the difference in trends after treatment."""
    steps = max(reach)
    mean = np.tril(np.ones((steps, steps)))[np.asarray(reach) - 1].mean(axis=0)
    limit = m * np.abs(DELTAS).max()
    ends = [sign * optimize.linprog(sign * mean, bounds=[(-limit, limit)] * steps).fun for sign in (1.0, -1.0)]
    return value - ends[1], value - ends[0]


def bent(reach: list[int], slope: float, m: float) -> tuple[float, float]:
    """The least and the largest mean difference in trends that goes on from a slope and bends by at most m a step."""
    steps = max(reach)
    mean = np.tril(np.ones((steps, steps)))[np.asarray(reach) - 1].mean(axis=0)
    bend = np.eye(steps) - np.eye(steps, k=-1)
    last = np.zeros(steps)
    last[0] = slope
    right = np.concatenate([m + last, m - last])
    rows = np.vstack([bend, -bend])
    ends = [
        sign * optimize.linprog(sign * mean, A_ub=rows, b_ub=right, bounds=[(None, None)] * steps).fun
        for sign in (1.0, -1.0)
    ]
    return ends[0], ends[1]


@pytest.mark.parametrize("reach", [[1], [1, 2, 3], [2, 3]])
def test_relative_magnitudes_without_noise_are_the_identified_set(reach: list[int]) -> None:
    for row in exact(4.0, reach)["relative_magnitudes"]:
        assert (row["lower"], row["upper"]) == pytest.approx(widest(4.0, reach, row["m"]), abs=1e-5)


@pytest.mark.parametrize("reach", [[1], [1, 2, 3]])
def test_smoothness_extrapolates_the_trend_and_is_as_wide_as_what_it_may_bend(reach: list[int]) -> None:
    steady = np.full(3, 0.2)
    reported = honest_bounds((steady, SMALL), (4.0, np.zeros(3), 1.0), reach, alpha=0.05, degrees=None)["smoothness"]
    for row in reported:
        assert (row["lower"] + row["upper"]) / 2 == pytest.approx(4.0 - 0.2 * np.mean(reach), abs=1e-6)
        low, high = bent(reach, 0.2, row["m"])
        assert row["lower"] < 4.0 - high
        assert 4.0 - low < row["upper"]
    half = (reported[0]["upper"] - reported[0]["lower"]) / 2
    assert half == pytest.approx(stats.norm.ppf(0.975), abs=1e-6)


def test_the_breakdown_is_where_the_interval_reaches_zero() -> None:
    reported = exact(1.0, [1])
    assert reported["breakdown"] == pytest.approx(1.0 / 0.5, abs=1e-5)
    assert exact(1.0, [1, 3])["breakdown"] == pytest.approx(1.0 / (0.5 * 2), abs=1e-5)
    assert exact(1e9, [1])["breakdown"] is None
    noisy = honest_bounds((DELTAS, np.eye(3)), (1.0, np.zeros(3), 1.0), [1], alpha=0.05, degrees=None)
    assert noisy["breakdown"] == 0.0


def test_no_departure_is_the_plain_interval_by_t() -> None:
    reported = honest_bounds((DELTAS, np.eye(3)), (1.0, np.zeros(3), 4.0), [1], alpha=0.1, degrees=12.0)
    half = 2 * stats.t.ppf(0.95, 12)
    row = reported["relative_magnitudes"][0]
    assert (row["lower"], row["upper"]) == pytest.approx((1 - half, 1 + half))


def test_an_interval_of_fixed_length_covers_at_its_worst_bias() -> None:
    reported = honest_bounds((np.zeros(1), 1e-20 * np.eye(1)), (0.0, np.zeros(1), 1.0), [1], alpha=0.05, degrees=None)
    for row in reported["smoothness"]:
        half = (row["upper"] - row["lower"]) / 2
        assert stats.norm.cdf(half - row["m"]) - stats.norm.cdf(-half - row["m"]) == pytest.approx(0.95, abs=1e-6)
