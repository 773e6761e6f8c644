"""Doubly robust scores of each row's effect, every nuisance from fits without the row's fold."""

from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Vector
from cqox.estimators.nuisance.cross_fitting import arm_coefficients, own_fold
from cqox.estimators.nuisance.propensity import Propensity
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.plan import Plan

__all__ = ["CLIP", "EffectScores", "clipping", "effect_scores", "out_of_fold_propensity"]

CLIP = 0.01
"""Probabilities of treatment are kept this far from 0 and 1."""

_MUCH_CLIPPED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectScores:
    """One split's scores.

    Attributes:
        values: (n,) in units of the standardised outcome; their mean is the average effect.
        clipped: rows whose probability of treatment was moved.
    """

    values: Vector
    clipped: int


def effect_scores(plan: Plan, frame: Frame, propensity: Propensity, split: int) -> EffectScores:
    """The scores of a frame's rows in one split.

    Raises:
        UnusableData: a fold cannot be left out.
    """
    if split:
        # Only what every request asks for is kept: many splits of many rows would fill the memory.
        return _effect_scores(plan, frame, propensity, split)
    return plan.share(("scores", id(frame), id(propensity)), lambda: _effect_scores(plan, frame, propensity, 0))


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
    """(n,) each row's probability of treatment: the known one, else by the logit without its fold."""
    return propensity.used if propensity.logit is None else plan.out_of_fold(propensity.logit, split)


def clipping(clipped: int, rows: int) -> tuple[list[str], list[str]]:
    """What is to be said of rows whose probability was moved: notes, or warnings where they are many."""
    if not clipped:
        return [], []
    moved = f"{clipped} probabilities of treatment outside [{CLIP}, {1 - CLIP}] were moved to its ends."
    return ([], [moved]) if clipped > _MUCH_CLIPPED * rows else ([moved], [])
