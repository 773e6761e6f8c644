"""Doubly robust (orthogonal) scores of each row's effect, with cross-fitted nuisance functions."""

from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.nuisance.cross_fitting import arm_coefficients, own_fold
from cqox.estimators.nuisance.propensity import Propensity
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.plan import Plan

__all__ = ["CLIP", "EffectScores", "clipping", "effect_scores", "out_of_fold_propensity"]

CLIP = 0.01
"""Propensity scores are clipped to this distance from 0 and 1."""

_MUCH_CLIPPED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectScores:
    """The scores of one sample split.

    Attributes:
        values: (n,) in units of the standardised outcome; their mean is the average effect.
        clipped: number of rows with a clipped propensity score.
    """

    values: Vector
    clipped: int


def effect_scores(plan: Plan, frame: Frame, propensity: Propensity, split: int) -> EffectScores:
    """Return the scores of a frame's rows in one split.

    Raises:
        UnusableData: a fold cannot be left out.
    """
    if split:
        # Only the first split, which every request needs, is cached: many splits of many rows would fill the memory.
        return _effect_scores(plan, frame, propensity, split)
    return plan.share("effect scores", lambda: _effect_scores(plan, frame, propensity, 0), frame, propensity)


def _effect_scores(plan: Plan, frame: Frame, propensity: Propensity, split: int) -> EffectScores:
    sample = frame.sample
    folds, t, y = sample.take(plan.folds(split)), plan.treated(sample), frame.column("y")
    combine = arm_coefficients(plan, frame, split)
    e = out_of_fold_propensity(plan, propensity, split)
    scores = np.empty(frame.n)

    def work(s: slice) -> int:
        block, d = frame.matrix[:, s], t[s]
        p = np.clip(e[s], CLIP, 1 - CLIP)
        mu0, mu1 = own_fold(block, combine, folds[s])
        effect = mu1 - mu0
        # 1 / p for a treated row, -1 / (1 - p) for an untreated one.
        scores[s] = effect + (block[y] - (mu0 + d * effect)) * ((d - p) / (p * (1.0 - p)))
        return int(np.count_nonzero(p != e[s]))

    return EffectScores(clipped=sum(frame.rows.each(work)), values=scores)


def out_of_fold_propensity(plan: Plan, propensity: Propensity, split: int) -> Vector:
    """Return (n,) propensity scores: the given ones, else those of the logit without the row's fold."""
    return propensity.used if propensity.logit is None else plan.out_of_fold(propensity.logit, split)


def clipping(clipped: int, rows: int) -> tuple[list[Message], list[Message]]:
    """Return the notes and warnings on clipped rows: a note, or a warning if they are many."""
    if not clipped:
        return [], []
    moved = Message("nuisance.clipped", rows=clipped, low=CLIP, high=1 - CLIP)
    return ([], [moved]) if clipped > _MUCH_CLIPPED * rows else ([moved], [])
