"""A linear reward model for every action, from cross-products of the rows by fold and action."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import grouped_gram, solve
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["RewardLines", "Rewards", "fit_rewards", "reward_lines"]

_ROWS_PER_COEFFICIENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardLines:
    """The lines of a reward model, wherever the rows are.

    Attributes:
        kind: `by action` if every action has its own slopes, `additive` if they share them.
        coefficients: (folds, actions, k) of the standardised reward; one fold without cross-fitting.
        inverses: (actions, k, k) inverses of the cross-products of the coefficients; of all actions together in the
            first with shared slopes. Only without cross-fitting.
        shares: (actions, k) mean covariates of each action's rows; only with shared slopes.
        counts: (actions,) weighted rows.
    """

    kind: str
    coefficients: NDArray[np.float64]
    inverses: NDArray[np.float64]
    shares: Matrix
    counts: Vector

    def direction(self, reach: Matrix) -> Matrix:
        """Return (actions, k) what a unit of each action's residual adds to the mean prediction, by the covariates.

        Args:
            reach: (actions, k) mean covariates, each row weighted by the policy's probability of the action.
        """
        if self.kind == "by action":
            return np.asarray(np.einsum("ak,akj->aj", reach, self.inverses))
        # Shared slopes: the covariates' mean under the policy, less that of the rows of its actions.
        chances = reach[:, 0]
        slopes = self.inverses[0] @ (reach.sum(axis=0) - chances @ self.shares)[1:]
        direction = np.zeros(reach.shape)
        direction[:, 1:] = slopes
        counts = np.where(self.counts > 0, self.counts, 1.0)
        direction[:, 0] = np.where(self.counts > 0, chances / counts, 0.0) - self.shares[:, 1:] @ slopes
        return direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """Predicted rewards of each action in each row.

    Attributes:
        lines: of each action.
        frame: the covariates.
        folds: (n,) of the rows.
        actions: (n,) logged.
        logged: (n,) the prediction for the logged action, in units of the reward.
        notes: of the frame.
    """

    lines: RewardLines
    frame: Frame
    folds: NDArray[np.integer]
    actions: Codes
    logged: Vector
    notes: tuple[Message, ...]

    @property
    def kind(self) -> str:
        """`by action` or `additive`."""
        return self.lines.kind

    def value(self, policy: Matrix | Vector | None) -> tuple[Vector, Vector]:
        """Return (n,) mean predictions under a policy, and the (n,) influence of the fitted coefficients on their mean.

        Args:
            policy: (actions,) probabilities, or (n, actions) of each row.
        """
        assert policy is not None
        frame, k = self.frame, self.frame.at["x"].stop
        predicted = np.empty(frame.n)
        reach = np.zeros((len(self.lines.counts), k))
        weights = frame.weights

        def work(s: slice) -> Partial:
            block, own = frame.matrix[:k, s], self.folds[s]
            total = np.zeros(block.shape[1])
            chances = (
                np.broadcast_to(policy, (block.shape[1], len(self.lines.counts))) if policy.ndim == 1 else policy[s]
            )
            for fold, coefficients in enumerate(self.lines.coefficients):
                rows = np.flatnonzero(own == fold)
                total[rows] = np.einsum("na,an->n", chances[rows], coefficients @ block[:, rows])
            predicted[s] = total
            left = chances.T if weights is None else chances.T * weights[s]
            return (left @ block.T,)

        (reach,) = frame.rows.total(work)
        scale, centre = float(frame.scale[-1]), float(frame.centre[-1])
        influence = self._influence(reach / (frame.n if weights is None else float(weights.sum())))
        return centre + scale * predicted, influence

    def _influence(self, reach: Matrix) -> Vector:
        """Return n times each row's contribution to the mean prediction through the coefficients."""
        frame, k = self.frame, self.frame.at["x"].stop
        if len(self.lines.coefficients) > 1:
            return np.zeros(frame.n)
        direction = self.lines.direction(reach)
        residuals = frame.matrix[-1] - (self.logged - frame.centre[-1]) / frame.scale[-1]
        along = np.einsum("kn,nk->n", frame.matrix[:k], direction[self.actions])
        return np.asarray(residuals * along * (frame.n * frame.scale[-1]))


def fit_rewards(plan: Plan, sample: Sample, actions: Codes, n_actions: int, *, crossed: bool) -> Rewards:
    """Return the model, cross-fitted on request.

    Actions have their own slopes if every action has at least five rows for each coefficient, in every fold's
    complement; otherwise they differ by a constant. The prediction for an action without rows is the overall mean.

    Raises:
        UnusableData: a fold leaves fewer rows than there are coefficients.
    """
    columns: dict[str, tuple[Matrix, Sequence[str]]] = {"x": (plan.data.covariates, plan.labels("covariates"))}
    if not plan.has("covariates"):
        columns = {"x": (np.empty((sample.total, 0)), ())}
    columns["y"] = (plan.data.y[:, None], ("y",))
    frame = build_frame(
        sample, columns, weights=plan.data.weights, block=plan.settings.chunk_rows, threads=plan.settings.threads
    )
    folds = sample.take(plan.folds()) if crossed else np.zeros(sample.n, dtype=np.uint8)
    n_folds = plan.settings.folds if crossed else 1
    cells = folds.astype(np.int64) * n_actions + actions
    products, rows = grouped_gram(frame.rows, frame.matrix, frame.weights, cells, n_folds * n_actions)
    width, k = len(frame.matrix), frame.at["x"].stop
    products, rows = products.reshape(n_folds, n_actions, width, width), rows.reshape(n_folds, n_actions)
    lines = reward_lines(products, rows, k, crossed=crossed)
    logged = np.einsum("kn,nk->n", frame.matrix[:k], lines.coefficients[folds, actions])
    return Rewards(
        lines=lines,
        frame=frame,
        folds=folds,
        actions=actions,
        logged=float(frame.centre[-1]) + float(frame.scale[-1]) * logged,
        notes=frame.notes,
    )


def reward_lines(products: NDArray[np.float64], rows: Matrix, k: int, *, crossed: bool) -> RewardLines:
    """Return the lines of each action, without the rows of each fold if they are cross-fitted.

    Args:
        products: (folds, actions, k + 1, k + 1) weighted cross-products of the covariates, ones first, and the reward.
        rows: (folds, actions) their numbers of rows.
        k: number of covariates and ones.
        crossed: True if each fold's line is of the other folds; else there is one fold.

    Raises:
        UnusableData: a fold leaves fewer rows than there are coefficients.
    """
    rest = products.sum(axis=0) - products if crossed else products
    left = rows.sum(axis=0) - rows if crossed else rows
    fewest = int(left.sum(axis=1)[rows.sum(axis=1) > 0].min())
    if fewest <= k:
        raise UnusableData(Message("off_policy.too-few-rows-in-fold", rows=fewest, coefficients=k))
    own_slopes = bool((left >= _ROWS_PER_COEFFICIENT * k).all())
    fits = [_by_action(each, k) if own_slopes else _additive(each, k) for each in rest]
    return RewardLines(
        kind="by action" if own_slopes else "additive",
        coefficients=np.stack([fit[0] for fit in fits]),
        inverses=fits[0][1],
        shares=fits[0][2],
        counts=rest[0][:, 0, 0],
    )


def _by_action(products: NDArray[np.float64], k: int) -> tuple[Matrix, NDArray[np.float64], Matrix]:
    """Return (actions, k) coefficients, (actions, k, k) inverses, and no shares."""
    fits = [solve(each[:k, :k], each[:k, -1:]) for each in products]
    return (
        np.stack([fit.coefficients[:, 0] for fit in fits]),
        np.stack([fit.inverse for fit in fits]),
        np.zeros((len(products), k)),
    )


def _additive(products: NDArray[np.float64], k: int) -> tuple[Matrix, NDArray[np.float64], Matrix]:
    """Return (actions, k) coefficients with shared slopes, their (1, k-1, k-1) inverse, and (actions, k) means."""
    counts = products[:, 0, 0]
    present = counts > 0
    mass = np.where(present, counts, 1.0)
    means = products[:, 0] / mass[:, None]
    within = (products - mass[:, None, None] * means[:, :, None] * means[:, None, :])[present].sum(axis=0)
    fit = solve(within[1:k, 1:k], within[1:k, -1:])
    slopes = fit.coefficients[:, 0]
    coefficients = np.zeros((len(products), k))
    coefficients[:, 1:] = slopes
    overall = products.sum(axis=0)[0] / counts.sum()
    centre = np.where(present[:, None], means, overall[None, :])
    coefficients[:, 0] = centre[:, -1] - centre[:, 1:k] @ slopes
    return coefficients, fit.inverse[None], centre[:, :k]
