from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.sensitivity.short_models import MODELS, Short, sample_frame, splits
from tests.estimators.designs import cross_section


def known(*, weighted: bool) -> Data:
    """Data with given probabilities of treatment, of which none is clipped."""
    data = cross_section(n=300, weights=weighted)
    return replace(data, pscore=np.random.default_rng(2).uniform(0.2, 0.8, 300))


def without_fold(plan: Plan, values: np.ndarray, only: np.ndarray) -> np.ndarray:
    """Predictions by least squares on some rows of the other folds."""
    data, folds = plan.data, plan.folds(0)
    x, found = np.column_stack([np.ones(data.n), data.covariates]), np.empty(data.n)
    root = np.sqrt(np.ones(data.n) if data.weights is None else data.weights)
    for fold in np.unique(folds):
        train = (folds != fold) & only
        beta = np.linalg.lstsq((x * root[:, None])[train], (values * root)[train], rcond=None)[0]
        found[folds == fold] = x[folds == fold] @ beta
    return found


@pytest.mark.parametrize("weighted", [False, True])
def test_the_partially_linear_model_regresses_residuals_on_residuals(weighted: bool):
    data = known(weighted=weighted)
    plan, every = Plan(data, Settings()), np.ones(300, dtype=bool)
    d, y = (values - without_fold(plan, values, every) for values in (data.treatment, data.y))
    theta = np.average(d * y, weights=data.weights) / np.average(d * d, weights=data.weights)
    found = MODELS["dml_plr"](plan, 0)
    assert found.estimate == pytest.approx(theta, rel=1e-8)
    assert found.outcome == pytest.approx(np.average((y - theta * d) ** 2, weights=data.weights), rel=1e-8)
    assert found.riesz == pytest.approx(1 / np.average(d * d, weights=data.weights), rel=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["ate", "att"])
def test_the_interactive_model_is_the_doubly_robust_mean_and_its_representer(target: str, weighted: bool):
    data = known(weighted=weighted)
    plan, t, p = Plan(data, Settings()), data.treatment, data.pscore
    mu = [without_fold(plan, data.y, t == arm) for arm in (0, 1)]
    residual = data.y - np.where(t > 0, mu[1], mu[0])
    if target == "ate":
        share, over = 1.0, np.ones(300)
        representer, riesz = t / p - (1 - t) / (1 - p), 2 / (p * (1 - p)) - (t / p - (1 - t) / (1 - p)) ** 2
    else:
        share = np.average(t, weights=data.weights)
        over = t / share
        representer = (t - (1 - t) * p / (1 - p)) / share
        riesz = 2 * t / (1 - p) / share**2 - representer**2
    score = over * (mu[1] - mu[0]) + representer * residual
    found = MODELS[f"dml_irm_{target}"](plan, 0)
    assert found.estimate == pytest.approx(np.average(score, weights=data.weights), rel=1e-8)
    assert found.outcome == pytest.approx(np.average(residual**2, weights=data.weights), rel=1e-8)
    assert found.riesz == pytest.approx(np.average(riesz, weights=data.weights), rel=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_influence_functions_have_mean_zero(name: str):
    found: Short = MODELS[name](Plan(known(weighted=True), Settings()), 1)
    assert found.contributions.sum() == pytest.approx(0, abs=1e-10)
    assert found.of_bias.sum() == pytest.approx(0, abs=1e-10)


def test_the_influence_on_the_largest_bias_is_its_derivative_by_a_rows_weight():
    plan, every = Plan(known(weighted=False), Settings()), np.ones(300, dtype=bool)
    d, y = (values - without_fold(plan, values, every) for values in (plan.data.treatment, plan.data.y))
    left = y - (d @ y / (d @ d)) * d

    def bias(weights: np.ndarray) -> float:
        return float(np.sqrt(weights @ left**2 / (weights @ d**2)))

    found = MODELS["dml_plr"](plan, 0).of_bias
    for row in (0, 17, 200):
        step = 1e-5 * (np.arange(300) == row)
        # Orthogonality removes the estimate's own derivative; the means' denominators cancel.
        assert found[row] == pytest.approx((bias(1 + step) - bias(1 - step)) / 2e-5, rel=1e-5)


def test_a_treatment_that_the_covariates_determine_is_refused():
    data = cross_section(n=300, weights=False)
    with pytest.raises(UnusableData) as caught:
        MODELS["dml_plr"](Plan(replace(data, treatment=data.covariates[:, 0] * 2, treatment_kind="continuous"),
                               Settings()), 0)  # fmt: skip
    assert caught.value.detail.code == "nuisance.treatment-determined"


def test_many_repetitions_are_read_up_to_eleven():
    plan = Plan(cross_section(n=60), Settings())
    assert splits(plan) == range(1)
    assert splits(Plan(cross_section(n=60), Settings(repetitions=7))) == range(7)
    assert splits(Plan(cross_section(n=60), Settings(repetitions=50))) == range(11)


def test_the_interactive_model_needs_the_treatment_models_columns_and_the_other_does_not():
    data = known(weighted=False)
    score = data.pscore.copy()
    score[:9] = np.nan
    plan = Plan(replace(data, pscore=score), Settings())
    assert sample_frame(plan, "dml_plr").n == 300
    assert sample_frame(plan, "dml_irm_ate").n == 291
