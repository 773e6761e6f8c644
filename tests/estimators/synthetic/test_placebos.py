from itertools import combinations
from math import comb

import numpy as np
import pytest

from cqox.estimators.synthetic import placebos
from cqox.estimators.synthetic.placebos import conformal, placebo_groups, placebos_in_space, root_mean_square

BEFORE = 9


def equal(donors: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Equal weights, which do not depend on the target, so that a test can be inverted by hand."""
    return np.full(len(donors), 1 / len(donors))


def series(after: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((4, BEFORE + after)), rng.standard_normal(BEFORE + after)


def test_the_root_mean_square_is_that_of_its_name() -> None:
    assert root_mean_square(np.array([3.0, -4.0])) == pytest.approx(np.sqrt(12.5))


def test_single_donors_are_all_placebos_or_a_random_choice_of_so_many() -> None:
    rng = np.random.default_rng(0)
    assert [group.tolist() for group in placebo_groups(4, 1, 10, rng)] == [[0], [1], [2], [3]]
    some = [int(group[0]) for group in placebo_groups(50, 1, 10, rng)]
    assert len(set(some)) == 10
    assert some == sorted(some)


def test_groups_are_distinct_donors_and_leave_two_others() -> None:
    rng = np.random.default_rng(0)
    groups = placebo_groups(6, 3, 1_000, rng)
    assert sorted(tuple(group.tolist()) for group in groups) == sorted(combinations(range(6), 3))
    some = placebo_groups(12, 3, 200, rng)
    assert len({tuple(group.tolist()) for group in some}) == 200 < comb(12, 3)
    assert all(len(set(group.tolist())) == 3 for group in groups)
    assert len(placebo_groups(6, 3, 7, rng)) == 7
    assert placebo_groups(4, 3, 5, rng) == []
    assert placebo_groups(2, 1, 5, rng) == []


def test_a_placebos_gap_is_to_the_weighted_others_fitted_before_the_start() -> None:
    donors, _ = series()
    seen = []

    def weigh(others: np.ndarray, target: np.ndarray) -> np.ndarray:
        seen.append((others, target))
        return np.array([0.75, 0.25])

    (found,) = placebos_in_space(donors, BEFORE, [np.array([0, 2])], weigh)
    mean = (donors[0] + donors[2]) / 2
    np.testing.assert_allclose(found.gaps, mean - 0.75 * donors[1] - 0.25 * donors[3])
    np.testing.assert_array_equal(seen[0][0], donors[[1, 3], :BEFORE])
    np.testing.assert_array_equal(seen[0][1], mean[:BEFORE])
    assert placebos_in_space(donors, BEFORE, [], equal) == ()


@pytest.mark.parametrize(("alpha", "rejecting"), [(0.1, 1), (0.2, 2), (0.35, 3)])
def test_the_interval_of_the_average_effect_ends_at_a_ranked_residual(alpha: float, rejecting: int) -> None:
    donors, target = series()
    gaps = target - donors.mean(axis=0)
    centre = float(gaps[BEFORE:].mean())
    found = conformal(donors, target, BEFORE, equal, centre=centre, alpha=alpha, seed=0)
    # An effect is rejected if its residual is among so many largest of the ten.
    half = np.sort(np.abs(gaps[:BEFORE]))[-rejecting]
    assert (found.lower, found.upper) == pytest.approx((centre - half, centre + half), abs=1e-3)
    assert found.p_value == pytest.approx((1 + np.count_nonzero(np.abs(gaps[:BEFORE]) >= abs(centre))) / 10)
    assert (found.orders, found.method.code) == (10, "synthetic.average-effect")


def test_with_few_periods_the_interval_holds_what_the_strictest_rank_and_random_sums_allow() -> None:
    donors, target = series(after=2)
    gaps = target - donors.mean(axis=0)
    centre = float(gaps[BEFORE:].mean())
    strictest = conformal(donors, target, BEFORE, equal, centre=centre, alpha=0.1, seed=3)
    found = conformal(donors, target, BEFORE, equal, centre=centre, alpha=0.05, seed=3)
    assert found.method.code == "synthetic.constant-effect"
    assert -np.inf < found.lower <= strictest.lower < strictest.upper <= found.upper < np.inf
    # All pairs of periods instead of random ones: near the share of a few thousand draws.
    exact = np.mean([abs(gaps[list(pair)].sum()) >= abs(gaps[-2:].sum()) - 1e-9 for pair in combinations(range(11), 2)])
    assert found.p_value == pytest.approx(max(exact, strictest.p_value), abs=0.04)
    again = conformal(donors, target, BEFORE, equal, centre=centre, alpha=0.05, seed=3)
    assert (again.lower, again.upper, again.p_value) == (found.lower, found.upper, found.p_value)


def test_where_no_effect_is_ever_rejected_the_interval_is_infinite() -> None:
    def perfect(donors: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(donors.T, target, rcond=None)[0]

    target = np.random.default_rng(1).standard_normal(BEFORE + 1)
    found = conformal(np.eye(BEFORE + 1), target, BEFORE, perfect, centre=0.0, alpha=0.2, seed=0)
    assert (found.lower, found.upper) == (-np.inf, np.inf)


def test_held_out_periods_are_predicted_by_weights_fitted_without_them() -> None:
    donors, target = series()

    def flexible(others: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(others.T, own, rcond=None)[0]

    missed = []
    for period in range(BEFORE):
        rest = np.delete(np.arange(BEFORE), period)
        missed.append(abs(target[period] - flexible(donors[:, rest], target[rest]) @ donors[:, period]))
    found = conformal(donors, target, BEFORE, flexible, centre=0.5, alpha=0.2, seed=0, held_out=True)
    half = np.sort(missed)[-2]
    assert (found.lower, found.upper) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.p_value == pytest.approx((1 + np.count_nonzero(np.array(missed) >= 0.5)) / 10)
    assert found.method.code == "synthetic.held-out-periods"


def test_no_more_than_the_limit_of_periods_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placebos, "_MOST_HELD_OUT", 4)
    donors, target = series()
    found = conformal(donors, target, BEFORE, equal, centre=0.0, alpha=0.3, seed=0, held_out=True)
    assert (found.orders, found.p_value) == (5, 1.0)
