from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.learners.effect_models import (
    Trainings,
    by_arms,
    by_imputation,
    by_scores,
    predict,
    score_products,
    trainings,
)
from cqox.estimators.nuisance.orthogonal_scores import effect_scores
from tests.estimators.designs import cross_section


class Fit:
    """Least squares with an intercept."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.beta = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.beta[0] + x @ self.beta[1:]


def known(n: int = 1500) -> Data:
    """Data with a known probability of treatment."""
    return replace(cross_section(n=n, weights=False), pscore=np.random.default_rng(3).uniform(0.3, 0.7, n))


def t_effects(data: Data, train: np.ndarray, at: np.ndarray) -> np.ndarray:
    x, t, y = data.covariates, data.treatment, data.y
    arms = [Fit(x[train & (t == arm)], y[train & (t == arm)]) for arm in (0, 1)]
    return arms[1].predict(x[at]) - arms[0].predict(x[at])


def x_effects(data: Data, folds: np.ndarray, used: list[int], at: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Fit the imputation of each fold's effects on the other used folds, or on itself where it is alone."""
    x, t, y = data.covariates, data.treatment, data.y
    imputed = np.full(data.n, np.nan)
    for fold in used:
        own, rest = folds == fold, np.isin(folds, [other for other in used if other != fold] or used)
        mu0, mu1 = (Fit(x[rest & (t == arm)], y[rest & (t == arm)]).predict(x[own]) for arm in (0, 1))
        imputed[own] = np.where(t[own] > 0, y[own] - mu0, mu1 - y[own])
    train = np.isin(folds, used)
    tau0, tau1 = (Fit(x[train & (t == arm)], imputed[train & (t == arm)]).predict(x[at]) for arm in (0, 1))
    return e[at] * tau0 + (1 - e[at]) * tau1


def test_the_learners_effects_equal_least_squares_on_the_same_folds():
    data = known()
    plan = Plan(data, Settings(seed=7))
    frame = plan.frame("xty", plan.doubly_robust_sample())
    blocks, counts = plan.blocks(frame)
    folds, k, y = plan.folds(0), frame.at["x"].stop, frame.column("y")
    plan_of = trainings(counts, k)
    assert plan_of.first == 1
    found = {
        "t": predict(frame, by_arms(blocks, k, y, plan_of), folds),
        "x": predict(frame, by_imputation(blocks, k, y, plan_of), folds, data.pscore),
    }
    for fold in range(5):
        at, others, earlier = folds == fold, [k for k in range(5) if k != fold], list(range(fold))
        for name, attribute, used in (
            (name, attribute, used)
            for name in "tx"
            for attribute, used in (("without", others), ("before", earlier))
            if used
        ):
            train = np.isin(folds, used)
            expected = t_effects(data, train, at) if name == "t" else x_effects(data, folds, used, at, data.pscore)
            mine = getattr(found[name], attribute)[at] * frame.scale[y]
            np.testing.assert_allclose(mine, expected, rtol=1e-8, atol=1e-8)


def test_the_dr_learners_model_is_a_regression_of_the_scores_on_the_same_folds():
    data = known()
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.doubly_robust_sample())
    blocks, counts = plan.blocks(frame)
    folds, k = plan.folds(0), frame.at["x"].stop
    scores = effect_scores(plan, frame, plan.propensity(), 0).values
    models = by_scores(blocks.sum(axis=1)[:, :k, :k], score_products(frame, scores, folds, 5), trainings(counts, k))
    found = predict(frame, models, folds)
    for fold in range(1, 5):
        own, train = folds == fold, folds < fold
        expected = Fit(data.covariates[train], scores[train]).predict(data.covariates[own])
        np.testing.assert_allclose(found.before[own], expected, rtol=1e-8, atol=1e-8)


def test_without_cross_fitting_imputed_effects_are_the_difference_of_the_arms():
    data = known()
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.doubly_robust_sample())
    whole = plan.blocks(frame)[0].sum(axis=0, keepdims=True)
    k, y = frame.at["x"].stop, frame.column("y")
    once = Trainings(members=np.array([[True], [True]]), first=0)
    arms, imputed = by_arms(whole, k, y, once), by_imputation(whole, k, y, once)
    np.testing.assert_allclose(imputed[0, 0], arms[0, 0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(imputed[0, 1], arms[0, 0], rtol=1e-9, atol=1e-11)


def test_trainings_use_all_other_folds_and_the_earlier_ones_once_they_have_rows_enough():
    found = trainings(np.array([[10.0, 8.0], [10.0, 8.0], [10.0, 8.0], [10.0, 8.0]]), 4)
    assert found.folds == 4
    np.testing.assert_array_equal(found.members[:4], ~np.eye(4, dtype=bool))
    np.testing.assert_array_equal(found.members[4:], np.tri(4, k=-1, dtype=bool))
    # An arm needs 4 coefficients and 10 rows more: two folds of 8 have them, one does not.
    assert found.first == 2
    assert trainings(np.full((4, 2), 2.0), 4).first == 4
    assert trainings(np.full((4, 2), 14.0), 4).first == 1
    assert trainings(np.full((4, 2), 13.0), 4).first == 2


def test_trainings_without_a_model_have_no_coefficients():
    data = known(300)
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.doubly_robust_sample())
    blocks, counts = plan.blocks(frame)
    plan_of = replace(trainings(counts, 5), first=3)
    for found in (by_arms(blocks, 5, frame.column("y"), plan_of), by_imputation(blocks, 5, frame.column("y"), plan_of)):
        assert (found[5:8] == 0).all()
        assert (found[8:] != 0).any(axis=(1, 2)).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_score_products_are_sums_within_each_fold(weighted: bool):
    data = cross_section(n=120, weights=weighted)
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.outcome_sample())
    scores, folds = np.random.default_rng(1).standard_normal(120), np.arange(120) % 3
    w = np.ones(120) if frame.weights is None else frame.weights
    expected = [frame.matrix[:5, folds == fold] @ (w * scores)[folds == fold] for fold in range(3)]
    np.testing.assert_allclose(score_products(frame, scores, folds, 3), expected, rtol=1e-10, atol=1e-12)
