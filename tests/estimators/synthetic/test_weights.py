import numpy as np
import pytest
from scipy.optimize import minimize

from cqox.estimators.synthetic.weights import (
    DoubleWeights,
    Penalties,
    augmented_weights,
    cross_validated_ridge,
    double_difference,
    double_weights,
    penalties,
    simplex_weights,
)

RNG = np.random.default_rng(0)
DONORS, TARGET = RNG.standard_normal((5, 9)), RNG.standard_normal(9)


def least(matrix: np.ndarray, target: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """Simplex weights of the rows nearest to a target, by a general minimiser."""
    found = minimize(
        lambda w: np.sum((target - w @ matrix) ** 2) + ridge * w @ w,
        np.full(len(matrix), 1 / len(matrix)),
        jac=lambda w: -2 * matrix @ (target - w @ matrix) + 2 * ridge * w,
        bounds=[(0, 1)] * len(matrix),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x


def test_simplex_weights_are_nearest_to_the_target() -> None:
    np.testing.assert_allclose(simplex_weights(DONORS, TARGET), least(DONORS, TARGET), atol=1e-6)
    mixture = np.array([0.2, 0.0, 0.5, 0.3, 0.0])
    np.testing.assert_allclose(simplex_weights(DONORS, mixture @ DONORS), mixture, atol=1e-7)


@pytest.mark.parametrize("periods", [9, 3])
def test_augmented_weights_are_the_ridge_formula_with_few_and_with_many_donors(periods: int) -> None:
    donors, target = DONORS[:, :periods], TARGET[:periods]
    plain = least(donors, target)
    centred = donors - donors.mean(axis=0)
    added = (target - plain @ donors) @ np.linalg.inv(centred.T @ centred + 0.7 * np.eye(periods)) @ centred.T
    found = augmented_weights(donors, target, 0.7)
    np.testing.assert_allclose(found, plain + added, atol=1e-5)
    assert found.sum() == pytest.approx(1)


def test_without_ridge_the_augmented_fit_is_exact_and_with_much_it_is_the_simplex_one() -> None:
    donors, target = DONORS[:, :3], TARGET[:3]
    np.testing.assert_allclose(augmented_weights(donors, target, 1e-12) @ donors, target, atol=1e-6)
    np.testing.assert_allclose(augmented_weights(donors, target, 1e12), simplex_weights(donors, target), atol=1e-9)


def test_the_ridge_is_the_largest_within_a_standard_error_of_the_least_error() -> None:
    target = 2.0 * DONORS[0] - 0.5 * DONORS[1] + 0.8 * TARGET
    largest = np.linalg.svd(DONORS - DONORS.mean(axis=0), compute_uv=False)[0] ** 2
    ridges = [largest * 1e-8 ** (step / 20) for step in range(21)]
    squares = np.empty((9, 21))
    for period in range(9):
        others = np.delete(np.arange(9), period)
        for at, ridge in enumerate(ridges):
            weights = augmented_weights(DONORS[:, others], target[others], ridge)
            squares[period, at] = (target[period] - weights @ DONORS[:, period]) ** 2
    means = squares.mean(axis=0)
    best = means.argmin()
    limit = means[best] + squares[:, best].std(ddof=1) / 3
    expected = next(ridge for ridge, mean in zip(ridges, means, strict=True) if mean <= limit)
    assert expected > ridges[best]
    assert cross_validated_ridge(DONORS, target) == pytest.approx(expected, rel=1e-9)


def test_a_ridge_is_positive_where_nothing_can_be_held_out() -> None:
    assert cross_validated_ridge(np.ones((3, 6)), np.arange(6.0)) == 1.0
    assert cross_validated_ridge(np.array([[0.0, 1.0], [2.0, 1.0]]), np.zeros(2)) == pytest.approx(2.0)


def test_penalties_are_those_of_the_paper() -> None:
    steps = np.diff(DONORS[:, :6], axis=1)
    found = penalties(DONORS, 6, 4)
    assert found.noise == pytest.approx(np.std(steps, ddof=1))
    assert found.unit == pytest.approx((4 * 3) ** 0.25 * found.noise)
    assert found.time == pytest.approx(1e-6 * found.noise)
    assert penalties(DONORS[:1], 2, 1) == Penalties(unit=0.0, time=0.0, noise=0.0)


def test_double_weights_minimise_with_an_intercept_and_their_penalties() -> None:
    penalty = Penalties(unit=0.4, time=0.2, noise=1.0)
    found = double_weights(DONORS, TARGET, 6, penalty)
    past = DONORS[:, :6]
    level = past - past.mean(axis=1, keepdims=True)
    unit = least(level, TARGET[:6] - TARGET[:6].mean(), 0.4**2 * 6)
    later = DONORS[:, 6:].mean(axis=1)
    time = least((past - past.mean(axis=0)).T, later - later.mean(), 0.2**2 * 5)
    np.testing.assert_allclose(found.unit, unit, atol=1e-6)
    np.testing.assert_allclose(found.time, time, atol=1e-6)


def test_the_double_difference_is_four_weighted_means_and_ignores_levels() -> None:
    weights = DoubleWeights(unit=np.array([0.5, 0.0, 0.25, 0.25, 0.0]), time=np.array([0.0, 0.0, 0.3, 0.0, 0.0, 0.7]))
    change = [path[6:].mean() - weights.time @ path[:6] for path in (TARGET, *DONORS)]
    found = double_difference(DONORS, TARGET, 6, weights)
    assert found == pytest.approx(change[0] - weights.unit @ change[1:])
    assert double_difference(DONORS + 3.0, TARGET - 8.0, 6, weights) == pytest.approx(found)
