from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.learners.best_linear_predictor import best_linear
from tests.estimators.designs import cross_section

SCORES = np.random.default_rng(7).standard_normal(160) + np.arange(160) / 40


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_and_covariance_are_those_of_a_regression_on_raw_columns(weighted: bool, clustered: bool):
    data = cross_section(n=160, weights=weighted)
    plan, codes = Plan(data, Settings()), np.arange(160) % 14
    frame = plan.frame("xty", plan.outcome_sample())
    clusters = Clusters(codes=(codes,), counts=(14,)) if clustered else Clusters()
    beta, covariance = best_linear(frame, SCORES, clusters)
    w = np.ones(160) if data.weights is None else data.weights / data.weights.mean()
    x = np.column_stack([np.ones(160), data.covariates])
    inverse = np.linalg.inv((x * w[:, None]).T @ x)
    expected = inverse @ (x.T @ (w * SCORES))
    moves = x * (w * (SCORES - x @ expected))[:, None]
    factor = 160 / 155
    if clustered:
        moves, factor = np.stack([moves[codes == code].sum(axis=0) for code in range(14)]), 14 / 13 * 159 / 155
    np.testing.assert_allclose(beta, expected, rtol=1e-8)
    np.testing.assert_allclose(covariance, inverse @ moves.T @ moves @ inverse * factor, rtol=1e-7, atol=1e-12)


def test_without_covariates_it_is_the_mean_with_its_error():
    data = cross_section(n=160, weights=False)
    plan = Plan(replace(data, covariates=np.empty((160, 0))), Settings())
    beta, covariance = best_linear(plan.frame("xty", plan.outcome_sample()), SCORES, Clusters())
    assert beta == pytest.approx([SCORES.mean()])
    assert covariance[0, 0] == pytest.approx(SCORES.var(ddof=1) / 160)
