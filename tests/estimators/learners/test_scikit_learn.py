import numpy as np
import pytest

from cqox.estimators.learners.scikit_learn import boosted, canonical_order, effect_tree, lacks, out_of_fold

RNG = np.random.default_rng(2)
X, FOLDS = RNG.standard_normal((120, 2)), np.arange(120) % 3


class Mean:
    """A model that predicts the weighted mean of its rows."""

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        self.mean = np.average(y, weights=sample_weight)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.mean)


@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_is_predicted_by_a_model_of_the_rows_of_other_folds_that_learn(weighted: bool):
    y, learns = np.arange(120.0), np.arange(120) % 5 > 0
    weights = np.linspace(0.5, 2.0, 120) if weighted else None
    for rows in (None, learns):
        found = out_of_fold(Mean, X, y, FOLDS, rows, weights)
        for fold in range(3):
            train = (fold != FOLDS) & (True if rows is None else rows)
            expected = np.average(y[train], weights=None if weights is None else weights[train])
            assert set(found[fold == FOLDS]) == {expected}


def test_rows_are_ordered_by_their_keys_and_equal_keys_by_the_columns():
    keys = np.array([3, 1, 3, 1], dtype=np.uint64)
    first, second = np.array([0.0, 5.0, 1.0, 5.0]), np.array([0.0, 2.0, 0.0, 1.0])
    assert canonical_order(keys, first).tolist() == [1, 3, 0, 2]
    assert canonical_order(keys, second, first).tolist() == [3, 1, 0, 2]
    assert canonical_order(keys[:0]).tolist() == []


def test_a_missing_scikit_learn_is_a_reason_that_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    assert lacks("boost") is None
    monkeypatch.setattr("cqox.estimators.learners.scikit_learn.find_spec", lambda name: None)
    assert lacks("boost").code == "learners.needs-scikit-learn"
    assert lacks("boost").params["extra"] == "boost"


def test_boosted_trees_predict_a_mean_or_a_probability():
    step = (X[:, 0] > 0).astype(float)
    mean = boosted(probability=False)
    mean.fit(X, 10 * step)
    assert np.abs(mean.predict(X) - 10 * step).max() < 1
    chance = boosted(probability=True)
    chance.fit(X, step)
    assert ((chance.predict(X) > 0.5) == (step > 0)).mean() > 0.95
    assert 0 < chance.predict(X).min() < chance.predict(X).max() < 1


def test_a_tree_keeps_its_smallest_leaf_and_repeats_with_its_seed():
    trees = [effect_tree(leaf=17, seed=5) for _ in range(2)]
    for tree in trees:
        tree.fit(X.astype(np.float32), X[:, 0] + RNG.standard_normal(120) * 0)
    leaves = [tree.apply(X.astype(np.float32)) for tree in trees]
    np.testing.assert_array_equal(*leaves)
    assert np.unique(leaves[0], return_counts=True)[1].min() >= 17
    assert trees[0].feature_importances_.sum() == pytest.approx(1.0)
