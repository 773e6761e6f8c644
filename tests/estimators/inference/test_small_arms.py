"""The correction for arms of few rows, against dense matrices and statsmodels."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.inference.small_arms import Carried, corrected, own_degrees, sparse_arms
from tests.estimators.designs import cross_section

ENTRIES = {entry.name: entry for entry in catalog()}
CORRECTED = (
    "g_computation_ate", "g_computation_att", "ipw_ate", "ipw_att", "overlap_weights", "entropy_balancing_ate",
    "entropy_balancing_att", "ipwra", "aipw",
)  # fmt: skip


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def trial(treated: int, untreated: int, *, seed: int = 1) -> Data:
    data = cross_section(n=treated + untreated, weights=False, seed=seed)
    return replace(data, treatment=(np.arange(data.n) < treated).astype(float))


def dense(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(m, m) maker of residuals of a regression on the columns of x, one a row, with weights."""
    return np.eye(x.shape[1]) - x.T @ np.linalg.solve((x * w) @ x.T, x * w)


@pytest.mark.parametrize("weighted", [False, True])
def test_residuals_are_scaled_and_counted_as_dense_matrices_say(weighted: bool) -> None:
    rng = np.random.default_rng(4)
    x = np.vstack([np.ones(14), rng.standard_normal((2, 14))])
    w = rng.uniform(0.2, 3.0, 14) if weighted else np.ones(14)
    loads, u = rng.standard_normal(14), rng.standard_normal(20)
    inverse = np.linalg.inv((x * w) @ x.T)
    rows = np.arange(20) < 14
    arm = Carried(rows=rows, columns=x, inverse=inverse, weights=w if weighted else None, loads=loads)
    maker = dense(x, w)
    share = np.diag(maker @ maker.T)
    scaled = np.append(u[:14] / np.sqrt(share), u[14:])
    middle = maker.T @ np.diag(loads**2 / share) @ maker
    degrees = np.trace(middle) ** 2 / np.trace(middle @ middle)
    parts = [scaled[:14] @ scaled[:14], scaled[14:] @ scaled[14:]]
    found = corrected(u, None, [arm])
    assert found.variance == pytest.approx(sum(parts), rel=1e-12)
    expected = sum(parts) ** 2 / (parts[0] ** 2 / degrees + parts[1] ** 2 / 5)
    assert found.degrees == pytest.approx(min(expected, 19), rel=1e-10)


def test_a_mean_has_its_rows_less_1_degrees_of_freedom() -> None:
    ones = np.ones((1, 9))
    assert own_degrees(ones, np.full((1, 1), 1 / 9), None, np.ones(9)) == pytest.approx(8.0, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_adjusted_regression_has_hc2_and_the_degrees_of_its_arms(weighted: bool) -> None:
    import statsmodels.api as sm

    data = trial(15, 60)
    w = np.random.default_rng(2).uniform(0.5, 2.0, 75) if weighted else np.ones(75)
    design = np.column_stack([np.ones(75), data.covariates, data.treatment])
    peer = sm.WLS(data.y, design, weights=w).fit(cov_type="HC2", use_t=True)
    result = answer("ols_adjustment", replace(data, weights=w) if weighted else data)
    assert result.se_method == "HC2"
    assert result.standard_error == pytest.approx(peer.bse[-1], rel=1e-9)
    maker = dense(design.T, w)
    hat = np.diag(np.eye(75) - maker)
    load = (np.linalg.solve((design.T * w) @ design, design.T * w))[-1]
    shares, worth = [], []
    for arm in (data.treatment > 0, data.treatment == 0):
        middle = maker.T @ np.diag(np.where(arm, load**2 / (1 - hat), 0.0)) @ maker
        worth.append(np.trace(middle) ** 2 / np.trace(middle @ middle))
        shares.append(((load * (maker @ data.y)) ** 2 / (1 - hat))[arm].sum())
    expected = sum(shares) ** 2 / sum(s**2 / v for s, v in zip(shares, worth, strict=True))
    assert result.diagnostics["degrees_of_freedom"] == pytest.approx(min(expected, 75 - design.shape[1]), rel=1e-8)


@pytest.mark.parametrize("name", CORRECTED)
def test_an_arm_of_few_rows_widens_the_interval_and_many_rows_change_nothing(name: str) -> None:
    small = answer(name, trial(30, 300))
    plain = answer(name, trial(30, 300), se="HC0")
    assert small.se_method == f"HC2 ({plain.se_method})"
    assert small.standard_error > plain.standard_error
    assert small.estimate == plain.estimate
    assert 1 <= small.diagnostics["degrees_of_freedom"] < 120
    assert any("fewer than 125 rows" in note for note in small.diagnostics["notes"])
    assert small.standard_error == small.diagnostics["standard_errors"]["HC2"]
    large = answer(name, trial(200, 300))
    assert (large.se_method, large.diagnostics.get("degrees_of_freedom")) == (plain.se_method, None)
    assert large.standard_error == answer(name, trial(200, 300), se="HC0").standard_error


@pytest.mark.parametrize("name", ["psm_ate", "psm_att", "nn_mahalanobis_ate", "nn_mahalanobis_att"])
def test_matches_of_few_rows_have_few_degrees_of_freedom(name: str) -> None:
    small, plain = answer(name, trial(30, 300)), answer(name, trial(30, 300), se="HC0")
    assert small.standard_error == plain.standard_error
    assert 1 <= small.diagnostics["degrees_of_freedom"] < 40
    assert small.ci_upper > plain.ci_upper
    assert "degrees_of_freedom" not in answer(name, trial(200, 300)).diagnostics


def test_arms_are_sparse_by_rows_and_by_rows_per_coefficient() -> None:
    assert sparse_arms((124, 125), (1, 1)) == (True, False)
    assert sparse_arms((199, 200), (10, 10)) == (True, False)


def test_rows_fitted_exactly_are_left_as_they_are() -> None:
    x = np.vstack([np.ones(5), np.eye(5)[0]])
    arm = Carried(
        rows=np.ones(5, dtype=bool), columns=x, inverse=np.linalg.inv(x @ x.T), weights=None, loads=np.ones(5)
    )
    found = corrected(np.array([0.0, 1.0, -1.0, 2.0, -2.0]), None, [arm])
    assert found.variance == pytest.approx(10 / (1 - 1 / 4), rel=1e-12)
