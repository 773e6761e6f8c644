"""Short models of double machine learning: fits without an omitted confounder, and its maximum bias.

The formulas are those of Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis 2022 (doi 10.3386/w30302), theorem 2 and
section 5; `omitted_variables` computes the bounds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Vector
from cqox.estimators.nuisance.cross_fitting import TREATMENT_DETERMINED, arm_coefficients, own_fold, partialled_out
from cqox.estimators.nuisance.orthogonal_scores import CLIP, out_of_fold_propensity
from cqox.estimators.numerics.array_store import spill
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.plan import Plan

__all__ = ["MODELS", "Short", "sample_frame", "splits"]

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
    residual, difference, p = (
        _arms(plan, split) if split else plan.share(("short model", "arms"), lambda: _arms(plan, 0))
    )
    # In place where possible: for many rows, every array here is as large as a column.
    representer = np.where(d > 0, 1 / p, -1 / (1 - p))
    elements = 2 / (p * (1 - p))
    if target == "ATT":
        share = float(np.average(d, weights=frame.weights))
        representer *= p / share
        elements *= d * p / share**2
        own = d * difference / share
    else:
        own = difference.copy()
    own += representer * residual
    estimate = float(np.average(own, weights=frame.weights))
    own -= estimate * d / share if target == "ATT" else estimate
    square = np.square(representer, out=representer)
    elements -= square
    riesz = float(np.average(elements, weights=frame.weights))
    if riesz <= 0:
        elements, riesz = square, float(np.average(square, weights=frame.weights))
    elements -= riesz
    return _short(frame, estimate, own, residual, riesz, elements)


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
