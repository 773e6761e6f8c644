"""Each row's probability of treatment, as every family and diagnostic reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.logit import Logit
from cqox.estimators.sample import Sample

__all__ = ["Propensity", "fitted_propensity", "given_probabilities", "score_correction"]

_EXTREME = 1e-6


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
        warnings: doubts about overlap, each a sentence.
        logit: the fit; None where it was given.
        kept: what was computed from it and may be asked for again.
    """

    e: Vector
    known: bool
    sample: Sample
    coefficients: Mapping[str, float]
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    logit: Logit | None = None
    kept: dict[str, Matrix] = field(default_factory=dict)

    @property
    def inverse(self) -> Matrix:
        """(k, k) inverse information of the fit."""
        if self.logit is None:
            return np.empty((0, 0))
        if "inverse" not in self.kept:
            self.kept["inverse"] = self.logit.inverse()
        return self.kept["inverse"]

    @property
    def used(self) -> Vector:
        """(sample.n,) the probabilities of the rows used."""
        return self.sample.take(self.e)


def fitted_propensity(logit: Logit, *, of: str = "treatment") -> Propensity:
    """The propensities of a fitted logit, which are those of treatment unless told otherwise."""
    frame, e = logit.frame, logit.probabilities
    extreme = int(((e < _EXTREME) | (e > 1 - _EXTREME)).sum())
    warnings: tuple[str, ...] = ()
    if extreme:
        rows = "1 row has" if extreme == 1 else f"{extreme} rows have"
        warnings = (f"{rows} a probability of {of} within {_EXTREME:g} of 0 or 1: they have no counterparts.",)
    return Propensity(
        e=frame.sample.scatter(e, np.nan),
        known=False,
        sample=frame.sample,
        coefficients=logit.raw_coefficients(),
        dropped=frame.dropped,
        notes=frame.notes,
        warnings=warnings,
        logit=logit,
    )


def given_probabilities(propensity: Propensity) -> str | None:
    """A reason where a given probability is not strictly between 0 and 1."""
    used = propensity.used
    outside = int(((used <= 0) | (used >= 1)).sum())
    if outside:
        return f"{outside} of the given probabilities of treatment are not strictly between 0 and 1."
    return None


def score_correction(propensity: Propensity, treated: Vector, slopes: Vector) -> Vector:
    """(n,) what the rows contribute to an estimate through the fitted logit.

    Args:
        propensity: a fitted one.
        treated: (n,) 0/1.
        slopes: (n,) derivative of the estimate by each row's linear predictor.
    """
    logit = propensity.logit
    if logit is None:
        return np.zeros_like(slopes)
    frame = logit.frame
    k = frame.at["x"].stop
    (slope,) = frame.rows.total(lambda s: (frame.matrix[:k, s] @ slopes[s],))
    direction = propensity.inverse @ slope
    result = np.empty(frame.n)

    def work(s: slice) -> None:
        np.multiply(direction @ frame.matrix[:k, s], treated[s] - logit.probabilities[s], out=result[s])

    frame.rows.each(work)
    return result if frame.weights is None else result * frame.weights
