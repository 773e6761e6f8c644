from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from cqox.errors import UnusableData
from cqox.estimators import Plan, Settings
from cqox.estimators.adjustment.entropy_balancing import Tilt, tilt
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.sample import ARMS
from tests.estimators.designs import cross_section, with_covariates


def framed(*, weighted: bool = False, n: int = 200) -> Frame:
    plan = Plan(cross_section(n=n, weights=weighted), Settings())
    return plan.frame("xty", plan.outcome_sample())


def controls_to_treated(frame: Frame, treated: np.ndarray) -> tuple[np.ndarray, Tilt]:
    """The means of the treated, and the weights of the untreated that meet them."""
    w = np.ones(frame.n) if frame.weights is None else frame.weights
    target = np.average(frame.matrix[1:5], axis=1, weights=w * treated)
    return target, tilt(frame, 1.0 - treated, target, ARMS)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_weighted_means_of_the_arm_are_the_targets(weighted: bool):
    treated = cross_section(n=200).treatment
    frame = framed(weighted=weighted)
    target, found = controls_to_treated(frame, treated)
    np.testing.assert_allclose(frame.matrix[1:5] @ found.weights, target, atol=1e-8)
    assert found.weights.sum() == pytest.approx(1.0)
    assert (found.weights[treated > 0] == 0).all()
    assert found.mean == pytest.approx(frame.matrix[frame.column("y")] @ found.weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_weights_minimise_the_dual_as_scipy_finds_it(weighted: bool):
    treated = cross_section(n=200).treatment
    frame = framed(weighted=weighted)
    target, found = controls_to_treated(frame, treated)
    base = (1.0 - treated) * (1.0 if frame.weights is None else frame.weights)
    apart = frame.matrix[1:5].T - target

    def dual(at: np.ndarray) -> float:
        return float(np.log(base @ np.exp(apart @ at)))

    at = optimize.minimize(dual, np.zeros(4), method="BFGS", options={"gtol": 1e-10}).x
    expected = base * np.exp(apart @ at)
    np.testing.assert_allclose(found.weights, expected / expected.sum(), rtol=1e-4, atol=1e-8)


def test_an_arm_that_meets_the_target_keeps_its_sampling_weights():
    treated = cross_section(n=200).treatment
    frame = framed(weighted=True)
    own = treated * frame.weights
    target = np.average(frame.matrix[1:5], axis=1, weights=own)
    found = tilt(frame, treated, target, ARMS)
    np.testing.assert_allclose(found.weights, own / own.sum(), rtol=1e-9)


def test_slopes_and_residuals_are_those_of_weighted_least_squares_in_the_arm():
    treated = cross_section(n=200).treatment
    frame = framed()
    target, found = controls_to_treated(frame, treated)
    x, y, root = frame.matrix[:5].T, frame.matrix[frame.column("y")], np.sqrt(found.weights)
    beta = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    np.testing.assert_allclose(found.slopes, beta[1:], rtol=1e-7)
    expected = y - found.mean - (x[:, 1:] - target) @ beta[1:]
    np.testing.assert_allclose(found.residuals, expected, rtol=1e-7, atol=1e-9)
    assert found.weights @ found.residuals == pytest.approx(0, abs=1e-9)


def test_a_target_outside_the_hull_of_the_arm_is_refused_with_its_worst_covariates():
    frame = framed()
    treated = cross_section(n=200).treatment
    target = np.zeros(4)
    target[2] = frame.matrix[3].max() + 1.0
    with pytest.raises(UnusableData) as caught:
        tilt(frame, treated, target, ARMS)
    detail = caught.value.detail
    assert detail.code == "adjustment.means-outside-hull"
    assert "x2" in detail.params["covariates"]


def test_without_covariates_the_weights_are_uniform():
    data = with_covariates(cross_section(n=50, weights=False), np.empty((50, 0)))
    plan = Plan(replace(data), Settings())
    frame = plan.frame("xty", plan.outcome_sample())
    found = tilt(frame, data.treatment, np.empty(0), ARMS)
    np.testing.assert_allclose(found.weights, data.treatment / data.treatment.sum())
    assert len(found.slopes) == 0
