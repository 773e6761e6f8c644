from typing import Literal

import numpy as np
import pytest

from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.sample import Sample


def frame(x: np.ndarray, *, index: np.ndarray | None = None, weights: np.ndarray | None = None) -> Frame:
    n = len(x)
    sample = Sample(total=n, n=n if index is None else len(index), index=index)
    y = np.random.default_rng(1).standard_normal((n, 1))
    groups = {"x": (x, tuple(f"x{k}" for k in range(x.shape[1]))), "y": (y, ("y",))}
    return build_frame(sample, groups, weights=weights, block=100, threads=1)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -3e-7])
@pytest.mark.parametrize("n", [10, 777, 5000])
def test_a_constant_of_any_size_is_left_out_and_named(value: float, n: int):
    x = np.column_stack([np.random.default_rng(0).standard_normal(n), np.full(n, value)])
    built = frame(x)
    assert built.dropped == ("x1",)
    assert "never vary" in built.notes[0]
    assert built.matrix.shape == (3, n)


def test_a_column_that_varies_where_the_stride_does_not_look_is_kept():
    x = np.zeros((20_000, 1))
    x[7, 0] = 1.0
    assert frame(x).dropped == ()


def test_a_small_variation_on_a_large_level_is_kept():
    x = 1e6 + 1e-3 * np.random.default_rng(0).standard_normal((2000, 1))
    assert frame(x).dropped == ()


def test_standardised_columns_give_back_their_raw_values():
    x = np.random.default_rng(0).standard_normal((500, 3)) * [1, 1e5, 1e-5] + [0, 1e6, 3]
    built = frame(x)
    np.testing.assert_allclose(built.centre[1:4] + built.scale[1:4] * built.matrix[1:4].T, x, rtol=1e-12)
    assert np.abs(built.matrix[1:4].mean(axis=1)).max() < 0.2


def test_rows_outside_the_sample_are_not_seen():
    x = np.random.default_rng(0).standard_normal((300, 2))
    x[5] = np.nan
    index = np.setdiff1d(np.arange(300), [5])
    built = frame(x, index=index)
    assert built.n == 299
    assert np.isfinite(built.products).all()
    np.testing.assert_allclose(built.products, built.matrix @ built.matrix.T, atol=1e-10)


def test_sampling_weights_are_scaled_to_a_mean_of_one():
    weights = np.random.default_rng(0).uniform(1, 100, 300)
    built = frame(np.random.default_rng(0).standard_normal((300, 2)), weights=weights)
    assert built.weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(built.products, (built.matrix * built.weights) @ built.matrix.T, atol=1e-10)


def test_places_follow_the_columns_that_stay():
    x = np.random.default_rng(0).standard_normal((300, 4))
    x[:, 1] = x[:, 0] * 2
    built = frame(x)
    assert built.labels == ("(intercept)", "x0", "x2", "x3", "y")
    assert built.at["x"] == slice(0, 4)
    assert built.column("y") == 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_long_rows_are_standardised_and_crossed_by_group_in_either_memory_order(
    order: Literal["C", "F"], missing: bool, weighted: bool
):
    rng = np.random.default_rng(2)
    x = np.asarray(rng.standard_normal((1300, 40)) * rng.uniform(1e-3, 1e3, 40) + rng.uniform(-1e5, 1e5, 40))
    x[:, 7] = 3.0
    y, weights = rng.standard_normal((1300, 1)), rng.uniform(0.5, 2.0, 1300) if weighted else None
    index = np.setdiff1d(np.arange(1300), [4, 700]) if missing else None
    used = np.arange(1300) if index is None else index
    codes = rng.integers(0, 6, len(used)).astype(np.uint8)
    groups = {"x": (np.asarray(x, order=order), tuple(f"x{k}" for k in range(40))), "y": (y, ("y",))}
    sample = Sample(total=1300, n=len(used), index=index)
    built = build_frame(sample, groups, weights=weights, block=700, threads=1, within=(codes, 6))
    alone = build_frame(sample, groups, weights=weights, block=700, threads=1)
    np.testing.assert_array_equal(alone.matrix, built.matrix)
    np.testing.assert_allclose(alone.products, built.products, atol=1e-9)
    assert built.dropped == ("x7",)
    raw = np.column_stack([np.ones(1300), np.delete(x, 7, axis=1), y])[used]
    np.testing.assert_allclose(built.centre + built.scale * built.matrix.T, raw, rtol=1e-12, atol=1e-9)
    products, counts = built.grouped
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=6))
    for group in range(6):
        own = built.matrix[:, codes == group]
        weight = 1.0 if weights is None else built.weights[codes == group]
        np.testing.assert_allclose(products[group], own * weight @ own.T, atol=1e-9)
