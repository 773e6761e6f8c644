"""Linear models of each row's effect, cross-fitted, and from earlier folds alone for evaluation.

Everything comes from cross-products by fold and arm. Evaluation uses the models from earlier folds: their predictions
never depend on rows evaluated with or after them, so that evaluation errors are a martingale (Luedtke and van der Laan
2016; Wager 2024) even without heterogeneity; predictions from all other folds lack this property.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.nuisance.cross_fitting import own_fold
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve_each
from cqox.estimators.numerics.row_blocks import Partial

__all__ = ["Predicted", "Trainings", "by_arms", "by_imputation", "by_scores", "predict", "score_products", "trainings"]

_SPARE = 10
"""Minimum excess of an arm's rows over coefficients in the earlier folds, for a usable fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainings:
    """The training folds of each model.

    Attributes:
        members: (trainings, folds) whether the fold is used; for each fold a training on all others, then for each fold
            one on the earlier ones.
        first: the first fold with enough earlier rows; the number of folds where there is none.
    """

    members: NDArray[np.bool_]
    first: int

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.members.shape[1])


def trainings(counts: NDArray[np.float64], k: int) -> Trainings:
    """Return the trainings of a split with (folds, 2) rows by arm, for models of k coefficients."""
    folds = len(counts)
    before = np.cumsum(counts, axis=0) - counts
    enough = np.flatnonzero(before.min(axis=1) >= k + _SPARE)
    first = int(enough[0]) if len(enough) else folds
    return Trainings(members=np.concatenate([~np.eye(folds, dtype=bool), np.tri(folds, k=-1, dtype=bool)]), first=first)


type Coefficients = NDArray[np.float64]
"""Shape (trainings, r, k), zero where a training has no model; r = 2 where the effect is a mean of two."""


def by_arms(blocks: NDArray[np.float64], k: int, y: int, plan: Trainings) -> Coefficients:
    """Return the difference of the arms' regressions, from (folds, 2, m, m) cross-products."""
    used = _used(plan)
    products = np.einsum("tf,faij->taij", plan.members[used].astype(float), blocks)
    fits = _solved(products[:, :, :k, :k], products[:, :, :k, y])
    found = np.zeros((len(plan.members), 1, k))
    found[used, 0] = fits[:, 1] - fits[:, 0]
    return found


def by_imputation(blocks: NDArray[np.float64], k: int, y: int, plan: Trainings) -> Coefficients:
    """Return regressions by arm of the effects imputed by the other arm's regression, the untreated first.

    The imputation of a row's effect is fitted without its fold, where there are other folds.
    """
    used = np.flatnonzero(_used(plan))
    products, right = blocks[:, :, :k, :k], blocks[:, :, :k, y]
    found = np.zeros((len(plan.members), 2, k))
    for training in used:
        folds = np.flatnonzero(plan.members[training])
        inner, sides = products[folds], right[folds]
        rest = inner.sum(axis=0) - inner if len(folds) > 1 else inner
        other = sides.sum(axis=0) - sides if len(folds) > 1 else sides
        imputing = _solved(rest, other)[:, ::-1]
        imputed = np.einsum("faij,faj->fai", inner, imputing)
        # For the treated the effect is outcome less imputation, for the untreated the reverse.
        gained = (sides - imputed).sum(axis=0) * np.array([[-1.0], [1.0]])
        found[training] = _solved(inner.sum(axis=0)[None], gained[None])[0]
    return found


def by_scores(products: NDArray[np.float64], right: Matrix, plan: Trainings) -> Coefficients:
    """Return the regression of scores, from (folds, k, k) cross-products of the columns and (folds, k) with scores."""
    used = _used(plan)
    members = plan.members[used].astype(float)
    fits = solve_each(np.einsum("tf,fij->tij", members, products), (members @ right)[:, :, None])
    found = np.zeros((len(plan.members), 1, right.shape[1]))
    found[used, 0] = fits[:, :, 0]
    return found


def score_products(frame: Frame, scores: Vector, folds: NDArray[np.integer], n_folds: int) -> Matrix:
    """Return (folds, k) cross-products of a frame's `x` with the scores, by fold."""
    k, weights = frame.at["x"].stop, frame.weights

    def work(s: slice) -> Partial:
        spread = np.zeros((n_folds, s.stop - s.start))
        own = scores[s] if weights is None else scores[s] * weights[s]
        spread[folds[s], np.arange(s.stop - s.start)] = own
        return (spread @ frame.matrix[:k, s].T,)

    (found,) = frame.rows.total(work)
    return found


def _used(plan: Trainings) -> NDArray[np.bool_]:
    used = np.ones(len(plan.members), dtype=np.bool_)
    used[plan.folds : plan.folds + plan.first] = False
    return used


def _solved(products: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (g, 2, k) solutions of (g, 2, k, k) cross-products and (g, 2, k) right-hand sides."""
    g, arms, k = right.shape
    return solve_each(products.reshape(g * arms, k, k), right.reshape(g * arms, k, 1)).reshape(g, arms, k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Predicted effects of the rows, in units of the standardised outcome.

    Attributes:
        without: (n,) by the model without the row's fold.
        before: (n,) by the model from the folds before the row's.
    """

    without: Vector
    before: Vector


def predict(
    frame: Frame, coefficients: Coefficients, folds: NDArray[np.integer], weight: Vector | None = None
) -> Predicted:
    """Return the effects by the coefficients of each row's fold; the (n,) weight is of the first of two models."""
    trainings, r, k = coefficients.shape
    combine = np.zeros((trainings // 2, 2 * r, len(frame.matrix)))
    combine[:, :r, :k] = coefficients[: trainings // 2]
    combine[:, r:, :k] = coefficients[trainings // 2 :]
    without, before = np.empty(frame.n), np.empty(frame.n)

    def work(s: slice) -> None:
        own = own_fold(frame.matrix[:, s], combine, folds[s])
        for target, values in ((without, own[:r]), (before, own[r:])):
            target[s] = values[0] if weight is None else weight[s] * values[0] + (1.0 - weight[s]) * values[1]

    frame.rows.each(work)
    return Predicted(without=without, before=before)
