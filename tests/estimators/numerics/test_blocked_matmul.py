"""Products strip by strip are the products."""

import numpy as np
import pytest

from cqox.estimators.numerics.blocked_matmul import combined, cross, squares

ROWS = (1, 511, 2047, 2048, 2049, 5000)


def _block(variables: int, rows: int) -> np.ndarray:
    """Part of a wider matrix, as the blocks of a pass are."""
    return np.random.default_rng(rows).standard_normal((variables, rows + 9))[:, 3 : rows + 3]


@pytest.mark.parametrize("rows", ROWS)
def test_products_of_two_blocks(rows: int):
    left, right = _block(3, rows), _block(5, rows)
    np.testing.assert_allclose(cross(left, right), left @ right.T, rtol=1e-12, atol=1e-12 * rows)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("variables", [1, 2, 24, 25])
def test_products_of_a_block_with_itself_are_symmetric(variables: int, rows: int):
    block = _block(variables, rows)
    found = squares(block)
    np.testing.assert_allclose(found, block @ block.T, rtol=1e-12, atol=1e-12 * rows)
    np.testing.assert_allclose(found, found.T, rtol=1e-13, atol=1e-13 * rows)


@pytest.mark.parametrize("rows", ROWS)
def test_combinations_go_where_they_are_wanted(rows: int):
    coefficients, block = np.random.default_rng(1).standard_normal((2, 4)), _block(4, rows)
    place = np.full((2, rows), np.nan)
    assert combined(coefficients, block, place) is place
    np.testing.assert_allclose(place, coefficients @ block, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(combined(coefficients, block), place, rtol=0, atol=0)
