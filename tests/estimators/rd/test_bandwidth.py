from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators.rd.bandwidth import Bandwidths, mse_bandwidths
from cqox.estimators.rd.local_polynomial import Side

type Rows = tuple[np.ndarray, np.ndarray]


def drawn(n: int = 300, seed: int = 0) -> tuple[Rows, Rows]:
    """Distances and outcomes below and above the cutoff, the nearest first."""
    rng = np.random.default_rng(seed)
    below, above = np.sort(rng.uniform(0, 2, n)), np.sort(rng.uniform(0, 3, n))
    sides = [(d, np.sin(1.3 * x) + 0.3 * rng.standard_normal(n)) for d, x in ((below, -below), (above, above))]
    return sides[0], sides[1]


def side(distance: np.ndarray, *values: np.ndarray) -> Side:
    starts = np.concatenate([[0], np.flatnonzero(np.diff(distance)) + 1])
    return Side(rows=np.arange(len(distance)), distance=distance, values=np.stack(values), weights=None, codes=None,
                starts=starts, tolerance=1e-12)  # fmt: skip


def chosen(sides: tuple[Side, Side], **changes: object) -> Bandwidths:
    options = {"spread": 0.8, "rows": 600, "ratio": False, "covariates": 0, "residual": "HC0", "distinct": 0}
    return mse_bandwidths(sides, **{**options, **changes})


def fit(rows: Rows, bandwidth: float, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the outcomes in each coefficient, the residuals, and the distances of the rows in a window."""
    d, y = (each[rows[0] < bandwidth] for each in rows)
    x, w = np.vander(d, order + 1, increasing=True), 1 - d / bandwidth
    estimator = np.linalg.inv((x.T * w) @ x) @ (x.T * w)
    return estimator, y - x @ (estimator @ y), d


def optimal(sides: tuple[Rows, Rows], near: float, far: tuple[float, float], p: int, nu: int, factor: float) -> float:
    """The minimum of the mean squared error h^2(p+1-nu) (B² + R) + V/h^(2nu+1), with V and B from two windows."""
    bias = variance = uncertain = 0.0
    for rows, wide, sign in zip(sides, far, ((-1) ** (nu + 1), 1), strict=True):
        estimator, rest, d = fit(rows, near, p)
        variance += ((estimator[nu] * rest) ** 2).sum() * near ** (2 * nu + 1)
        further, left, _ = fit(rows, wide, p + 1)
        constant = estimator[nu] @ d ** (p + 1) / near ** (p + 1 - nu)
        y = rows[1][rows[0] < wide]
        bias += sign * constant * (further[p + 1] @ y)
        uncertain += constant**2 * ((further[p + 1] * left) ** 2).sum()
    power = 2 * (p + 1 - nu)
    return float(((2 * nu + 1) * variance / (power * (bias**2 + factor * uncertain))) ** (1 / (2 * p + 3)))


def test_each_step_minimises_the_mean_squared_error_of_the_step_before() -> None:
    sides = drawn()
    found = chosen((side(*sides[0]), side(*sides[1])))
    pilot = 2.576 * 0.8 * 600 ** (-1 / 5)
    reaches = tuple(float(each[0][-1]) * (1 + 2**-26) for each in sides)
    third = optimal(sides, pilot, reaches, 3, 3, 0.0)
    longest = max(float(each[0][-1]) for each in sides)
    assert found.pilot == pytest.approx(pilot)
    assert found.third == pytest.approx(min(third, longest), rel=1e-6)
    b = optimal(sides, pilot, (found.third, found.third), 2, 2, 3.0)
    assert found.b == pytest.approx(min(b, longest), rel=1e-6)
    h = optimal(sides, pilot, (found.b, found.b), 1, 0, 3.0)
    assert found.h == pytest.approx(h, rel=1e-6)
    assert found.h < longest


def test_a_ratio_knows_neither_the_level_of_the_outcome_nor_the_coding_of_the_treatment() -> None:
    sides, rng = drawn(), np.random.default_rng(1)
    treatment = [(rng.random(300) < share).astype(float) for share in (0.2, 0.8)]

    def ratio(level: float, sign: float) -> Bandwidths:
        both = [side(d, y + level, 0.5 + sign * t) for (d, y), t in zip(sides, treatment, strict=True)]
        return chosen((both[0], both[1]), ratio=True)

    plain = ratio(0.0, 1.0)
    for changed in (ratio(50.0, 1.0), ratio(0.0, -3.0)):
        assert (changed.h, changed.b, changed.third) == pytest.approx((plain.h, plain.b, plain.third), rel=1e-5)
    assert plain.h != pytest.approx(chosen((side(*sides[0]), side(*sides[1]))).h, rel=1e-3)


def test_what_a_covariate_adds_to_the_outcome_is_taken_out_of_it() -> None:
    sides, rng = drawn(), np.random.default_rng(1)
    x = [rng.standard_normal(300) for _ in sides]

    def adjusted(slope: float) -> Bandwidths:
        both = [side(d, y + slope * each, each) for (d, y), each in zip(sides, x, strict=True)]
        return chosen((both[0], both[1]), covariates=1)

    plain, moved = adjusted(0.0), adjusted(5.0)
    assert (moved.h, moved.b, moved.third) == pytest.approx((plain.h, plain.b, plain.third), rel=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_bandwidths_are_in_the_unit_of_the_score_and_do_not_know_that_of_the_outcome(factor: float) -> None:
    sides = drawn()
    plain = chosen((side(*sides[0]), side(*sides[1])))
    scaled = chosen(tuple(side(d * factor, 7 * y) for d, y in sides), spread=0.8 * factor)
    for name in ("h", "b", "pilot", "third"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(plain, name), rel=1e-6)


def test_an_outcome_without_curvature_or_error_takes_the_whole_range() -> None:
    distance = np.linspace(0.01, 2, 60)
    found = chosen((side(distance, np.zeros(60)), side(distance, np.zeros(60))), rows=120)
    assert (found.third, found.b, found.h) == (2.0, 2.0, 2.0)


def test_preliminary_windows_hold_so_many_distinct_values() -> None:
    rng = np.random.default_rng(2)
    sides = tuple(
        side(d := np.sort(rng.integers(1, 30, 400).astype(float)), np.sin(d) + rng.standard_normal(400))
        for _ in range(2)
    )
    found = chosen(sides, spread=1e-3, rows=58, distinct=12)
    assert found.pilot == pytest.approx(12, rel=1e-6)
    assert all(each.distinct(each.within(found.pilot)) >= 12 for each in sides)
    assert found.third >= found.pilot
    # Without that bound, there are as many values as a cubic needs.
    assert chosen(sides, spread=1e-3, rows=58).pilot == 5.0


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
def test_another_order_starts_from_derivatives_of_a_higher_order(kernel: str) -> None:
    sides = drawn()
    both = tuple(replace(side(*each), kernel=kernel) for each in sides)
    found = chosen(both, order=2)
    constant = {"triangular": 2.576, "epanechnikov": 2.34, "uniform": 1.843}[kernel]
    assert found.pilot == pytest.approx(constant * 0.8 * 600 ** (-1 / 5))
    if kernel == "triangular":
        b = optimal(sides, found.pilot, (found.third, found.third), 3, 3, 3.0)
        longest = max(float(each[0][-1]) for each in sides)
        assert found.b == pytest.approx(min(b, longest), rel=1e-6)
        h = optimal(sides, found.pilot, (found.b, found.b), 2, 0, 3.0)
        assert found.h == pytest.approx(min(h, longest), rel=1e-6)
