import numpy as np
import pytest

from cqox.estimators.numerics.gram import grouped_gram_partial, grouped_rows_partial, independent, solve


def design(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(300), rng.standard_normal((300, 4))])


def test_all_columns_stay_where_none_repeats_another():
    x = design()
    np.testing.assert_array_equal(independent(x.T @ x), np.arange(5))


@pytest.mark.parametrize("place", [2, 5])
def test_of_columns_that_make_each_other_the_later_goes(place: int):
    x = design()
    x = np.insert(x, place, x[:, 1] * 2 - 1, axis=1)
    assert place not in independent(x.T @ x)
    assert len(independent(x.T @ x)) == 5


def test_an_empty_column_goes():
    x = np.column_stack([design(), np.zeros(300)])
    np.testing.assert_array_equal(independent(x.T @ x), np.arange(5))


def test_nearly_the_same_is_not_the_same():
    x = design()
    x = np.column_stack([x, x[:, 1] + 1e-3 * np.random.default_rng(1).standard_normal(300)])
    assert len(independent(x.T @ x)) == 6


def test_a_fit_equals_least_squares_and_leaves_zero_for_what_it_drops():
    x = np.insert(design(), 3, design()[:, 2], axis=1)
    y = np.random.default_rng(2).standard_normal((300, 2))
    fit = solve(x.T @ x, x.T @ y)
    np.testing.assert_allclose(x @ fit.coefficients, x @ np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-12)
    assert not fit.coefficients[3].any()
    assert not fit.inverse[3].any()


def test_no_columns_make_no_fit():
    fit = solve(np.empty((0, 0)), np.empty((0, 2)))
    assert fit.coefficients.shape == (0, 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("by_row", [False, True])
def test_cross_products_of_groups_are_those_of_their_rows_in_any_order(by_row: bool, in_order: bool, weighted: bool):
    x, rng = design().T, np.random.default_rng(3)
    codes = rng.integers(0, 3, x.shape[1])
    codes = np.sort(codes) if in_order else codes
    weights = rng.random(x.shape[1]) if weighted else None
    if by_row:
        products, counts = grouped_rows_partial(np.ascontiguousarray(x.T), weights, codes, 4)
    else:
        products, counts = grouped_gram_partial(x, weights, codes, 4)
    for group in range(4):
        own = x[:, codes == group]
        expected = own * (weights[codes == group] if weights is not None else 1.0) @ own.T
        np.testing.assert_allclose(products[group], expected, atol=1e-12)
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=4))
    np.testing.assert_array_equal(x, design().T)
