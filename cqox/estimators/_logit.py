"""Logistic regression of the treatment, whole and leave-one-fold-out."""

from collections.abc import Mapping
from dataclasses import dataclass

from cqox.estimators._sample import Sample
from cqox.estimators.data import Vector

__all__ = ["Propensity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """Each row's probability of treatment.

    Attributes:
        e: (n,) by row of the data, NaN for rows not used.
        known: whether it was given (`pscore`) rather than fitted.
        sample: the rows used.
        coefficients: of the logit by column label, in the columns' own units; empty where it was given.
        dropped: labels of the columns that were constant or repeat others.
        notes: what was done to the columns, each a sentence.
    """

    e: Vector
    known: bool
    sample: Sample
    coefficients: Mapping[str, float]
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
