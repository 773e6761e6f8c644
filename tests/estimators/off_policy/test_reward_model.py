from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.off_policy.reward_model import Rewards, fit_rewards
from tests.estimators.designs import logged


def fitted(data: Data, actions: int = 3, *, crossed: bool = False, **settings: object) -> Rewards:
    plan = Plan(data, Settings(**settings))
    sample = plan.sample("y", "covariates", "action")
    return fit_rewards(plan, sample, sample.take(data.action), actions, crossed=crossed)


def weights_of(data: Data) -> np.ndarray:
    return np.ones(data.n) if data.weights is None else data.weights


def weighted(data: Data) -> Data:
    return replace(data, weights=np.random.default_rng(1).uniform(0.5, 2, data.n))


def predictions(data: Data, actions: int, rows: np.ndarray, *, own_slopes: bool) -> np.ndarray:
    """(n, actions) predictions of least squares on some rows; the overall mean for an action without any."""
    x, root = np.column_stack([np.ones(data.n), data.covariates]), np.sqrt(weights_of(data))
    found = np.empty((data.n, actions))
    if own_slopes:
        for action in range(actions):
            own = rows & (data.action == action)
            found[:, action] = x @ np.linalg.lstsq(x[own] * root[own, None], data.y[own] * root[own], rcond=None)[0]
        return found
    dummies = (data.action[:, None] == np.arange(actions)).astype(float)
    seen = dummies[rows].any(axis=0)
    z = np.column_stack([dummies[:, seen], data.covariates])
    beta = np.linalg.lstsq(z[rows] * root[rows, None], data.y[rows] * root[rows], rcond=None)[0]
    level = np.full(actions, np.average(data.y[rows], weights=root[rows] ** 2))
    means = np.average(data.covariates[rows], axis=0, weights=root[rows] ** 2)
    level -= means @ beta[seen.sum() :]
    level[seen] = beta[: seen.sum()]
    return level + (data.covariates @ beta[seen.sum() :])[:, None]


def random_policy(n: int, actions: int) -> np.ndarray:
    return np.random.default_rng(2).dirichlet(np.ones(actions), n)


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize(("n", "actions", "kind"), [(600, 3, "by action"), (200, 30, "additive")])
def test_predictions_are_those_of_least_squares(n: int, actions: int, kind: str, with_weights: bool) -> None:
    data = logged(n, actions=actions, policy=False)
    data = weighted(data) if with_weights else data
    found = fitted(data, actions)
    expected = predictions(data, actions, np.ones(n, dtype=bool), own_slopes=kind == "by action")
    policy = random_policy(n, actions)
    assert found.kind == kind
    np.testing.assert_allclose(found.logged, expected[np.arange(n), data.action], rtol=1e-9)
    np.testing.assert_allclose(found.value(policy)[0], (policy * expected).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.value(policy[0])[0], expected @ policy[0], rtol=1e-9)


@pytest.mark.parametrize(("n", "actions"), [(400, 3), (150, 20)])
def test_cross_fitted_predictions_are_those_of_the_other_folds(n: int, actions: int) -> None:
    data = logged(n, actions=actions, policy=False)
    found = fitted(data, actions, crossed=True, folds=4)
    folds = Plan(data, Settings(folds=4)).folds()
    policy = random_policy(n, actions)
    value, influence = found.value(policy)
    for fold in range(4):
        expected = predictions(data, actions, folds != fold, own_slopes=found.kind == "by action")
        own = folds == fold
        np.testing.assert_allclose(value[own], (policy * expected).sum(axis=1)[own], rtol=1e-8)
    assert (influence == 0).all()


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize(("n", "actions"), [(300, 3), (150, 20)])
def test_the_influence_is_what_a_row_moves_the_mean_prediction_by_through_the_coefficients(
    n: int, actions: int, with_weights: bool
) -> None:
    data = logged(n, actions=actions, policy=False)
    data = weighted(data) if with_weights else data
    policy, mass = random_policy(n, actions), weights_of(data)
    found = fitted(data, actions)
    own_slopes, step = found.kind == "by action", 1e-4

    def mean(row: int, moved: float) -> float:
        heavier = replace(data, weights=mass * (1 + moved * (np.arange(n) == row)))
        by_action = predictions(heavier, actions, np.ones(n, dtype=bool), own_slopes=own_slopes)
        return float(np.average((policy * by_action).sum(axis=1), weights=mass))

    influence = found.value(policy)[1]
    for row in (0, n // 2, n - 1):
        slope = (mean(row, step) - mean(row, -step)) / (2 * step)
        # The influence of a row does not include its own weight.
        assert influence[row] * mass[row] / mass.mean() == pytest.approx(n * slope, rel=1e-4, abs=1e-6)


def test_without_covariates_each_action_has_its_mean() -> None:
    data = logged(300, policy=False)
    none = np.empty((300, 0))
    found = fitted(replace(data, covariates=none, propensity_covariates=none))
    means = [data.y[data.action == action].mean() for action in range(3)]
    np.testing.assert_allclose(found.logged, np.array(means)[data.action], rtol=1e-12)


def test_slopes_are_shared_below_five_rows_for_each_coefficient_of_an_action() -> None:
    data = logged(300, policy=False)
    rare = np.flatnonzero(data.action == 2)
    for rows, kind in ((15, "by action"), (14, "additive")):
        few = data.rows(np.concatenate([np.flatnonzero(data.action != 2), rare[:rows]]))
        assert fitted(few).kind == kind


def test_fewer_rows_than_coefficients_are_refused() -> None:
    data = logged(300, policy=False).rows(np.arange(3))
    with pytest.raises(UnusableData) as caught:
        fitted(data)
    assert caught.value.args[0].code == "off_policy.too-few-rows-in-fold"
