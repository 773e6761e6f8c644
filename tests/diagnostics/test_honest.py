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


def test_a_minimum_effect_moves_the_breakdown_alone() -> None:
    plain = exact(1.0, [1])
    shifted = honest_bounds((DELTAS, SMALL), (1.0, np.zeros(3), 1e-14), [1], alpha=0.05, degrees=None, minimum=0.4)
    assert shifted["breakdown"] == pytest.approx((1.0 - 0.4) / 0.5, abs=1e-5)
    assert shifted["relative_magnitudes"] == plain["relative_magnitudes"]


# Benzarti and Carloni (2019), four coefficients before and four after: BCdata_EventStudy of R's HonestDiD.
BETAS = np.array(
    [0.00669635180383921, 0.0293450336903334, -0.00647297222167253, 0.0730149894952774, 0.195961117744446,
     0.312063902616501, 0.239541545510292, 0.126042500138283]
)  # fmt: skip
UPPER = [
    0.000842835812363774, 0.00047686867765151, 0.000261805107584223, 0.000235422034165822, 0.000167637146660127,
    0.000112870766315609, 1.99281621462433e-05, -0.000136826536618173, 0.000642542028799653, 0.000398742500692606,
    0.00024355151981581, 0.000220196030568331, 0.00018045911565423, 3.84376508009154e-05, -2.96042198897339e-05,
    0.000522994960192591, 0.000211768609005958, 0.000184072225238197, 0.000145852784044109, 7.00519740348682e-05,
    5.95299497945234e-05, 0.000308959541143849, 0.000119786607683636, 0.000133408131659962, 0.000101633500889875,
    0.000107905172626488, 0.000359970435965806, 0.000247881864197552, 0.000174957924173214, 0.000165425692102872,
    0.000426394981332123, 0.000217143780901097, 0.000289274787064642, 0.000488669786136597, 0.000380532204871997,
    0.000761739443987608,
]  # fmt: skip


def published(reach: list[int], *, noise: bool = True) -> dict[float, tuple[float, float]]:
    """Intervals by M of the mean of the first effects, from the published coefficients."""
    sigma = np.zeros((8, 8))
    sigma[np.triu_indices(8)] = UPPER
    sigma = sigma + sigma.T - np.diag(np.diag(sigma)) if noise else 1e-16 * np.eye(8)
    steps, target = np.zeros((4, 8)), np.zeros(8)
    steps[:, :4] = np.eye(4, k=1) - np.eye(4)
    target[4 : 4 + len(reach)] = 1.0 / len(reach)
    found = honest_bounds(
        (steps @ BETAS, steps @ sigma @ steps.T), (target @ BETAS, steps @ sigma @ target, target @ sigma @ target),
        reach, alpha=0.05, degrees=None,
    )  # fmt: skip
    return {row["m"]: (row["lower"], row["upper"]) for row in found["relative_magnitudes"]}


def test_the_identified_sets_are_those_of_r() -> None:
    found = published([1, 2, 3, 4], noise=False)
    # HonestDiD 0.2.8: identified sets of the average effect.
    assert found[0.5] == pytest.approx((0.1190423143561929, 0.3177622186485678), abs=2e-6)
    assert found[1.0] == pytest.approx((0.01968236221000552, 0.4171221707947552), abs=2e-6)


@pytest.mark.parametrize(
    ("reach", "m", "lower", "upper"),
    [
        ([1], 0.5, 0.118889160931495, 0.270824190875899), ([1], 1.0, 0.0672312507503984, 0.317924050158664),
        ([1, 2, 3, 4], 0.5, 0.06775439808538886, 0.3691913893670205),
        ([1, 2, 3, 4], 1.0, -0.06968617947647976, 0.506631966928889),
    ],
)  # fmt: skip
def test_the_intervals_contain_those_of_r_and_are_little_wider(
    reach: list[int], m: float, lower: float, upper: float
) -> None:
    # HonestDiD 0.2.8: Conditional for the first effect, C-LF for the average.
    low, high = published(reach)[m]
    assert low <= lower
    assert upper <= high
    assert high - low <= 1.12 * (upper - lower)
