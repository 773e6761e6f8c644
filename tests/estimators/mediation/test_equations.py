from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.mediation.equations import (
    Equations,
    covariance_of,
    equal_variance,
    fit_equations,
    mediation_frame,
    residuals,
    row_moves,
)
from cqox.estimators.numerics.frame import Frame
from tests.estimators.designs import mediated


def solved(data: Data, *, interacted: bool) -> tuple[Frame, Equations]:
    plan = Plan(data, Settings())
    frame = mediation_frame(plan, plan.sample("y", "treatment", "mediator", "covariates"))
    return frame, fit_equations(frame, frame.products, data.mediators.shape[1], interacted=interacted)


def design(*, mediators: int = 2, weighted: bool = False) -> Data:
    data = mediated(n=250, mediators=mediators, product=0.3)
    return replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, 250) if weighted else None)


def theta(data: Data, weights: np.ndarray, *, interacted: bool) -> np.ndarray:
    """All coefficients by least squares on raw columns: a, b, c, d, and the mediators' means untreated."""
    ones, m, t = np.ones(data.n), data.mediators, data.treatment
    x = np.column_stack([ones, data.covariates])
    products = m * t[:, None] if interacted else np.empty((data.n, 0))
    root = np.sqrt(weights)[:, None]
    first = np.linalg.lstsq(np.column_stack([x, t]) * root, m * root, rcond=None)[0]
    second = np.linalg.lstsq(np.column_stack([x, t, m, products]) * root, data.y * root[:, 0], rcond=None)[0]
    k, width = x.shape[1], m.shape[1]
    d = second[k + 1 + width :] if interacted else np.zeros(width)
    untreated = np.average(x @ first[:k], axis=0, weights=weights)
    return np.concatenate([first[k], second[k + 1 : k + 1 + width], second[k : k + 1], d, untreated])


@pytest.mark.parametrize("interacted", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_are_those_of_least_squares_on_raw_columns(weighted: bool, interacted: bool):
    data = design(weighted=weighted)
    _, fit = solved(data, interacted=interacted)
    weights = np.ones(data.n) if data.weights is None else data.weights
    units = np.ones(9)
    for kind in "bcd":
        units[fit.at[kind]] = fit.unit
    np.testing.assert_allclose(fit.theta * units, theta(data, weights, interacted=interacted), rtol=1e-8, atol=1e-9)
    assert {kind: at.stop - at.start for kind, at in fit.at.items()} == {"a": 2, "b": 2, "c": 1, "d": 2, "m": 2}


@pytest.mark.parametrize("interacted", [False, True])
def test_a_rows_move_is_the_derivative_of_the_coefficients_by_its_weight(interacted: bool):
    data = design(weighted=True)
    frame, fit = solved(data, interacted=interacted)
    moves = row_moves(frame, fit)
    units = np.ones(9)
    for kind in "bcd":
        units[fit.at[kind]] = fit.unit
    for row in (0, 77, 249):
        step = 1e-5 * data.weights.mean() * (np.arange(data.n) == row)
        ends = [theta(data, data.weights + sign * step, interacted=interacted) for sign in (1, -1)]
        by_weight = (ends[0] - ends[1]) / 2e-5 * data.weights[row] / data.weights.mean()
        np.testing.assert_allclose(moves[:, row] * units, by_weight, rtol=1e-4, atol=1e-9)


def test_residuals_are_orthogonal_to_the_regressors_of_their_equation():
    frame, fit = solved(design(), interacted=True)
    of_mediators, of_outcome = residuals(frame, fit)
    np.testing.assert_allclose(of_mediators @ frame.matrix[fit.first].T, 0, atol=1e-9)
    np.testing.assert_allclose(frame.matrix[fit.second] @ of_outcome, 0, atol=1e-9)
    np.testing.assert_allclose(of_mediators @ of_mediators.T, fit.residual_first, rtol=1e-8)
    assert of_outcome @ of_outcome == pytest.approx(fit.residual_second, rel=1e-8)


def test_the_variance_of_equal_errors_is_that_of_least_squares():
    data = design(mediators=1)
    frame, fit = solved(data, interacted=False)
    x = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    for kind, columns, response in (
        ("a", x, data.mediators[:, 0]),
        ("c", np.column_stack([x, data.mediators]), data.y),
    ):
        beta = np.linalg.lstsq(columns, response, rcond=None)[0]
        left, place = response - columns @ beta, 3
        expected = np.linalg.inv(columns.T @ columns)[place, place] * (left @ left) / (data.n - columns.shape[1])
        gradient = np.zeros(len(fit.theta))
        gradient[fit.at[kind]] = 1.0 if kind == "a" else fit.unit
        assert equal_variance(frame, fit, gradient) == pytest.approx(expected, rel=1e-8)


def test_the_covariance_sums_over_rows_or_over_clusters_with_gaps():
    moves, codes = np.random.default_rng(1).standard_normal((3, 40)), 2 * (np.arange(40) % 7)
    np.testing.assert_allclose(covariance_of(moves, Clusters()), moves @ moves.T, rtol=1e-12)
    sums = np.stack([moves[:, codes == code].sum(axis=1) for code in np.unique(codes)])
    found = covariance_of(moves, Clusters(codes=(codes,), counts=(7,)))
    np.testing.assert_allclose(found, sums.T @ sums, rtol=1e-10, atol=1e-12)


def test_a_mediator_that_the_treatment_and_covariates_determine_is_refused():
    data = design(mediators=1)
    exact = replace(data, mediators=data.treatment[:, None] + data.covariates[:, :1])
    with pytest.raises(UnusableData) as caught:
        solved(exact, interacted=False)
    assert caught.value.detail.code == "mediation.collinear"
