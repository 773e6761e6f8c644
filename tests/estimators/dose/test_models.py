from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.dose.models import (
    Models,
    basis,
    dose_models,
    dose_sample,
    pseudo_outcomes,
    slope_basis,
    stabilised,
)
from tests.estimators.designs import dosed

N = 400


def models_of(data: Data) -> Models:
    return dose_models(Plan(data, Settings()))


def refusal(data: Data) -> str:
    with pytest.raises(UnusableData) as caught:
        models_of(data)
    return caught.value.args[0].code


def weighted(data: Data) -> Data:
    return replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, data.n))


def fitted(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    root = np.sqrt(w)
    return x @ np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]


def mass(data: Data) -> np.ndarray:
    return np.ones(data.n) if data.weights is None else data.weights / data.weights.mean()


DESIGNS = [dosed(N), weighted(dosed(N))]


def test_terms_are_covariates_their_products_with_the_dose_its_square_and_its_cube() -> None:
    x, z = np.array([[1.0, 1.0], [2.0, -3.0]]), np.array([2.0, 3.0])
    assert basis(x, z).tolist() == [[1, 1], [2, -3], [2, 3], [4, -9], [4, 9], [8, 27]]


def test_slopes_are_derivatives_of_the_terms() -> None:
    rng = np.random.default_rng(0)
    x, z, step = np.vstack([np.ones(9), rng.standard_normal((2, 9))]), rng.standard_normal(9), 1e-5
    numeric = (basis(x, z + step) - basis(x, z - step)) / (2 * step)
    np.testing.assert_allclose(slope_basis(x, z), numeric, atol=1e-8)


@pytest.mark.parametrize("data", DESIGNS)
def test_the_outcome_is_a_cubic_with_slopes_by_covariates(data: Data) -> None:
    found, t = models_of(data), data.treatment
    x = np.column_stack([np.ones(N), data.covariates])
    expected = data.y - fitted(np.column_stack([x, x * t[:, None], t**2, t**3]), data.y, mass(data))
    np.testing.assert_allclose(found.residual * found.frame.scale[found.frame.column("y")], expected, atol=1e-8)
    assert found.k == 3
    assert len(found.beta) == 8


@pytest.mark.parametrize("data", DESIGNS)
def test_the_dose_is_a_line_of_the_covariates_and_their_share_of_its_variance_is_r2(data: Data) -> None:
    found, t, w = models_of(data), data.treatment, mass(data)
    left = t - fitted(np.column_stack([np.ones(N), data.covariates]), t, w)
    scale = found.frame.scale[found.frame.column("t")]
    np.testing.assert_allclose(found.deviation * scale, left, atol=1e-8)
    assert found.variance * scale**2 == pytest.approx(np.average(left**2, weights=w))
    whole = np.average((t - np.average(t, weights=w)) ** 2, weights=w)
    assert found.r2 == pytest.approx(1 - np.average(left**2, weights=w) / whole)


def test_other_covariates_may_model_the_dose() -> None:
    data = dosed(N)
    other = data.covariates[:, :1] ** 2
    found = models_of(replace(data, propensity_covariates=other))
    left = data.treatment - fitted(np.column_stack([np.ones(N), other]), data.treatment, np.ones(N))
    np.testing.assert_allclose(found.deviation * found.frame.scale[found.frame.column("t")], left, atol=1e-8)
    assert found.assignment is not found.frame
    assert len(found.line) == 2
    same = models_of(data)
    assert same.assignment is same.frame


@pytest.mark.parametrize("data", DESIGNS)
def test_stabilised_weights_are_the_marginal_over_the_conditional_density(data: Data) -> None:
    found, t, w = models_of(data), data.treatment, mass(data)
    centre = fitted(np.column_stack([np.ones(N), data.covariates]), t, w)
    sd = np.sqrt(np.average((t - centre) ** 2, weights=w))
    marginal = norm.pdf(t[:, None], centre, sd) @ w / w.sum()
    # On a grid, from binned lines.
    np.testing.assert_allclose(stabilised(found), marginal / norm.pdf(t, centre, sd), rtol=2e-3)


def test_without_covariates_all_stabilised_weights_are_one() -> None:
    data, none = dosed(N), np.empty((N, 0))
    found = models_of(replace(data, covariates=none, propensity_covariates=none))
    np.testing.assert_allclose(stabilised(found), 1.0, rtol=1e-3)
    assert found.r2 == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("data", DESIGNS)
def test_a_pseudo_outcome_is_a_weighted_residual_and_the_mean_prediction_at_the_dose(data: Data) -> None:
    found, w = models_of(data), mass(data)
    stable = np.random.default_rng(2).uniform(0.5, 2, N)
    x = found.frame.matrix[: found.k]
    mean = [w @ (found.beta @ basis(x, np.full(N, z))) / w.sum() for z in found.dose]
    np.testing.assert_allclose(pseudo_outcomes(found, stable), stable * found.residual + mean, rtol=1e-9, atol=1e-9)


def test_complete_cases_of_both_models_are_used() -> None:
    data = dosed(N)
    holed = data.covariates.copy()
    holed[3, 0] = np.nan
    assert dose_sample(Plan(replace(data, propensity_covariates=holed), Settings())).n == N - 1
    assert dose_sample(Plan(data, Settings())).n == N


def test_a_determined_dose_and_too_few_rows_are_refused() -> None:
    data = dosed(N)
    line = replace(data, treatment=data.covariates @ [1.0, 0.1])
    assert refusal(line) == "dose.determined-by-covariates"
    assert refusal(data.rows(np.arange(9))) == "inference.too-few-rows"
    assert models_of(data.rows(np.arange(10))).frame.n == 10
