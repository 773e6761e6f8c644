from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.rd.local_polynomial import Side, clustered_by_side


def side(distance: Vector, *values: Vector, weights: Vector | None = None) -> Side:
    order = np.argsort(distance, kind="stable")
    distance = distance[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(distance)) + 1])
    return Side(
        rows=order, distance=distance, values=np.stack([each[order] for each in values]),
        weights=None if weights is None else weights[order], codes=None, starts=starts, tolerance=1e-12,
    )  # fmt: skip


def one_side(n: int = 200, seed: int = 0) -> Side:
    rng = np.random.default_rng(seed)
    distance = rng.uniform(0, 3, n)
    return side(distance, np.cos(distance) + rng.standard_normal(n), rng.standard_normal(n))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_a_fit_is_weighted_least_squares(order: int) -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    sampling = rng.uniform(0.5, 2, 300)
    rows = side(rng.uniform(0, 3, 300), rng.standard_normal(300), weights=sampling)
    window = rows.window(1.3)
    powers = window.t[:, None] ** np.arange(order + 1)
    kernel = (1 - window.t) * rows.weights[: window.n]
    peer = sm.WLS(rows.values[0, : window.n], powers, weights=kernel).fit()
    fit = window.fit(order)
    np.testing.assert_allclose([fit.power(nu)[0] for nu in range(order + 1)], peer.params, rtol=1e-9, atol=1e-11)
    for nu in range(order + 1):
        value = window.estimator(fit, nu) @ rows.values[0, : window.n]
        assert value == pytest.approx(peer.params[nu], rel=1e-9, abs=1e-11)
    np.testing.assert_allclose(window.fitted(fit, np.array([1.0])), peer.fittedvalues, rtol=1e-9, atol=1e-10)


def test_a_side_that_ends_early_within_a_bandwidth_keeps_its_digits() -> None:
    rng = np.random.default_rng(4)
    distance = rng.uniform(0, 1e-3, 500)
    coefficients = np.array([1.0, -2e2, 3e5, 4e8, -5e11])
    rows = side(distance, np.polynomial.polynomial.polyval(distance, coefficients))
    window = rows.window(1.0)
    found = [window.fit(4).power(nu)[0] for nu in range(5)]
    np.testing.assert_allclose(found, coefficients, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
def test_weights_are_those_of_the_kernel_and_only_the_uniform_one_holds_rows_at_the_bandwidth(kernel: str) -> None:
    rows = replace(side(np.linspace(0, 2, 21), np.ones(21)), kernel=kernel)
    window = rows.window(1.0, 15)
    u = np.linspace(0, 1.4, 15)
    wanted = {"triangular": 1 - u, "epanechnikov": 1 - u**2, "uniform": np.ones(15)}[kernel] * (u <= 1 + 1e-9)
    np.testing.assert_allclose(window.weights, wanted, atol=1e-12)
    assert window.inside == (11 if kernel == "uniform" else 10)
    held = rows.holding(4)
    assert rows.distinct(rows.within(held)) == 4


def brute_residual(distance: Vector, values: Vector, wanted: int) -> Vector:
    """Each value less the mean of the nearest others, all of those as near as the last."""
    found = np.empty(len(values))
    for row, here in enumerate(distance):
        apart = np.abs(distance - here)
        apart[row] = np.inf
        near = apart <= np.sort(apart)[wanted - 1] + 1e-12
        found[row] = np.sqrt(near.sum() / (near.sum() + 1)) * (values[row] - values[near].mean())
    return found


@pytest.mark.parametrize("decimals", [None, 2, 1, 0])
def test_nearest_neighbours_are_those_that_a_search_through_all_rows_finds(decimals: int | None) -> None:
    rng = np.random.default_rng(5)
    distance = rng.uniform(0, 5, 150)
    distance = distance if decimals is None else np.round(distance, decimals)
    rows = side(distance, rng.standard_normal(150))
    window = rows.window(4.3)
    residuals = window.residuals("NN", np.array([1.0]), window.fit(1))
    expected = brute_residual(rows.distance[: window.n], rows.values[0, : window.n], 3)
    np.testing.assert_allclose(residuals, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_corrected_residuals_are_those_of_statsmodels(kind: str) -> None:
    import statsmodels.api as sm

    rows = one_side()
    window = rows.window(1.0)
    fit = window.fit(2)
    design = window.t[:, None] ** np.arange(3)
    peer = sm.WLS(rows.values[0, : window.n], design, weights=window.weights).fit()
    parts = window.estimator(fit, 0) * window.residuals(kind, np.array([1.0, 0.0]), fit)
    assert np.sqrt(parts @ parts) == pytest.approx(getattr(peer, f"{kind}_se")[0], rel=1e-9)


def test_values_are_partialled_by_the_polynomial() -> None:
    rows = one_side()
    window = rows.window(2.0)
    root = np.sqrt(window.weights)
    design, values = window.t[:, None] ** np.arange(2) * root[:, None], rows.values[:, : window.n].T * root[:, None]
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    np.testing.assert_allclose(window.fit(1).partialled, left.T @ left, rtol=1e-9)


def test_too_few_distinct_values_are_reported() -> None:
    rows = side(np.repeat([0.1, 0.2, 0.3], 20), np.arange(60.0))
    assert rows.window(1.0).fit(2).order == 2
    with pytest.raises(UnusableData, match="at least 4 distinct values"):
        rows.window(1.0).fit(3)


def test_clusters_of_a_side_count_rows_and_groups() -> None:
    parts, codes = np.array([1.0, 2.0, -1.0, 3.0]), np.array([5, 5, 9, 2])
    assert clustered_by_side(parts, codes, 4, 2) == pytest.approx((9 + 1 + 9) * 3 / 2 * 3 / 2)


@pytest.mark.parametrize(("distinct", "bandwidth"), [(1, 0.2), (2, 0.3), (3, 1.25 * 0.3), (9, 1.25 * 0.3)])
def test_a_bandwidth_gives_weight_to_so_many_distinct_values(distinct: int, bandwidth: float) -> None:
    rows = side(np.repeat([0.1, 0.2, 0.3], 4), np.arange(12.0))
    assert rows.holding(distinct) == pytest.approx(bandwidth)
    assert rows.distinct(rows.within(rows.holding(distinct))) == min(distinct, 3)


def test_some_rows_of_a_side_are_a_side_of_their_own() -> None:
    rng = np.random.default_rng(5)
    distance, y, w = np.round(rng.uniform(0, 3, 120), 1), rng.standard_normal(120), rng.uniform(0.5, 2, 120)
    whole = side(distance, y, weights=w)
    kept = rng.random(120) < 0.4
    some, rows = whole.only(kept), whole.rows[kept]
    alone = side(distance[rows], y[rows], weights=w[rows])
    assert (some.rows.tolist(), some.starts.tolist()) == (rows.tolist(), alone.starts.tolist())
    np.testing.assert_array_equal(some.distance, alone.distance)
    np.testing.assert_allclose(some.window(2.0).fit(1).coefficients, alone.window(2.0).fit(1).coefficients)
