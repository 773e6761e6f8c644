"""Propensity scores, as all families and diagnostics read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.logit import Logit
from cqox.estimators.sample import Sample

__all__ = ["Propensity", "fitted_propensity", "given_probabilities", "score_correction"]

_EXTREME = 1e-6
_TREATMENT = Message("nuisance.treatment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """The propensity score of each row.

    Attributes:
        e: (n,) by row of the data, NaN for rows not used.
        known: True if it was given (`pscore`) rather than fitted.
        sample: the rows used.
        coefficients: of the logit by column label, in the columns' own units; empty where it was given.
        dropped: labels of the constant or collinear columns left out.
        notes: preprocessing of the columns, each a sentence.
        warnings: caveats about overlap, each a sentence.
        logit: the fit; None where it was given.
        kept: cache of results derived from the fit.
    """

    e: Vector
    known: bool
    sample: Sample
    coefficients: Mapping[str, float]
    dropped: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()
    logit: Logit | None = None
    kept: dict[str, Matrix] = field(default_factory=dict)

    @property
    def inverse(self) -> Matrix:
        """The (k, k) inverse information of the fit."""
        if self.logit is None:
            return np.empty((0, 0))
        if "inverse" not in self.kept:
            self.kept["inverse"] = self.logit.inverse()
        return self.kept["inverse"]

    @property
    def used(self) -> Vector:
        """The (sample.n,) probabilities of the rows used."""
        return self.sample.take(self.e)


def fitted_propensity(logit: Logit, *, of: Message = _TREATMENT) -> Propensity:
    """Return the propensity scores of a fitted logit; `of` names the modelled variable."""
    frame, e = logit.frame, logit.probabilities
    extreme = int(((e < _EXTREME) | (e > 1 - _EXTREME)).sum())
    warnings: tuple[Message, ...] = ()
    if extreme:
        warnings = (Message("nuisance.extreme-probabilities", rows=extreme, event=of, distance=_EXTREME),)
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


def given_probabilities(propensity: Propensity) -> Message | None:
    """Return a reason if a given probability is not strictly between 0 and 1; None otherwise."""
    used = propensity.used
    outside = int(((used <= 0) | (used >= 1)).sum())
    if outside:
        return Message("nuisance.given-outside", rows=outside)
    return None


def score_correction(propensity: Propensity, treated: Vector, slopes: Vector) -> Vector:
    """Return (n,) each row's contribution to an estimate through the fitted logit.

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
