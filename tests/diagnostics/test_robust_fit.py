"""Least squares with robust errors, against statsmodels."""

import numpy as np
import pytest

from cqox.diagnostics.robust_fit import cluster_codes, robust_fit
from tests.diagnostics.looking import judged, trial

sm = pytest.importorskip("statsmodels.api")


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(200), rng.standard_normal((200, 3))])
    return x, x @ [1, 0.5, 0, -1] + rng.standard_normal(200) * (1 + x[:, 1] ** 2), np.arange(200) // 5


@pytest.mark.parametrize("clustered", [False, True])
def test_errors_and_tests_are_those_of_statsmodels(clustered: bool) -> None:
    x, y, codes = drawn()
    fit = robust_fit(x, y, codes=codes if clustered else None)
    assert fit is not None
    options = {"cov_type": "cluster", "cov_kwds": {"groups": codes}} if clustered else {"cov_type": "HC1"}
    peer = sm.OLS(y, x).fit(use_t=True, **options)
    assert fit.coefficients == pytest.approx(peer.params, rel=1e-10)
    assert fit.covariance == pytest.approx(peer.cov_params(), rel=1e-9, abs=1e-14)
    if not clustered:
        contrast = np.eye(4)[[1, 2]]
        assert fit.p_value(np.asarray([1, 2])) == pytest.approx(
            float(peer.f_test(contrast).pvalue), rel=0.02
        )  # fmt: skip


def test_weights_are_those_of_weighted_least_squares() -> None:
    x, y, _ = drawn()
    weights = 0.5 + np.arange(200) / 100
    fit, peer = robust_fit(x, y, weights=weights), sm.WLS(y, x, weights=weights).fit(cov_type="HC1")
    assert fit is not None
    assert fit.covariance == pytest.approx(peer.cov_params(), rel=1e-9, abs=1e-14)


def test_collinear_columns_and_too_few_rows_give_none() -> None:
    x, y, _ = drawn()
    assert robust_fit(np.column_stack([x, x[:, 1]]), y) is None
    assert robust_fit(x[:5], y[:5]) is None
    assert robust_fit(x, y, codes=np.zeros(200, dtype=np.int64)) is None


def test_rows_without_clusters_have_no_codes() -> None:
    plan = judged(trial(), only=["difference_in_means"]).plan
    assert cluster_codes(plan, plan.sample("y")) is None
