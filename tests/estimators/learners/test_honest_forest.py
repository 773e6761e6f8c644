import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data
from cqox.estimators.learners import honest_forest
from tests.estimators.learners.stepped import stepped


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honest_forest, "TREES", 40)


def test_a_rows_own_outcome_has_no_say_in_its_predicted_effect():
    data = stepped(400)
    rng = np.random.default_rng(2)
    t, y = data.treatment - 0.5, data.y.copy()
    keys, learns, weights = np.arange(400), np.ones(400, dtype=bool), np.ones(400)
    before = honest_forest.grow(data.covariates, t, y, keys, learns, weights, 3).effects
    moved = y.copy()
    moved[7] += 1e3
    after = honest_forest.grow(data.covariates, t, moved, keys, learns, weights, 3).effects
    assert after[7] == before[7]
    assert np.nanmax(np.abs(after - before)) > 1
    # Nor has that of a row of the same cluster.
    pairs = rng.permutation(np.repeat(np.arange(200), 2))
    before = honest_forest.grow(data.covariates, t, y, pairs, learns, weights, 3).effects
    after = honest_forest.grow(data.covariates, t, moved, pairs, learns, weights, 3).effects
    own = pairs == pairs[7]
    np.testing.assert_array_equal(after[own], before[own])


def test_rows_that_a_forest_may_not_learn_from_do_not_move_it():
    data = stepped(600)
    learns = np.arange(600) < 400
    t, keys, weights = data.treatment - 0.5, np.arange(600), np.ones(600)
    left = honest_forest.grow(data.covariates, t, data.y, keys, learns, weights, 3).effects
    moved = np.where(learns, data.y, 1e6)
    right = honest_forest.grow(data.covariates, t, moved, keys, learns, weights, 3).effects
    np.testing.assert_array_equal(left, right)


def test_the_leaves_are_filled_by_other_rows_than_those_that_split(monkeypatch: pytest.MonkeyPatch):
    data = stepped(500)
    seen: list[tuple[set[float], set[float]]] = []
    make = honest_forest.effect_tree

    class Watched:
        def __init__(self, **given: int) -> None:
            self.tree = make(**given)

        def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> None:
            self.split = set(x[:, 0].tolist())
            self.tree.fit(x, y, sample_weight=sample_weight)
            self.feature_importances_ = self.tree.feature_importances_

        def apply(self, x: np.ndarray) -> np.ndarray:
            seen.append((self.split, set(x[:, 0].tolist())))
            return self.tree.apply(x)

    monkeypatch.setattr(honest_forest, "effect_tree", Watched)
    everyone = np.ones(500, dtype=bool)
    honest_forest.grow(data.covariates, data.treatment - 0.5, data.y, np.arange(500), everyone, np.ones(500), 3)
    assert len(seen) == 80
    assert not any(split & other for split, other in seen)


def grown(data: Data, outcome: np.ndarray, keys: np.ndarray, seed: int = 3) -> honest_forest.Grown:
    n = len(keys)
    everyone = np.ones(n, dtype=bool)
    return honest_forest.grow(data.covariates, data.treatment - 0.5, outcome, keys, everyone, np.ones(n), seed)


def test_a_constant_effect_is_predicted_exactly_and_a_seed_repeats_the_forest():
    data = stepped(200)
    found = grown(data, 3.0 * (data.treatment - 0.5), np.arange(200))
    np.testing.assert_allclose(found.effects, 3.0, rtol=1e-10)
    np.testing.assert_array_equal(
        grown(data, data.y, np.arange(200)).effects, grown(data, data.y, np.arange(200)).effects
    )


def test_an_effect_that_depends_on_one_column_gives_it_the_importance():
    data = stepped(1000)
    step = 4.0 * (data.covariates[:, 0] > 0)
    found = grown(data, step * (data.treatment - 0.5), np.arange(1000))
    assert found.importance.sum() == pytest.approx(1.0)
    assert found.importance.argmax() == 0
    far = np.abs(data.covariates[:, 0]) > 0.5
    np.testing.assert_allclose(found.effects[far], step[far], atol=1.0)


def test_fewer_than_forty_units_are_refused():
    data = stepped(200)
    with pytest.raises(UnusableData) as caught:
        grown(data, data.y, np.arange(200) % 39)
    assert caught.value.detail.code == "learners.too-few-units-for-forest"
    assert caught.value.detail.params["units"] == 39
