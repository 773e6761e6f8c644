import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.stattools import durbin_watson as peer_durbin_watson

from cqox.estimators.inference.serial_correlation import (
    automatic_lag,
    autoregression,
    durbin_watson,
    innovations,
    ljung_box,
    newey_west,
)

NOTHING = np.full((200, 1), 200**-0.5)


def errors(*coefficients: float, periods: int = 200, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.zeros(periods + 100)
    for place in range(len(coefficients), len(values)):
        values[place] = rng.standard_normal() + sum(
            weight * values[place - 1 - back] for back, weight in enumerate(coefficients)
        )
    return values[100:]


@pytest.mark.parametrize(("periods", "lags"), [(20, 2), (60, 3), (100, 4), (400, 5)])
def test_the_automatic_lag_is_the_rule_of_thumb(periods: int, lags: int):
    assert automatic_lag(periods) == lags


@pytest.mark.parametrize("lags", [0, 1, 4, 9])
def test_newey_west_is_that_of_statsmodels(lags: int):
    u = errors(0.5)
    x = np.column_stack([np.ones(200), np.arange(200) / 200, np.arange(200) >= 120])
    fit = sm.OLS(u, x).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    contributions = x @ np.linalg.inv(x.T @ x)[2] * fit.resid
    assert np.sqrt(newey_west(contributions, lags, 3)) == pytest.approx(fit.bse[2], rel=1e-10)


def test_the_tests_of_dependence_are_those_of_statsmodels():
    u = errors(0.5)
    u -= u.mean()
    peer = acorr_ljungbox(u, lags=[7])
    assert ljung_box(u, 7) == pytest.approx((peer["lb_stat"].iloc[0], peer["lb_pvalue"].iloc[0]), rel=1e-10)
    assert durbin_watson(u) == pytest.approx(peer_durbin_watson(u), rel=1e-12)


def test_an_autoregression_is_found():
    found = autoregression(errors(0.6, -0.3, periods=2_000), np.full((2_000, 1), 2_000**-0.5))
    np.testing.assert_allclose(found.coefficients, [0.6, -0.3], atol=0.07)
    assert autoregression(errors(0.0), NOTHING).effective > 130
    assert autoregression(errors(0.7), NOTHING).effective < 80


def test_covariances_of_the_errors_are_found_in_residuals_of_many_regressors():
    """On average: residuals of ten regressors look much less dependent than the errors are."""
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, 60), 10))
    naive, ours = [], []
    for seed in range(200):
        residuals = errors(0.5, periods=60, seed=seed)
        residuals = residuals - basis @ (basis.T @ residuals)
        naive.append(residuals[1:] @ residuals[:-1] / (residuals @ residuals))
        found = autoregression(residuals, basis)
        ours.append(found.covariances[1] / found.covariances[0])
    assert np.mean(naive) < 0.3
    assert np.mean(ours) == pytest.approx(0.5, abs=0.12)


def test_the_variance_of_a_sum_counts_every_pair_of_periods():
    found = autoregression(errors(0.6), NOTHING)
    weights = np.random.default_rng(2).standard_normal(200)
    distances = np.abs(np.subtract.outer(np.arange(200), np.arange(200)))
    assert found.variance(weights) == pytest.approx(weights @ found.covariances[distances] @ weights, rel=1e-10)


def test_a_unit_root_is_drawn_back_and_leaves_few_degrees_of_freedom():
    walk = np.cumsum(errors(0.0))
    found = autoregression(walk - walk.mean(), NOTHING)
    assert np.isfinite(found.covariances).all()
    assert found.degrees < 10


@pytest.mark.parametrize("order", [1, 2, 4])
def test_innovations_are_what_the_autoregression_of_statsmodels_leaves(order: int):
    u = errors(0.5, 0.2)
    u = u - u.mean()
    coefficients = sm.regression.yule_walker(u, order=order, method="mle", demean=False, result_object=False)[0]
    left = u[order:] - sum(weight * u[order - back : 200 - back] for back, weight in enumerate(coefficients, start=1))
    np.testing.assert_allclose(innovations(u, order), left, rtol=1e-10, atol=1e-12)


def test_the_covariance_of_sums_has_their_variances_on_its_diagonal():
    found = autoregression(errors(0.6), NOTHING)
    weights = np.random.default_rng(2).standard_normal((3, 200))
    covariance = found.covariance(weights)
    law = found.covariances[np.abs(np.subtract.outer(range(200), range(200)))]
    np.testing.assert_allclose(covariance, weights @ law @ weights.T, rtol=1e-10)
    np.testing.assert_allclose(np.diag(covariance), [found.variance(row) for row in weights], rtol=1e-9)


def test_regressors_take_from_the_degrees_of_freedom():
    u = errors(0.4, periods=36)
    basis = np.linalg.qr(np.random.default_rng(3).standard_normal((36, 8)))[0]
    found = autoregression(u - basis @ (basis.T @ u), basis)
    left, order, total = 36 - 8, len(found.coefficients), float(np.clip(found.coefficients.sum(), 0.0, 0.95))
    expected = 2 / (4 * order * (1 + total) / ((1 - total) * left) + 2 / left)
    assert found.degrees == pytest.approx(expected, rel=1e-12)
    assert 2 < expected < left
