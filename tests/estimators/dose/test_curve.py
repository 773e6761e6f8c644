import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.dose.curve import Curve, Local, covariance_of_curve, local_lines, plug_in_bandwidth
from cqox.estimators.inference.clusters import Clusters

N = 300


def drawn(*, weighted: bool = False, noise: float = 0.3) -> Curve:
    rng = np.random.default_rng(0)
    dose = np.sort(rng.standard_normal(N))
    weights = rng.uniform(0.5, 2, N) if weighted else np.ones(N)
    return Curve(order=rng.permutation(N), dose=dose, outcome=np.sin(2 * dose) + noise * rng.standard_normal(N),
                 weights=weights / weights.mean())  # fmt: skip


GRID = np.array([-0.8, -0.3, 0.0, 0.4, 1.5])


def parabola(curve: Curve, at: float, h: float, order: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the outcomes in the coefficients around a dose, and leverages of the rows."""
    u = (curve.dose - at) / h
    kernel, powers = curve.weights * np.maximum(1 - u**2, 0), np.vander(u, order + 1, increasing=True)
    estimator = np.linalg.inv((powers.T * kernel) @ powers) @ (powers.T * kernel)
    return estimator, np.einsum("ni,in->n", powers, estimator)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_local_fit_is_weighted_least_squares_with_epanechnikovs_kernel(weighted: bool) -> None:
    curve = drawn(weighted=weighted)
    for fit in local_lines(curve, GRID, 0.7):
        estimator, leverage = parabola(curve, fit.at, 0.7)
        line, _ = parabola(curve, fit.at, 0.7, 1)
        u = (curve.dose - fit.at) / 0.7
        left = curve.outcome - np.vander(u, 3, increasing=True) @ (estimator @ curve.outcome)
        inside = slice(fit.start, fit.stop)
        assert fit.value == pytest.approx(estimator[0] @ curve.outcome, rel=1e-9)
        assert fit.line == pytest.approx(line[0] @ curve.outcome, rel=1e-9)
        assert (np.flatnonzero(np.abs(u) < 1) == np.arange(N)[inside]).all()
        expected = estimator[0] * left / np.maximum(1 - leverage, 0.1)
        np.testing.assert_allclose(fit.contributions, expected[inside], rtol=1e-8, atol=1e-12)
        assert fit.effective == pytest.approx(1 / (estimator[0] ** 2).sum())


def test_a_parabola_has_no_bias_on_a_parabola_and_a_line_has() -> None:
    curve = drawn()
    bent = Curve(order=curve.order, dose=curve.dose, outcome=1 + curve.dose - 3 * curve.dose**2, weights=curve.weights)
    for fit in local_lines(bent, GRID, 0.7):
        assert fit.value == pytest.approx(1 + fit.at - 3 * fit.at**2, abs=1e-10)
        assert abs(fit.line - fit.value) > 0.1


def test_doses_with_fewer_than_three_values_near_are_refused() -> None:
    dose = np.repeat([0.0, 1.0, 5.0], 10)
    curve = Curve(order=np.arange(30), dose=dose, outcome=dose, weights=np.ones(30))
    with pytest.raises(UnusableData) as caught:
        local_lines(curve, np.array([0.5]), 2.0)
    assert caught.value.args[0].code == "dose.sparse-doses"


def test_the_bandwidth_is_the_plug_in_formula_of_a_global_quartic() -> None:
    curve = drawn(weighted=True)
    w, x, low, high = curve.weights, curve.dose, -1.0, 1.2
    spread = np.sqrt(np.average((x - np.average(x, weights=w)) ** 2, weights=w))
    quartic = np.polynomial.Polynomial.fit(x, curve.outcome, 4, w=np.sqrt(w))
    noise = np.average((curve.outcome - quartic(x)) ** 2, weights=w)
    inside = (x >= low) & (x <= high)
    bend = (w[inside] * quartic.deriv(2)(x[inside]) ** 2).sum()
    # 1.719 is the constant of Epanechnikov's kernel for the value of a line.
    expected = 1.719 * (noise * (high - low) / bend) ** 0.2
    assert plug_in_bandwidth(curve, low, high) == pytest.approx(expected, rel=1e-8)
    assert 1.2 < expected / (spread * N**-0.2) < 7.0


@pytest.mark.parametrize(("noise", "bound"), [(0.0, 1.2), (1e4, 7.0)])
def test_the_bandwidth_is_bounded_around_the_rule_for_a_density(noise: float, bound: float) -> None:
    curve = drawn()
    quartic = Curve(order=curve.order, dose=curve.dose, weights=curve.weights,
                    outcome=curve.dose**4 + noise * np.where(np.arange(N) % 2, 1.0, -1.0))  # fmt: skip
    assert plug_in_bandwidth(quartic, -1.0, 1.0) == pytest.approx(bound * curve.dose.std() * N**-0.2, rel=1e-9)
    straight = Curve(order=curve.order, dose=curve.dose, weights=curve.weights, outcome=np.zeros(N))
    assert plug_in_bandwidth(straight, -1.0, 1.0) == pytest.approx(7.0 * curve.dose.std() * N**-0.2)


def rows_of(lines: list[Local], base: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """(g, n) contributions of every row to every value."""
    rows = base[0] + tilt[:, None] * base[1]
    for row, each in zip(rows, lines, strict=True):
        row[each.start : each.stop] += each.contributions
    return rows


def test_the_covariance_is_that_of_the_sums_of_all_contributions() -> None:
    curve, rng = drawn(), np.random.default_rng(1)
    lines, base, tilt = local_lines(curve, GRID, 0.7), 0.01 * rng.standard_normal((2, N)), GRID**2
    rows = rows_of(lines, base, tilt)
    found = covariance_of_curve(lines, base, tilt, Clusters(), curve.order)
    np.testing.assert_allclose(found, rows @ rows.T, rtol=1e-9, atol=1e-15)


def test_clusters_are_codes_in_the_order_of_the_sample() -> None:
    curve, rng = drawn(), np.random.default_rng(1)
    lines, base, tilt = local_lines(curve, GRID, 0.7), 0.01 * rng.standard_normal((2, N)), GRID**2
    codes = rng.integers(0, 9, N)
    sums = np.stack([np.bincount(codes[curve.order], row, 9) for row in rows_of(lines, base, tilt)])
    found = covariance_of_curve(lines, base, tilt, Clusters(codes=(codes,), counts=(9,)), curve.order)
    np.testing.assert_allclose(found, sums @ sums.T * 9 / 8, rtol=1e-9)
