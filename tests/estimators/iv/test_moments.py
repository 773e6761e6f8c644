from dataclasses import dataclass, replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.iv.moments import (
    Partialled,
    Variables,
    check_instruments,
    k_class_contributions,
    limited,
    net_of_covariates,
    row_pass,
)
from cqox.estimators.numerics.frame import Frame
from tests.estimators.designs import instrumented


def design(*, m: int = 2, weighted: bool = False) -> Data:
    data = instrumented(n=150, m=m, strength=0.6)
    return replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, 150) if weighted else None)


def framed(data: Data) -> Frame:
    plan = Plan(data, Settings())
    return plan.frame("xzty", plan.sample("y", "treatment", "instrument", "covariates"))


def solved(data: Data) -> tuple[Frame, Variables, Partialled]:
    frame = framed(data)
    variables = Variables(rows=frame.rows, matrix=frame.matrix, weights=frame.weights)
    return frame, variables, net_of_covariates(frame, frame.products)


@dataclass
class Net:
    """Instruments, treatment and outcome net of covariates, standardised as a frame is."""

    z: np.ndarray
    t: np.ndarray
    y: np.ndarray
    w: np.ndarray

    def slope(self, kappa: float) -> float:
        """The k-class coefficient by its formula."""
        root = np.sqrt(self.w)
        z, t, y = self.z * root[:, None], self.t * root, self.y * root
        left = np.eye(len(t)) - z @ np.linalg.pinv(z)
        inner = np.eye(len(t)) - kappa * left
        return float(t @ inner @ y / (t @ inner @ t))


def net(data: Data, frame: Frame) -> Net:
    w = np.ones(data.n) if frame.weights is None else frame.weights
    x, root = np.column_stack([np.ones(data.n), data.covariates]), np.sqrt(w)

    def left(values: np.ndarray) -> np.ndarray:
        return values - x @ np.linalg.lstsq(x * root[:, None], values * root, rcond=None)[0]

    z = np.column_stack([left(column) for column in data.instruments.T])
    scale = frame.scale
    return Net(z, left(data.treatment) / scale[frame.column("t")], left(data.y) / scale[frame.column("y")], w)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("m", [1, 3])
def test_k_class_values_are_those_of_the_formula_on_residuals(m: int, weighted: bool):
    data = design(m=m, weighted=weighted)
    frame, _, parts = solved(data)
    own = net(data, frame)
    for kappa in (0.0, 0.7, 1.0, 1.02):
        assert parts.value(kappa) == pytest.approx(own.slope(kappa), rel=1e-7)
    assert parts.tt == pytest.approx(own.w @ own.t**2, rel=1e-8)
    assert parts.strength == pytest.approx(parts.denominator(1.0), rel=1e-12)
    assert parts.covariates == 3
    instruments = parts.combine[:m] @ frame.matrix
    np.testing.assert_allclose((instruments * own.w) @ instruments.T, np.eye(m), atol=1e-8)


@pytest.mark.parametrize("m", [2, 3])
def test_limited_information_is_the_least_ratio_of_residual_squares(m: int):
    data = design(m=m)
    frame, _, parts = solved(data)
    own = net(data, frame)
    pair = np.column_stack([own.y, own.t])
    rest = pair - own.z @ np.linalg.lstsq(own.z, pair, rcond=None)[0]
    least = np.linalg.eigvals(np.linalg.solve(rest.T @ rest, pair.T @ pair)).real.min()
    assert limited(parts) == pytest.approx(least, rel=1e-8)
    assert limited(parts) >= 1.0


def test_limited_information_with_one_instrument_is_one():
    assert limited(solved(design(m=1))[2]) == 1.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_row_level_results_are_the_sums_of_moments(clustered: bool, weighted: bool):
    data = design(weighted=weighted)
    frame, variables, parts = solved(data)
    own, codes = net(data, frame), np.arange(150) % 11
    clusters = Clusters(codes=(codes,), counts=(11,)) if clustered else Clusters()
    found = row_pass(variables, parts, clusters)
    z = (parts.combine[:2] @ frame.matrix).T
    residual = own.y - parts.value() * own.t
    unrestricted = [v - z @ (z.T @ (own.w * v)) for v in (own.y, own.t)]
    sums = [z * (own.w * each)[:, None] for each in (*unrestricted, residual)]
    if clustered:
        sums = [np.stack([each[codes == code].sum(axis=0) for code in range(11)]) for each in sums]
    factor = 11 / 10 if clustered else 1.0
    np.testing.assert_allclose(found.yy, sums[0].T @ sums[0] * factor, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.yt, sums[0].T @ sums[1] * factor, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.tt, sums[1].T @ sums[1] * factor, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.ee, sums[2].T @ sums[2], rtol=1e-7, atol=1e-10)
    assert found.squares == pytest.approx(own.w @ residual**2, rel=1e-8)
    fitted = z @ parts.z_t
    np.testing.assert_allclose(found.contributions, fitted * own.w * residual / parts.strength, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 1.0, 1.05])
def test_k_class_contributions_have_the_residuals_of_their_coefficient(kappa: float):
    data = design(weighted=True)
    frame, variables, parts = solved(data)
    own = net(data, frame)
    contributions, squares = k_class_contributions(variables, parts, kappa)
    residual = own.y - own.slope(kappa) * own.t
    fitted = (parts.z_t @ parts.combine[:2]) @ frame.matrix
    assert squares == pytest.approx(own.w @ residual**2, rel=1e-8)
    np.testing.assert_allclose(contributions, own.w * residual * fitted / parts.denominator(kappa), atol=1e-9)


def test_the_exogeneity_contributions_are_those_of_the_control_function():
    data = design()
    frame, variables, parts = solved(data)
    own = net(data, frame)
    contributions, squares = row_pass(variables, parts, Clusters()).exogeneity()
    fitted = own.z @ np.linalg.lstsq(own.z, own.t, rcond=None)[0]
    x = np.column_stack([own.t, own.t - fitted])
    beta, rest = np.linalg.lstsq(x, own.y, rcond=None)[:2]
    assert squares == pytest.approx(rest[0], rel=1e-8)
    expected = (x @ np.linalg.inv(x.T @ x))[:, 1] * (own.y - x @ beta)
    np.testing.assert_allclose(contributions, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: {"instruments": d.covariates[:, :1] * 2 + 1}, "iv.instrument-collinear"),
        (lambda d: {"treatment": d.covariates[:, 0] + d.covariates[:, 1]}, "iv.treatment-collinear"),
        (lambda d: {"y": np.where(np.arange(150) < 5, d.y, np.nan)}, "inference.too-few-rows"),
    ],
)
def test_instruments_and_treatments_without_variation_of_their_own_are_refused(change, code: str):
    data = design()
    data = replace(data, **change(data))
    with pytest.raises(UnusableData) as caught:
        check_instruments(framed(data), Plan(data, Settings()))
    assert caught.value.detail.code == code
    check_instruments(framed(design()), Plan(design(), Settings()))
