"""Short models of double machine learning: fits without an omitted confounder, and its maximum bias.

The formulas are those of Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis 2022 (doi 10.3386/w30302), theorem 2 and
section 5; `omitted_variables` computes the bounds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.nuisance.cross_fitting import TREATMENT_DETERMINED, arm_coefficients, own_fold, partialled_out
from cqox.estimators.nuisance.orthogonal_scores import CLIP, out_of_fold_propensity
from cqox.estimators.numerics.array_store import spill
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import solve_each
from cqox.estimators.plan import Plan

__all__ = ["MODELS", "Short", "interactive_without", "sample_frame", "splits"]

_MOST_SPLITS = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """The short model of one split.

    Attributes:
        estimate: of the effect.
        outcome: σ², the residual variance of the outcome regressions.
        riesz: ν², the variance of the Riesz representer.
        contributions, of_bias: (n,) influence functions of the estimate and of the largest bias, over n.
    """

    estimate: float
    outcome: float
    riesz: float
    contributions: Vector
    of_bias: Vector


def sample_frame(plan: Plan, name: str) -> Frame:
    """Return the columns of the rows that a model uses."""
    return plan.frame("xty", plan.outcome_sample() if name == "dml_plr" else plan.doubly_robust_sample())


def splits(plan: Plan) -> range:
    """Number of splits used: they differ little, and an estimate may have thousands."""
    return range(min(plan.settings.repetitions, _MOST_SPLITS))


def _partially_linear(plan: Plan, split: int) -> Short:
    frame = sample_frame(plan, "dml_plr")
    t, y = frame.column("t"), frame.column("y")
    combine, _ = partialled_out(plan, frame, split, (t, y))
    folds = frame.sample.take(plan.folds(split))
    left = np.empty((2, frame.n))

    def work(s: slice) -> None:
        left[:, s] = own_fold(frame.matrix[:, s], combine, folds[s])

    frame.rows.each(work)
    left[0] *= frame.scale[t]
    left[1] *= frame.scale[y]
    square = left[0] * left[0]
    moved = float(np.average(square, weights=frame.weights))
    if moved <= 1e-14 * frame.scale[t] ** 2:
        raise UnusableData(TREATMENT_DETERMINED)
    estimate = float(np.average(left[0] * left[1], weights=frame.weights)) / moved
    residual = left[1] - estimate * left[0]
    riesz = 1 / moved
    return _short(frame, estimate, left[0] * residual * riesz, residual, riesz, riesz - square * riesz**2)


def _arms(plan: Plan, split: int) -> tuple[Vector, Vector, Vector]:
    """Return (n,) residuals of each row's arm regression, the difference of the arms, and the propensity score."""
    frame = sample_frame(plan, "dml_irm")
    y, d, scale = frame.column("y"), plan.treated(frame.sample), float(frame.scale[frame.column("y")])
    folds, combine = frame.sample.take(plan.folds(split)), arm_coefficients(plan, frame, split)
    p = out_of_fold_propensity(plan, plan.propensity(frame.sample), split)
    residual, difference = np.empty(frame.n), np.empty(frame.n)

    def work(s: slice) -> None:
        block = frame.matrix[:, s]
        mu0, mu1 = own_fold(block, combine, folds[s])
        residual[s] = (block[y] - np.where(d[s] > 0, mu1, mu0)) * scale
        difference[s] = (mu1 - mu0) * scale

    frame.rows.each(work)
    return spill(residual), spill(difference), spill(np.clip(p, CLIP, 1 - CLIP))


def _interactive(plan: Plan, split: int, *, target: str) -> Short:
    frame = sample_frame(plan, "dml_irm")
    d = plan.treated(frame.sample)
    arms = _arms(plan, split) if split else plan.share(("short model", "arms"), lambda: _arms(plan, 0))
    own, square, elements, share = _score(frame, d, arms, target)
    estimate = float(np.average(own, weights=frame.weights))
    own -= estimate * d / share if target == "ATT" else estimate
    riesz = float(np.average(elements, weights=frame.weights))
    if riesz <= 0:
        elements, riesz = square, float(np.average(square, weights=frame.weights))
    elements -= riesz
    return _short(frame, estimate, own, arms[0], riesz, elements)


def _score(
    frame: Frame, d: Vector, arms: tuple[Matrix, Matrix, Matrix], target: str
) -> tuple[Matrix, Matrix, Matrix, float]:
    """Return (..., n) scores, squares of the representer, their expectations less these, and the share of the target.

    Args:
        frame: the columns.
        d: (n,) the treatment.
        arms: (..., n) residuals, differences and propensity scores, as `_arms` gives them.
        target: ATE or ATT.
    """
    residual, difference, p = arms
    # In place where possible: for many rows, every array here is as large as a column.
    representer = np.where(d > 0, 1 / p, -1 / (1 - p))
    elements = 2 / (p * (1 - p))
    share = 1.0
    if target == "ATT":
        share = float(np.average(d, weights=frame.weights))
        representer *= p / share
        elements *= d * p / share**2
        own = d * difference / share
    else:
        own = difference.copy()
    own += representer * residual
    square = np.square(representer, out=representer)
    elements -= square
    return own, square, elements, share


def interactive_without(plan: Plan, name: str, split: int, columns: Sequence[int]) -> Matrix:
    """Return (columns, 3) estimate, σ² and ν² of the interactive model of one split without each of some covariates.

    Args:
        plan: the request's plan; no covariate may have been dropped as collinear, or it would replace an omitted one.
        name: catalog name, that of an interactive model.
        split: its number.
        columns: positions of the covariates in `sample_frame`.

    Raises:
        UnusableData: a model cannot be fitted.
    """
    frame = sample_frame(plan, name)
    arms = plan.share(("without", split, *columns), lambda: _arms_without(plan, frame, split, columns), frame)
    own, square, elements, _ = _score(
        frame, plan.treated(frame.sample), arms, "ATT" if name == "dml_irm_att" else "ATE"
    )
    mean = partial(np.average, axis=-1, weights=frame.weights)
    riesz = mean(elements)
    return np.stack([mean(own), mean(arms[0] ** 2), np.where(riesz > 0, riesz, mean(square))], axis=-1)


def _arms_without(plan: Plan, frame: Frame, split: int, columns: Sequence[int]) -> tuple[Matrix, Matrix, Matrix]:
    """Return (columns, n) residuals, differences and propensity scores, as `_arms` does, without each covariate."""
    y, d, scale = frame.column("y"), plan.treated(frame.sample), float(frame.scale[frame.column("y")])
    folds, blocks = frame.sample.take(plan.folds(split)), plan.blocks(frame, split)[0]
    rest = blocks.sum(axis=0) - blocks
    combine = np.zeros((*rest.shape[:2], len(columns), len(frame.matrix)))
    for place, column in enumerate(columns):
        x = np.delete(np.arange(frame.at["x"].stop), column)
        combine[:, :, place, x] = solve_each(
            rest[:, :, x[:, None], x].reshape(-1, len(x), len(x)), rest[:, :, x, y].reshape(-1, len(x), 1)
        ).reshape(*rest.shape[:2], len(x))
    residual, difference = np.empty((2, len(columns), frame.n))

    def work(s: slice) -> None:
        block = frame.matrix[:, s]
        mu = own_fold(block, combine.reshape(len(rest), -1, len(block)), folds[s])
        mu0, mu1 = mu.reshape(2, len(columns), -1)
        residual[:, s] = (block[y] - np.where(d[s] > 0, mu1, mu0)) * scale
        difference[:, s] = (mu1 - mu0) * scale

    frame.rows.each(work)
    p = _propensity_without(plan, frame, split, [frame.labels[column] for column in columns])
    return residual, difference, np.clip(p, CLIP, 1 - CLIP)


def _propensity_without(plan: Plan, frame: Frame, split: int, labels: Sequence[str]) -> Matrix:
    """Return (labels, n) propensity scores of the rows of a frame without each covariate."""
    propensity = plan.propensity(frame.sample)
    found = np.tile(out_of_fold_propensity(plan, propensity, split), (len(labels), 1))
    if propensity.logit is not None:
        own = propensity.logit.frame.labels[: propensity.logit.frame.at["x"].stop]
        places = [place for place, label in enumerate(labels) if label in own]
        if places:
            found[places] = plan.out_of_fold_without(
                propensity.logit, split, [own.index(labels[place]) for place in places]
            )
    return found


def _short(frame: Frame, estimate: float, own: Vector, residual: Vector, riesz: float, of_riesz: Vector) -> Short:
    """Return the model from (n,) own and of_riesz, which are overwritten."""
    of_bias = residual * residual
    outcome = float(np.average(of_bias, weights=frame.weights))
    if not outcome > 0:
        raise UnusableData(Message("sensitivity.outcome-fitted-exactly"))
    of_bias -= outcome
    of_bias *= riesz
    of_riesz *= outcome
    of_bias += of_riesz
    of_bias /= 2 * math.sqrt(outcome * riesz) * frame.n
    own /= frame.n
    if frame.weights is not None:
        of_bias *= frame.weights
        own *= frame.weights
    return Short(estimate=estimate, outcome=outcome, riesz=riesz, contributions=own, of_bias=of_bias)


MODELS: Mapping[str, Callable[[Plan, int], Short]] = {
    "dml_plr": _partially_linear,
    "dml_irm_ate": partial(_interactive, target="ATE"),
    "dml_irm_att": partial(_interactive, target="ATT"),
}
"""The estimates that have such bounds."""
