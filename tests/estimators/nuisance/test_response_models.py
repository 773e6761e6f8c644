import numpy as np
import pytest
import statsmodels.api as sm

from cqox.errors import UnusableData
from cqox.estimators.nuisance.response_models import fit_response, is_binary, mean_at, slope_at

MODELS = ("linear", "logit", "probit")


def table(n: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    return x, (rng.random(n) < 1 / (1 + np.exp(-(x @ [0.3, 0.8, -0.5])))).astype(float)


def peer(model: str, x: np.ndarray, y: np.ndarray):
    return {
        "linear": sm.OLS(y, x).fit(cov_type="HC0"),
        "logit": sm.Logit(y, x).fit(disp=0, cov_type="HC0", tol=1e-12),
        "probit": sm.Probit(y, x).fit(disp=0, cov_type="HC0", tol=1e-12),
    }[model]


@pytest.mark.parametrize("model", MODELS)
def test_coefficients_and_their_robust_errors_equal_statsmodels(model: str):
    x, y = table()
    fit, expected = fit_response(model, x, y, None, response="y"), peer(model, x, y)
    assert fit.coefficients == pytest.approx(expected.params, rel=1e-7)
    assert np.sqrt(np.square(fit.moves).sum(axis=1)) == pytest.approx(expected.bse, rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_weight_of_two_is_a_row_twice(model: str):
    x, y = table(200)
    weights = 1.0 + (np.arange(200) % 2)
    twice = np.repeat(np.arange(200), weights.astype(int))
    weighted = fit_response(model, x, y, weights, response="y")
    assert weighted.coefficients == pytest.approx(
        fit_response(model, x[twice], y[twice], None, response="y").coefficients
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_slope_is_the_derivative_of_the_mean(model: str):
    eta = np.linspace(-5, 5, 41)
    numeric = (mean_at(model, eta + 1e-6) - mean_at(model, eta - 1e-6)) / 2e-6
    assert slope_at(model, eta) == pytest.approx(numeric, abs=1e-8)


def test_a_collinear_regressor_has_no_coefficient():
    x, y = table()
    fit = fit_response("probit", np.column_stack([x, 2 * x[:, 1] - 1]), y, None, response="y")
    assert fit.coefficients[:3] == pytest.approx(fit_response("probit", x, y, None, response="y").coefficients)
    assert fit.coefficients[3] == 0


@pytest.mark.parametrize("model", ["logit", "probit"])
def test_regressors_that_separate_the_responses_are_refused(model: str):
    x, _ = table()
    with pytest.raises(UnusableData, match="'bought' perfectly"):
        fit_response(model, x, (x[:, 1] > 0).astype(float), None, response="bought")


def test_more_coefficients_than_rows_are_refused():
    x, y = table(3)
    with pytest.raises(UnusableData, match="no more rows"):
        fit_response("linear", x, y, None, response="y")


def test_only_0_and_1_are_binary():
    assert is_binary(np.array([0.0, 1.0, 1.0]))
    assert not is_binary(np.array([1.0, 1.0]))
    assert not is_binary(np.array([0.0, 1.0, 2.0]))
