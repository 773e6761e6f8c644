import numpy as np
import pytest
from scipy.optimize import minimize

from cqox.estimators.numerics.simplex import nearest_in_simplex

SHAPES = [(19, 38, 3.0), (19, 38, 0.0), (5, 200, 0.0), (3, 40, 0.0), (5, 900, 2.0), (200, 30, 1.0), (30, 900, 1.0)]


def program(rows: int, count: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((rows, 3))
    columns = factors @ rng.standard_normal((3, count)) + 0.3 * rng.standard_normal((rows, count))
    return columns, factors @ rng.standard_normal(3) + 0.3 * rng.standard_normal(rows) + shift


@pytest.mark.parametrize(("rows", "count", "shift"), SHAPES)
@pytest.mark.parametrize("ridge", [0.0, 1.0])
def test_no_vertex_is_better_than_the_answer(rows: int, count: int, shift: float, ridge: float):
    for seed in range(5):
        columns, target = program(rows, count, shift, seed)
        found = nearest_in_simplex(columns, target, ridge=ridge)
        assert found.gap < 1e-10
        assert found.weights.min() >= 0
        assert found.weights.sum() == pytest.approx(1, abs=1e-12)


def test_the_answer_is_that_of_a_general_solver():
    columns, target = program(12, 8, 0.2, seed=1)
    found = nearest_in_simplex(columns, target, ridge=0.5)
    peer = minimize(
        lambda w: np.sum((columns @ w - target) ** 2) + 0.5 * w @ w, np.full(8, 1 / 8), method="SLSQP",
        bounds=[(0, 1)] * 8, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-15},
    )  # fmt: skip
    np.testing.assert_allclose(found.weights, peer.x, atol=1e-5)


def test_any_order_of_the_columns_gives_the_same_weights():
    columns, target = program(3, 60, 0.0, seed=2)
    order = np.random.default_rng(3).permutation(60)
    left, right = nearest_in_simplex(columns, target), nearest_in_simplex(columns[:, order], target)
    np.testing.assert_allclose(right.weights, left.weights[order], atol=1e-6)


def test_columns_that_are_all_alike_share_the_weight():
    assert nearest_in_simplex(np.ones((4, 3)), np.ones(4)).weights == pytest.approx(np.full(3, 1 / 3))
    assert nearest_in_simplex(np.ones((4, 3)), np.zeros(4)).weights == pytest.approx(np.full(3, 1 / 3))


def test_a_column_that_is_the_target_has_all_the_weight():
    columns, _ = program(20, 9, 0.0, seed=4)
    assert nearest_in_simplex(columns, columns[:, 5]).weights[5] == pytest.approx(1, abs=1e-6)


def test_one_column_needs_no_choice():
    assert nearest_in_simplex(np.ones((2, 1)), np.zeros(2)).weights == pytest.approx([1.0])
