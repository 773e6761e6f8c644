"""Interrupted series by a forecast from the periods before."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import linalg

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.time_series.forecast import forecast
from tests.estimators.designs import EFFECT, series

ENTRY = next(entry for entry in catalog() if entry.name == "interrupted_series_forecast")


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ENTRY, Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def path(before: int = 60, after: int = 12, dependence: float = 0.6, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    periods = before + after
    shocks = rng.standard_normal(periods + 50)
    for place in range(1, periods + 50):
        shocks[place] += dependence * shocks[place - 1]
    x = np.column_stack([np.ones(periods), np.arange(periods) / periods, rng.standard_normal(periods)])
    return x @ [1.0, 2.0, 0.5] + shocks[50:], x


def test_forecasts_are_those_of_statsmodels_at_the_same_autoregression() -> None:
    y, x = path()
    found = forecast(y, x, 60)
    assert len(found.coefficients) == 1
    # Generalised least squares at this coefficient, then statsmodels' own forecast of a regression with AR errors.
    within = linalg.toeplitz(found.coefficients[0] ** np.arange(60))
    coefficients = sm.GLS(y[:60], x[:60], sigma=within).fit().params
    model = sm.tsa.SARIMAX(y[:60], exog=x[:60], order=(1, 0, 0), trend="n")
    peer = model.smooth([*coefficients, found.coefficients[0], 1.0])
    np.testing.assert_allclose(found.values, peer.forecast(12, exog=x[60:]), rtol=1e-6)


def test_the_prediction_error_is_that_of_the_joint_distribution() -> None:
    y, x = path()
    found = forecast(y, x, 60)
    rho = found.coefficients[0]
    # The mean prediction error is a fixed linear function of all errors: its weights by brute force.
    weights = np.array([(y_ - forecast_).mean() for y_, forecast_ in _by_unit_shocks(x, rho)])
    correlations = linalg.toeplitz(rho ** np.arange(72))
    scale = found.variance / (weights @ correlations @ weights)
    residuals = y[:60] - x[:60] @ np.linalg.lstsq(x[:60], y[:60], rcond=None)[0]
    basis = np.linalg.qr(x[:60])[0]
    outside = np.eye(60) - basis @ basis.T
    expected = residuals @ residuals / np.trace(outside @ correlations[:60, :60] @ outside)
    assert scale == pytest.approx(expected, rel=1e-4)


def _by_unit_shocks(x: np.ndarray, rho: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Outcomes after and their forecasts where the error is 1 in one period and 0 in the others."""
    correlations = linalg.toeplitz(rho ** np.arange(len(x)))
    within, across = correlations[:60, :60], correlations[60:, :60]
    inverse = np.linalg.inv(within)
    project = np.linalg.inv(x[:60].T @ inverse @ x[:60]) @ x[:60].T @ inverse
    found = []
    for shock in np.eye(len(x)):
        coefficients = project @ shock[:60]
        left = shock[:60] - x[:60] @ coefficients
        found.append((shock[60:], x[60:] @ coefficients + across @ inverse @ left))
    return found


def test_without_dependence_the_prediction_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(2_000), np.arange(2_000) / 2_000])
    y = rng.standard_normal(2_000)
    found = forecast(y, x, 1_900)
    peer = sm.OLS(y[:1_900], x[:1_900]).fit()
    assert found.values.mean() == pytest.approx(peer.predict(x[1_900:]).mean(), abs=0.02)
    mean = x[1_900:].mean(axis=0)
    assert found.variance == pytest.approx(mean @ peer.cov_params() @ mean + peer.scale / 100, rel=0.15)


def test_a_known_effect_is_found() -> None:
    result = answer(series(200, 50, noise=0.3))
    assert result.ci_lower < EFFECT < result.ci_upper
    assert result.estimate == pytest.approx(EFFECT, abs=0.6)
    gaps = [row["observed"] - row["counterfactual"] for row in result.diagnostics["periods"]]
    assert np.mean(gaps[200:]) == pytest.approx(result.estimate, rel=1e-9)
    assert result.diagnostics["cumulative_effect"] == pytest.approx(50 * result.estimate, rel=1e-9)


def test_the_periods_after_move_nothing_but_their_own_gap() -> None:
    data = series(60, 20)
    bent = replace(data, y=data.y + 0.5 * np.maximum(data.time - 60, 0) ** 1.5)
    left, right = answer(data), answer(bent)
    assert [row["counterfactual"] for row in left.diagnostics["periods"]] == pytest.approx(
        [row["counterfactual"] for row in right.diagnostics["periods"]], rel=1e-8
    )


def test_louder_errors_after_the_intervention_widen_the_interval() -> None:
    data = series(40, 20, dependence=0.0)
    louder = replace(data, y=data.y + 3 * np.random.default_rng(2).standard_normal(60) * data.post)
    left, right = answer(data), answer(louder)
    assert right.diagnostics["standard_deviation_ratio"] > 2
    assert right.standard_error > 1.5 * left.standard_error


def test_too_few_periods_before_to_forecast_are_refused() -> None:
    data = series(6, 8)
    crowded = replace(data, covariates=np.random.default_rng(0).standard_normal((14, 3)))
    result = run(ENTRY, Plan(crowded, Settings()))
    assert result.status == "skipped"
    assert "at least 8" in str(result.reason)
