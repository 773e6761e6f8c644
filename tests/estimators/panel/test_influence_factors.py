import numpy as np

from cqox.estimators.panel.influence_factors import part_of

RIGHT = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [2.0, 1.0, 4.0]])
WEIGHTS = np.array([[0.5, 9.0, 0.25], [0.0, 9.0, -1.0]])
BY_SIZE = np.array([0.1, -0.3])


def test_combined_factors_times_right_are_the_weighted_effects_and_the_units_weights() -> None:
    left = np.array([[1.0, 0.0, 2.0], [-1.0, 0.5, 0.0]])
    part = part_of(np.array([0, 2]), left, RIGHT)
    written_out = WEIGHTS[:, [0, 2]] @ (left @ RIGHT) + np.outer(BY_SIZE, RIGHT[-1])
    np.testing.assert_allclose(part.combined(WEIGHTS, BY_SIZE) @ RIGHT, written_out, rtol=1e-15)


def test_without_a_left_factor_each_row_but_the_last_is_an_effect() -> None:
    part = part_of(np.array([0, 2]), None, RIGHT)
    written_out = WEIGHTS[:, [0, 2]] @ RIGHT[:-1] + np.outer(BY_SIZE, RIGHT[-1])
    np.testing.assert_allclose(part.combined(WEIGHTS, BY_SIZE) @ RIGHT, written_out, rtol=1e-15)


def test_cross_products_are_stored_only_where_they_are_small() -> None:
    few, many = (part_of(np.arange(rows - 1), None, np.ones((rows, 2))) for rows in (128, 129))
    assert few.square is not None
    assert (few.square == 2.0).all()
    assert many.square is None
