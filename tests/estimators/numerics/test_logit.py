from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import grouped_gram
from cqox.estimators.numerics.logit import (
    cross_fit_logit,
    expit,
    fit_logit,
    fit_logits,
    gradient_partial,
    information_partial,
)
from cqox.estimators.numerics.quasi_newton import QuasiNewton
from tests.estimators.designs import cross_section, with_covariates


def frame_of(data: Data) -> Frame:
    plan = Plan(data, Settings())
    return plan.frame("xty", plan.doubly_robust_sample())


def peer(data: Data, keep: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised covariates, and the coefficients of their logit with the covariance, by Newton's method."""
    x = np.column_stack([np.ones(data.n), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])
    w = np.ones(data.n) if data.weights is None else data.weights / data.weights.mean()
    z, t, w, beta = x[keep], data.treatment[keep], w[keep], np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ beta))
        covariance = np.linalg.inv((z * (w * p * (1 - p))[:, None]).T @ z)
        beta = beta + covariance @ (z.T @ (w * (t - p)))
    return x, beta, covariance


@pytest.mark.parametrize("weighted", [False, True])
def test_the_fit_has_the_largest_likelihood(weighted: bool):
    data = cross_section(n=500, weights=weighted)
    fit = fit_logit(frame_of(data), data.treatment)
    x, beta, _ = peer(data)
    np.testing.assert_allclose(fit.probabilities, 1 / (1 + np.exp(-x @ beta)), rtol=1e-9)
    slopes = beta[1:] / data.covariates.std(0)
    raw = fit.raw_coefficients()
    assert list(raw) == ["(intercept)", "x0", "x1", "x2", "x3"]
    assert list(raw.values())[1:] == pytest.approx(slopes, rel=1e-8)
    assert raw["(intercept)"] == pytest.approx(beta[0] - slopes @ data.covariates.mean(0), rel=1e-8)


def test_the_inverse_information_is_the_covariance_of_the_coefficients():
    data = cross_section(n=400)
    fit = fit_logit(frame_of(data), data.treatment)
    scale = fit.frame.scale[1:5]
    slopes = fit.inverse()[1:, 1:] / np.outer(scale, scale)
    covariance, sd = peer(data)[2], data.covariates.std(0)
    np.testing.assert_allclose(slopes, covariance[1:, 1:] / np.outer(sd, sd), rtol=1e-7)


def test_without_covariates_the_probability_is_the_share_of_the_treated():
    data = with_covariates(cross_section(n=90, weights=False), np.empty((90, 0)))
    fit = fit_logit(frame_of(data), data.treatment)
    np.testing.assert_allclose(fit.probabilities, data.treatment.mean(), rtol=1e-10)


def test_covariates_that_separate_the_arms_are_refused():
    data = cross_section(n=200)
    apart = replace(data, treatment=(data.covariates[:, 0] > 0).astype(float))
    with pytest.raises(UnusableData) as caught:
        fit_logit(frame_of(apart), apart.treatment)
    assert caught.value.detail.code in ("numerics.arms-separated", "numerics.logit-diverges")


def folds_and_products(frame: Frame, n: int) -> tuple[np.ndarray, np.ndarray]:
    folds = np.random.default_rng(3).integers(0, 3, n)
    k = frame.at["x"].stop
    return folds, grouped_gram(frame.rows, frame.matrix[:k], frame.weights, folds, 3)[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_has_the_probability_of_a_fit_without_its_fold(weighted: bool):
    data = cross_section(n=450, weights=weighted)
    frame = frame_of(data)
    folds, products = folds_and_products(frame, 450)
    found = cross_fit_logit(fit_logit(frame, data.treatment), data.treatment, folds, products)
    for fold in range(3):
        x, beta, _ = peer(data, folds != fold)
        np.testing.assert_allclose(found[folds == fold], 1 / (1 + np.exp(-x[folds == fold] @ beta)), rtol=1e-7)


def wide(data: Data) -> Data:
    """Add covariates without an effect, so many that all logits are fitted in the same passes."""
    others = np.random.default_rng(7).standard_normal((data.n, 20))
    return with_covariates(data, np.column_stack([data.covariates, others]))


@pytest.mark.parametrize(("n", "weighted"), [(1500, False), (1500, True), (70_000, True)])
def test_fits_in_the_same_passes_are_those_that_are_made_in_turn(n: int, weighted: bool):
    data = wide(cross_section(n=n, weights=weighted))
    frame = frame_of(data)
    folds, products = folds_and_products(frame, n)
    alone = fit_logit(frame, data.treatment)
    expected = cross_fit_logit(alone, data.treatment, folds, products)
    together, without = fit_logits(frame, data.treatment, folds, products)
    np.testing.assert_allclose(together.coefficients, alone.coefficients, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(together.probabilities, alone.probabilities, rtol=1e-10)
    z, weights = frame.matrix[: frame.at["x"].stop], frame.weights
    (gradient,) = gradient_partial(z, data.treatment, weights, together.probabilities)
    assert np.abs(gradient).max() <= 2e-12 * n
    (information,) = information_partial(z, weights, together.probabilities)
    np.testing.assert_allclose(together.nearly, information, atol=0.1 * n)
    np.testing.assert_allclose(without, expected, rtol=1e-8)


def test_a_fit_on_all_rows_stands_where_one_without_a_fold_has_no_maximum(monkeypatch: pytest.MonkeyPatch):
    data = wide(cross_section(n=600))
    frame = frame_of(data)
    alone, run = fit_logit(frame, data.treatment), QuasiNewton.run

    def without_end(self: QuasiNewton, *given: Any) -> bool:
        return len(self.coefficients) == 1 and run(self, *given)

    monkeypatch.setattr(QuasiNewton, "run", without_end)
    together, without = fit_logits(frame, data.treatment, *folds_and_products(frame, 600))
    assert without is None
    np.testing.assert_array_equal(together.coefficients, alone.coefficients)


def test_covariates_that_separate_the_arms_are_refused_with_the_folds_too():
    data = wide(cross_section(n=300))
    apart = replace(data, treatment=(data.covariates[:, 0] > 0).astype(float))
    frame = frame_of(apart)
    with pytest.raises(UnusableData) as caught:
        fit_logits(frame, apart.treatment, *folds_and_products(frame, 300))
    assert caught.value.detail.code in ("numerics.arms-separated", "numerics.logit-diverges")


def test_few_covariates_leave_the_fits_without_a_fold_for_later():
    data = cross_section(n=450)
    frame = frame_of(data)
    fit, without = fit_logits(frame, data.treatment, *folds_and_products(frame, 450))
    assert without is None
    np.testing.assert_array_equal(fit.coefficients, fit_logit(frame, data.treatment).coefficients)


def test_arms_that_are_separate_without_a_fold_are_refused():
    data = cross_section(n=300, weights=False)
    rng = np.random.default_rng(1)
    folds = np.arange(300) % 3
    # Only rows of the first fold lie on the wrong side.
    side = (data.covariates[:, 0] > 0).astype(float)
    data = replace(data, treatment=np.where(folds == 0, rng.integers(0, 2, 300), side).astype(float))
    frame = frame_of(data)
    k = frame.at["x"].stop
    products = grouped_gram(frame.rows, frame.matrix[:k], None, folds, 3)[0]
    with pytest.raises(UnusableData) as caught:
        cross_fit_logit(fit_logit(frame, data.treatment), data.treatment, folds, products)
    assert caught.value.detail.code == "numerics.logit-diverges-without-fold"


def test_expit_overwrites_its_argument_and_bears_values_of_any_size():
    eta = np.array([-800.0, -2.0, 0.0, 2.0, 800.0])
    found = expit(eta)
    assert found is eta
    np.testing.assert_allclose(found, [0.0, 1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2)), 1.0], rtol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_and_information_of_a_block_are_derivatives_of_its_log_likelihood(weighted: bool):
    rng = np.random.default_rng(2)
    z, beta = np.vstack([np.ones(40), rng.standard_normal((1, 40))]), np.array([0.2, -0.7])
    treated = rng.integers(0, 2, 40).astype(float)
    weights = rng.uniform(0.5, 2.0, 40) if weighted else None
    w = np.ones(40) if weights is None else weights

    def likelihood(at: np.ndarray) -> float:
        eta = at @ z
        return float(w @ (treated * eta - np.logaddexp(0, eta)))

    def gradient(at: np.ndarray) -> np.ndarray:
        return gradient_partial(z, treated, weights, 1 / (1 + np.exp(-at @ z)))[0]

    step = np.eye(2) * 1e-5
    numeric = [(likelihood(beta + h) - likelihood(beta - h)) / 2e-5 for h in step]
    np.testing.assert_allclose(gradient(beta), numeric, rtol=1e-6)
    curvature = np.stack([(gradient(beta - h) - gradient(beta + h)) / 2e-5 for h in step])
    (information,) = information_partial(z, weights, 1 / (1 + np.exp(-beta @ z)))
    np.testing.assert_allclose(information, curvature, rtol=1e-6)


def test_a_large_sample_converges_from_its_stride_to_the_same_fit():
    data = cross_section(n=70_000, weights=False)
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.outcome_sample())
    logit = fit_logit(frame, data.treatment)
    gradient = (data.treatment - logit.probabilities) @ frame.matrix[: frame.at["x"].stop].T
    assert np.abs(gradient).max() <= 1e-11 * data.n
