from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators import Plan, Settings
from cqox.estimators.nuisance.propensity import (
    Propensity,
    fitted_propensity,
    given_probabilities,
    score_correction,
)
from cqox.estimators.sample import Sample
from tests.estimators.designs import cross_section


def given(values: list[float]) -> Propensity:
    e = np.array(values)
    index = np.flatnonzero(np.isfinite(e))
    return Propensity(e=e, known=True, sample=Sample(total=len(e), n=len(index), index=index), coefficients={})


def test_given_probabilities_must_lie_strictly_between_zero_and_one():
    assert given_probabilities(given([0.2, np.nan, 0.9999])) is None
    reason = given_probabilities(given([0.0, 0.5, 1.0, np.nan]))
    assert reason.code == "nuisance.given-outside"
    assert reason.params["rows"] == 2


def test_a_given_score_has_no_fit_to_correct_for():
    score = given([0.2, np.nan, 0.7])
    assert score.used.tolist() == [0.2, 0.7]
    assert score.inverse.shape == (0, 0)
    assert score_correction(score, np.array([0.0, 1.0]), np.array([1.0, 2.0])).tolist() == [0.0, 0.0]


def test_a_fitted_score_is_by_row_of_the_data_and_caches_its_inverse():
    data = cross_section(n=200)
    y = data.y.copy()
    y[[3, 8]] = np.nan
    plan = Plan(replace(data, y=y), Settings())
    score = plan.propensity(plan.doubly_robust_sample())
    assert np.flatnonzero(np.isnan(score.e)).tolist() == [3, 8]
    np.testing.assert_array_equal(score.used, score.logit.probabilities)
    assert score.inverse is score.inverse
    assert set(score.coefficients) == {"(intercept)", "x0", "x1", "x2", "x3"}


def test_probabilities_of_zero_or_one_but_for_rounding_are_a_warning_that_counts_them():
    plan = Plan(cross_section(n=200), Settings())
    logit = plan.propensity().logit
    extreme = logit.probabilities.copy()
    extreme[[0, 1]], extreme[2] = 1e-8, 1 - 1e-8
    (warning,) = fitted_propensity(replace(logit, probabilities=extreme), of=Message("nuisance.treatment")).warnings
    assert warning.code == "nuisance.extreme-probabilities"
    assert warning.params["rows"] == 3
    assert not fitted_propensity(logit).warnings


@pytest.mark.parametrize("weighted", [False, True])
def test_the_correction_is_the_score_of_each_row_through_the_information(weighted: bool):
    data = cross_section(n=150, weights=weighted)
    plan = Plan(data, Settings())
    score = plan.propensity()
    slopes = np.random.default_rng(1).standard_normal(150)
    x = np.column_stack([np.ones(150), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])
    weights = np.ones(150) if data.weights is None else data.weights / data.weights.mean()
    e = score.used
    information = (x * (weights * e * (1 - e))[:, None]).T @ x
    expected = x @ np.linalg.solve(information, x.T @ slopes) * (data.treatment - e) * weights
    np.testing.assert_allclose(score_correction(score, data.treatment, slopes), expected, rtol=1e-7, atol=1e-10)
