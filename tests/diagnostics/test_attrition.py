"""Bounds on an effect with missing outcomes."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats import proportion

from cqox.estimators import Settings
from tests.diagnostics.looking import judged, trial


def test_outcomes_lost_more_in_one_arm_are_reported_with_bounds():
    data = trial(600)
    y = data.y.copy()
    lost = (data.treatment > 0) & (np.random.default_rng(1).random(data.n) < 0.2)
    y[lost] = np.nan
    found = judged(replace(data, y=y), only=["difference_in_means"]).diagnostics["attrition"]
    assert (found["untreated_rows_missing"], found["treated_rows_missing"]) == (0, int(lost.sum()))
    assert found["p_value"] < 1e-6
    worst, trimming = found["worst_case"], found["trimming"]
    assert worst["lower"] < trimming["lower"] <= trimming["upper"] < worst["upper"]
    assert trimming["trimmed"] == pytest.approx(lost.sum() / (data.treatment > 0).sum())


def test_a_range_of_outcomes_that_was_asked_for_is_used():
    data = trial(200)
    y = data.y.copy()
    y[:20] = np.nan
    holed = replace(data, y=y)
    narrow = judged(holed, only=["difference_in_means"]).diagnostics["attrition"]["worst_case"]
    asked = Settings(outcome_range=(-50.0, 50.0))
    wide = judged(holed, only=["difference_in_means"], settings=asked).diagnostics["attrition"]["worst_case"]
    assert wide["lower"] < narrow["lower"]


def test_nothing_is_said_where_no_outcome_is_missing():
    found = judged(trial(60), only=["difference_in_means"]).diagnostics["attrition"]
    assert (found["untreated_rows_missing"], found["treated_rows_missing"]) == (0, 0)
    assert found["reason"] == "No row with a treatment has a missing outcome."
    assert "trimming" not in found


def test_shares_are_compared_by_rows_as_statsmodels_does_and_by_clusters_as_a_regression_does():
    data, rng = trial(400), np.random.default_rng(3)
    codes = rng.integers(0, 40, 400)
    y = data.y.copy()
    y[rng.random(400) < 0.1 + 0.2 * (codes % 3 == 0)] = np.nan
    treated, missing = data.treatment > 0, np.isnan(y)
    found = judged(replace(data, y=y), only=["difference_in_means"]).diagnostics["attrition"]
    counts = [missing[treated].sum(), missing[~treated].sum()]
    sizes = [treated.sum(), (~treated).sum()]
    _, p_value = proportion.test_proportions_2indep(
        counts[0], sizes[0], counts[1], sizes[1], method="wald", return_results=False
    )  # fmt: skip
    assert found["p_value"] == pytest.approx(p_value, rel=1e-9)
    clustered = judged(replace(data, y=y, clusters=(codes,)), only=["difference_in_means"]).diagnostics["attrition"]
    fit = sm.OLS(missing.astype(float), sm.add_constant(treated.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}, use_t=True
    )
    scale = np.sqrt(len(np.unique(codes)) / (len(np.unique(codes)) - 1))
    assert clustered["p_value"] == pytest.approx(
        2 * stats.t.sf(abs(fit.tvalues[1]) / scale, len(np.unique(codes)) - 1), rel=1e-9
    )
    assert clustered["trimming"]["ci_lower"] != found["trimming"]["ci_lower"]
