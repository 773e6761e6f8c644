import numpy as np
import pytest

from cqox.estimators.numerics.quasi_newton import ITERATIONS, LONGEST_STEP, QuasiNewton, reach

RNG = np.random.default_rng(4)
Z = np.column_stack([np.ones(400), RNG.standard_normal((400, 2))])
PRODUCTS = Z.T @ Z


def test_the_reach_is_the_root_mean_square_of_the_linear_combination():
    coefficients = np.random.default_rng(1).standard_normal((3, 3))
    expected = np.sqrt(np.mean((coefficients @ Z.T) ** 2, axis=1))
    np.testing.assert_allclose(reach(coefficients, PRODUCTS), expected, rtol=1e-12)


def test_quadratics_with_their_exact_inverse_take_one_step_from_nearby():
    peaks = np.array([[0.3, -0.2, 0.5], [1.0, 0.4, -0.1]])
    start = np.zeros((2, 3))
    solver = QuasiNewton(start, np.stack([np.linalg.inv(PRODUCTS)] * 2), PRODUCTS)
    passes = 0

    def gradients() -> np.ndarray:
        nonlocal passes
        passes += 1
        return (peaks - solver.coefficients) @ PRODUCTS

    assert solver.run(gradients, lambda: solver.inverses, 1e-8)
    np.testing.assert_allclose(solver.coefficients, peaks, atol=1e-10)
    assert passes == 2


def poisson(start: float) -> tuple[QuasiNewton, np.ndarray, bool]:
    """Poisson regressions of two outcomes, with a poor initial information."""
    rng = np.random.default_rng(5)
    y = np.stack([rng.poisson(2.0, 400), rng.poisson(np.exp(0.5 * Z[:, 1]))])
    solver = QuasiNewton(np.full((2, 3), start), np.stack([np.eye(3) / 400] * 2), PRODUCTS)

    def gradients() -> np.ndarray:
        return (y - np.exp(solver.coefficients @ Z.T)) @ Z

    def inverses() -> np.ndarray:
        mean = np.exp(solver.coefficients @ Z.T)
        return np.stack([np.linalg.inv((Z * each[:, None]).T @ Z) for each in mean])

    return solver, y, solver.run(gradients, inverses, 1e-9)


@pytest.mark.parametrize("start", [0.0, 1.5])
def test_fits_converge_from_a_poor_information_and_from_steps_that_overshoot(start: float):
    solver, y, converged = poisson(start)
    assert converged
    for found, outcome in zip(solver.coefficients, y, strict=True):
        beta = np.zeros(3)
        for _ in range(50):  # Newton's method
            mean = np.exp(Z @ beta)
            beta += np.linalg.solve((Z * mean[:, None]).T @ Z, Z.T @ (outcome - mean))
        np.testing.assert_allclose(found, beta, rtol=1e-7, atol=1e-9)


def test_the_information_that_the_steps_imply_is_symmetric_and_near_the_true_one():
    solver, _, _ = poisson(0.0)
    implied = solver.information()
    mean = np.exp(solver.coefficients[0] @ Z.T)
    np.testing.assert_array_equal(implied, implied.T)
    np.testing.assert_allclose(implied, (Z * mean[:, None]).T @ Z, rtol=0.3, atol=60)


def test_a_likelihood_without_a_maximum_is_given_up_and_its_steps_are_bounded():
    solver = QuasiNewton(np.zeros((1, 3)), np.stack([np.eye(3) * 1e9]), PRODUCTS)
    ends = []

    def gradients() -> np.ndarray:
        ends.append(solver.coefficients.copy())
        return np.array([[1.0, 0.0, 0.0]])

    assert not solver.run(gradients, lambda: solver.inverses, 1e-8)
    assert len(ends) == ITERATIONS
    assert reach(ends[1] - ends[0], PRODUCTS)[0] == pytest.approx(LONGEST_STEP)


def test_each_fit_may_have_its_own_tolerance():
    solver = QuasiNewton(np.zeros((2, 3)), np.stack([0.9 * np.linalg.inv(PRODUCTS)] * 2), PRODUCTS)
    peaks, found = np.array([[0.3, -0.2, 0.5], [1.0, 0.4, -0.1]]), []

    def gradients() -> np.ndarray:
        found.append(np.abs((peaks - solver.coefficients) @ PRODUCTS).max(axis=1))
        return (peaks - solver.coefficients) @ PRODUCTS

    assert solver.run(gradients, lambda: solver.inverses, np.array([1e-9, 60.0]))
    assert found[-1][0] <= 1e-9
    # The looser tolerance alone would have ended it at the second pass.
    assert found[1][0] > 1e-9
    assert found[1][1] <= 60.0


def test_gradients_that_are_zero_at_the_start_need_no_pass():
    solver = QuasiNewton(np.ones((1, 3)), np.stack([np.eye(3)]), PRODUCTS)
    assert solver.run(lambda: pytest.fail("a pass"), lambda: solver.inverses, 1e-8, np.zeros((1, 3)))
    np.testing.assert_array_equal(solver.coefficients, np.ones((1, 3)))
