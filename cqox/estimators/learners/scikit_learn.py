"""Tree-based nuisance functions: the only module that imports scikit-learn, which is an extra.

Predictions depend on the order of sums, so that another row order may change a split; rows are therefore sorted by
their keys first, which removes the table's order.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector

__all__ = ["EffectTree", "Model", "boosted", "canonical_order", "effect_tree", "lacks", "out_of_fold"]


class Model(Protocol):
    """A regression learner."""

    def fit(self, x: Matrix, y: Vector, sample_weight: Vector | None = None) -> object:
        """Fit to (n, p) columns and (n,) values."""
        ...

    def predict(self, x: Matrix) -> Vector:
        """Return (n,) predicted means."""
        ...


class EffectTree(Protocol):
    """A tree that reports the leaf of each row."""

    feature_importances_: Vector

    def fit(self, x: NDArray[np.float32], y: Vector, sample_weight: Vector | None = None) -> object:
        """Fit the splits."""
        ...

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return (n,) the leaf of each row."""
        ...


def lacks(extra: str) -> Message | None:
    """Return a reason if scikit-learn, which an extra installs, is missing."""
    if find_spec("sklearn") is None:
        return Message("learners.needs-scikit-learn", extra=extra)
    return None


def boosted(*, probability: bool) -> Model:
    """Return gradient-boosted trees: 100 of depth at most 3, learning rate 0.1."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    chosen = {"max_iter": 100, "max_depth": 3, "learning_rate": 0.1, "early_stopping": False, "random_state": 0}
    if probability:
        return _Probability(HistGradientBoostingClassifier(**chosen))
    return cast("Model", HistGradientBoostingRegressor(**chosen))


class _Classifier(Protocol):
    def fit(self, x: Matrix, y: Vector, sample_weight: Vector | None = None) -> object: ...

    def predict_proba(self, x: Matrix) -> Matrix: ...


class _Probability:
    """A classifier of 0/1 whose prediction is the probability of 1."""

    def __init__(self, classifier: object) -> None:
        self._classifier = cast("_Classifier", classifier)

    def fit(self, x: Matrix, y: Vector, sample_weight: Vector | None = None) -> object:
        return self._classifier.fit(x, y, sample_weight=sample_weight)

    def predict(self, x: Matrix) -> Vector:
        return self._classifier.predict_proba(x)[:, 1]


def effect_tree(*, leaf: int, seed: int) -> EffectTree:
    """Return a regression tree with a minimum leaf size, each split trying two thirds of the columns."""
    from sklearn.tree import DecisionTreeRegressor

    return cast("EffectTree", DecisionTreeRegressor(min_samples_leaf=leaf, max_features=0.67, random_state=seed))


def canonical_order(row_key: NDArray[np.uint64], *columns: Vector) -> NDArray[np.intp]:
    """Return (n,) positions of the rows in the order of their keys, and by the columns where keys are equal."""
    return np.lexsort((*columns, row_key))


def out_of_fold(
    make: Callable[[], Model],
    x: Matrix,
    y: Vector,
    folds: NDArray[np.integer],
    learns: NDArray[np.bool_] | None,
    weights: Vector | None,
) -> Vector:
    """Return (n,) cross-fitted predictions: each row by a model of the rows of all other folds.

    Args:
        make: returns a new model.
        x: (n, p) columns.
        y: (n,) the outcome of the model.
        folds: (n,) of the rows.
        learns: (n,) the rows used for training; all where None.
        weights: (n,) sampling weights.
    """
    from threadpoolctl import threadpool_limits

    found = np.empty(len(y))
    # One thread: two threads wait for each other at every split, which takes longer than the work on a busy machine.
    with threadpool_limits(1):
        for fold in np.unique(folds):
            own = folds == fold
            rest = ~own if learns is None else ~own & learns
            model = make()
            model.fit(x[rest], y[rest], sample_weight=None if weights is None else weights[rest])
            found[own] = model.predict(x[own])
    return found
