from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.iv.proxy_checks import Proxies, agreement, strength
from cqox.estimators.numerics.frame import Frame, build_frame
from tests.estimators.designs import proxied


def framed(data: Data) -> Frame:
    sample = Plan(data, Settings()).outcome_sample()
    columns = {
        "x": (data.covariates, ("a", "b")),
        "t": (data.treatment[:, None], ("t",)),
        "v": (data.proxy_treatment, tuple("pqr"[: data.proxy_treatment.shape[1]])),
        "w": (data.proxy_outcome, tuple("uvw"[: data.proxy_outcome.shape[1]])),
        "y": (data.y[:, None], ("y",)),
    }
    return build_frame(sample, columns, weights=data.weights, block=100, threads=1)


def proxies(data: Data) -> Proxies:
    frame = framed(data)
    positions = {name: np.arange(at.start, at.stop) for name, at in frame.at.items()}
    exogenous = np.append(positions["x"], positions["t"])
    return Proxies.of(frame, exogenous, positions["v"], positions["w"], frame.column("y"))


def net(data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Proxies of the treatment, of the outcome, and the outcome, net of treatment and covariates and weighted."""
    w = np.sqrt(np.ones(data.n) if data.weights is None else data.weights / data.weights.mean())[:, None]
    x = np.column_stack([np.ones(data.n), data.covariates, data.treatment]) * w
    both = np.column_stack([data.proxy_treatment, data.proxy_outcome, data.y]) * w
    left = both - x @ np.linalg.lstsq(x, both, rcond=None)[0]
    m = data.proxy_treatment.shape[1]
    return left[:, :m], left[:, m:-1], left[:, -1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("z", [1, 3])
def test_the_f_of_one_outcome_proxy_is_that_of_its_regression(z: int, weighted: bool):
    data = proxied(n=200, z=z, strength=0.4)
    data = replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, 200) if weighted else None)
    found = strength(proxies(data), Clusters())
    instruments, outcome, _ = net(data)
    fitted = instruments @ np.linalg.lstsq(instruments, outcome[:, 0], rcond=None)[0]
    degrees = 200 - 4 - z
    expected = fitted @ fitted / z / (np.sum((outcome[:, 0] - fitted) ** 2) / degrees)
    assert found["first_stage_f"] == pytest.approx(expected, rel=1e-8)
    assert found["first_stage_p_value"] == pytest.approx(stats.f.sf(expected, z, degrees), rel=1e-6)


def test_several_outcome_proxies_have_the_smallest_eigenvalue_and_no_effective_f():
    data = proxied(n=200, z=3, w=2, strength=0.4)
    found = strength(proxies(data), Clusters())
    instruments, outcomes, _ = net(data)
    fitted = instruments @ np.linalg.lstsq(instruments, outcomes, rcond=None)[0]
    rest = outcomes - fitted
    least = np.linalg.eigvals(np.linalg.solve(rest.T @ rest, fitted.T @ fitted)).real.min()
    assert found["first_stage_f"] == pytest.approx(least * (200 - 7) / 3, rel=1e-7)
    assert found["first_stage_p_value"] is None
    assert found["effective_f"] is None


@pytest.mark.parametrize("clustered", [False, True])
def test_the_effective_f_divides_by_the_trace_of_the_robust_variance(clustered: bool):
    data, codes = proxied(n=200, z=2, strength=0.4), np.arange(200) % 13
    clusters = Clusters(codes=(codes,), counts=(13,)) if clustered else Clusters()
    instruments, outcome, _ = net(data)
    basis = np.linalg.qr(instruments)[0]
    pi = basis.T @ outcome[:, 0]
    moves = basis * (outcome[:, 0] - basis @ pi)[:, None]
    if clustered:
        moves = np.stack([moves[codes == code].sum(axis=0) for code in range(13)])
    trace = np.sum(moves**2) * (199 if clustered else 200) / (200 - 6)
    assert strength(proxies(data), clusters)["effective_f"] == pytest.approx(pi @ pi / trace, rel=1e-8)


@pytest.mark.parametrize("clustered", [False, True])
def test_sargan_and_hansen_are_their_formulas(clustered: bool):
    data, codes = proxied(n=200, z=3), np.arange(200) % 40
    clusters = Clusters(codes=(codes,), counts=(40,)) if clustered else Clusters()
    instruments, outcomes, y = net(data)
    basis = np.linalg.qr(instruments)[0]
    moment, goal = basis.T @ outcomes, basis.T @ y
    slope = np.linalg.lstsq(moment, goal, rcond=None)[0]
    residual = y - outcomes @ slope
    found = proxies(data)
    unit = found.frame.scale[found.frame.column("y")]
    reported = agreement(found, residual / unit, float(residual @ residual) / unit**2, clusters)
    own = basis.T @ residual
    sargan = own @ own / (residual @ residual / 200)
    assert reported["sargan"] == pytest.approx(sargan, rel=1e-7)
    assert reported["sargan_p_value"] == pytest.approx(stats.chi2.sf(sargan, 2), rel=1e-6)
    moves = basis * residual[:, None]
    if clustered:
        moves = np.stack([moves[codes == code].sum(axis=0) for code in range(40)])
    weight = np.linalg.inv(moves.T @ moves)
    two_step = np.linalg.solve(moment.T @ weight @ moment, moment.T @ weight @ goal)
    left = goal - moment @ two_step
    assert reported["hansen_j"] == pytest.approx(left @ weight @ left, rel=1e-6)
    assert reported["hansen_j_p_value"] == pytest.approx(stats.chi2.sf(reported["hansen_j"], 2), rel=1e-6)


def test_without_surplus_proxies_there_is_nothing_to_test():
    assert agreement(proxies(proxied(n=100, z=1)), np.ones(100), 1.0, Clusters()) == {}


def test_too_few_clusters_for_the_moments_leave_hansens_test_out():
    one = Clusters(codes=(np.zeros(100, dtype=np.int64),), counts=(1,))
    reported = agreement(proxies(proxied(n=100, z=3)), np.random.default_rng(1).standard_normal(100), 100.0, one)
    assert reported["hansen_j"] is reported["hansen_j_p_value"] is None
    assert reported["sargan"] > 0
