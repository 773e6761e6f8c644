"""An honest forest of effects: half of each tree's rows choose the splits, the other half estimate the leaves.

A tree splits on the effect itself: the regression of outcome residuals on treatment residuals, as a weighted mean of
their ratios. A prediction is the same regression, weighted by how often rows share a leaf; trees that used a row, or
another row with its key, are excluded from its own prediction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.learners.scikit_learn import effect_tree

__all__ = ["Grown", "grow"]

TREES = 200
_LEAF = 10
_FEWEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The predictions of a forest.

    Attributes:
        effects: (n,) of each row, NaN without a prediction; training rows have out-of-bag predictions.
        importance: (p,) the share of the splits' gain by each column.
    """

    effects: Vector
    importance: Vector


def grow(
    x: Matrix, treated: Vector, outcome: Vector, keys: NDArray[np.integer], learns: NDArray[np.bool_],
    weights: Vector, seed: int,
) -> Grown:  # fmt: skip
    """Fit a forest of outcome residuals on treatment residuals.

    Args:
        x: (n, p) columns.
        treated: (n,) the treatment less its probability, nowhere 0.
        outcome: (n,) the outcome less its mean given the columns.
        keys: (n,) numbers without gaps of the sampling units: the row, or its cluster.
        learns: (n,) rows that trees may use.
        weights: (n,) sampling weights.
        seed: seed of the subsamples.

    Raises:
        UnusableData: there are too few rows or clusters to sample from.
    """
    narrow = np.ascontiguousarray(x, dtype=np.float32)
    available = np.unique(keys[learns])
    if len(available) < _FEWEST:
        raise UnusableData(Message("learners.too-few-units-for-forest", fewest=_FEWEST, units=len(available)))
    above, below = np.zeros(len(x)), np.zeros(len(x))
    importance = np.zeros(x.shape[1])
    for tree in range(TREES):
        random = np.random.default_rng([seed, tree])
        drawn = random.permutation(available)[: len(available) // 2]
        part = np.zeros(int(keys.max()) + 1, dtype=np.int8)
        part[drawn[: len(drawn) // 2]], part[drawn[len(drawn) // 2 :]] = 1, 2
        role = np.where(learns, part[keys], 0)
        splits, fills, others = (np.flatnonzero(role == each) for each in (1, 2, 0))
        model = effect_tree(leaf=_LEAF, seed=int(random.integers(2**31)))
        model.fit(
            narrow[splits], outcome[splits] / treated[splits], sample_weight=weights[splits] * treated[splits] ** 2
        )
        leaf = model.apply(narrow[fills])
        size = int(leaf.max()) + 1
        mass = np.bincount(leaf, weights[fills], size)
        with np.errstate(divide="ignore", invalid="ignore"):
            cross = np.bincount(leaf, weights[fills] * treated[fills] * outcome[fills], size) / mass
            square = np.bincount(leaf, weights[fills] * treated[fills] ** 2, size) / mass
        own = model.apply(narrow[others])
        said = own < size
        said[said] = mass[own[said]] > 0
        rows = others[said]
        above[rows] += cross[own[said]]
        below[rows] += square[own[said]]
        importance += model.feature_importances_
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = np.where(below > 0, above / below, np.nan)
    return Grown(effects=effects, importance=importance / max(float(importance.sum()), 1e-300))
