"""Anderson-Rubin confidence sets: valid for arbitrarily weak instruments, and therefore not always intervals.

The test of an effect b regresses y - b·t on covariates and instruments and tests whether the instruments' coefficients
are zero. Its statistic is a ratio of quadratics in b, so that the bounds of the set are roots, found exactly and not on
a grid.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.numerics.quantiles import f_quantile

__all__ = ["ConfidenceSet", "Moments", "confidence_set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of the test, with covariates partialled out and instruments made orthonormal.

    The moment at b is g(b) = y - b·t; its variance is yy - b·(yt + yt') + b²·tt.

    Attributes:
        y, t: (m,) cross-products of the instruments with outcome and treatment.
        yy, yt, tt: (m, m) variances and covariances of these.
        degrees: denominator degrees of freedom.
    """

    y: Vector
    t: Vector
    yy: Matrix
    yt: Matrix
    tt: Matrix
    degrees: float

    def statistic(self, effect: float) -> float:
        """Return the F statistic at an effect."""
        moment = self.y - effect * self.t
        variance = self.yy - effect * (self.yt + self.yt.T) + effect**2 * self.tt
        try:
            return float(moment @ np.linalg.solve(variance, moment)) / len(moment)
        except np.linalg.LinAlgError:
            return math.inf

    def ends(self, critical: float) -> list[float]:
        """Return the effects at which the statistic may cross a critical value, ascending."""
        q = critical * len(self.y)
        constant = q * self.yy - np.outer(self.y, self.y)
        cross = np.outer(self.y, self.t)
        linear = cross + cross.T - q * (self.yt + self.yt.T)
        square = q * self.tt - np.outer(self.t, self.t)
        if len(self.y) == 1:
            roots = np.roots([float(square[0, 0]), float(linear[0, 0]), float(constant[0, 0])])
        else:
            roots = _quadratic_eigenvalues(constant, linear, square)
        real = roots[np.isfinite(roots) & (np.abs(roots.imag) <= 1e-7 * (1e-300 + np.abs(roots)))].real
        return sorted({float(root) for root in real})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSet:
    """The effects that a test does not reject.

    Attributes:
        variance: of the moments: homoskedastic, HC1 or CRV1.
        kind: `interval`, `two rays`, `union` of several pieces, `ray`, `whole line` or `empty`.
        pieces: their bounds, infinite where unbounded.
    """

    variance: str
    kind: str
    pieces: tuple[tuple[float, float], ...]

    @property
    def bounded(self) -> bool:
        """True if every piece has two finite bounds."""
        return all(math.isfinite(end) for piece in self.pieces for end in piece)

    def scaled(self, factor: float) -> "ConfidenceSet":
        """Return the set in other units; a negative factor reverses it."""
        pieces = [(low * factor, high * factor) for low, high in self.pieces]
        turned = sorted((min(piece), max(piece)) for piece in pieces)
        return ConfidenceSet(variance=self.variance, kind=self.kind, pieces=tuple(turned))

    def json(self) -> dict[str, Json]:
        """Return the set for a report; an infinite bound is None."""
        pieces: list[Json] = [[end if math.isfinite(end) else None for end in piece] for piece in self.pieces]
        return {"variance": self.variance, "kind": self.kind, "intervals": pieces}


def confidence_set(moments: Moments, alpha: float, variance: str) -> ConfidenceSet:
    """Return the confidence set at level 1 - alpha."""
    critical = f_quantile(1 - alpha, len(moments.y), moments.degrees)
    ends = [-math.inf, *moments.ends(critical), math.inf]
    inside = [moments.statistic(_between(low, high)) <= critical for low, high in pairwise(ends)]
    pieces: list[tuple[float, float]] = []
    for (low, high), accepted in zip(pairwise(ends), inside, strict=True):
        if accepted and pieces and pieces[-1][1] == low:
            pieces[-1] = (pieces[-1][0], high)
        elif accepted:
            pieces.append((low, high))
    return ConfidenceSet(variance=variance, kind=_kind(pieces), pieces=tuple(pieces))


def _kind(pieces: list[tuple[float, float]]) -> str:
    if not pieces:
        return "empty"
    infinite = sum(math.isinf(end) for piece in pieces for end in piece)
    if len(pieces) == 1:
        return {0: "interval", 1: "ray", 2: "whole line"}[infinite]
    return "two rays" if len(pieces) == 2 and infinite == 2 else "union"


def _between(low: float, high: float) -> float:
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(low):
        return high - 1.0 - abs(high)
    if math.isinf(high):
        return low + 1.0 + abs(low)
    return (low + high) / 2


def _quadratic_eigenvalues(constant: Matrix, linear: Matrix, square: Matrix) -> Vector:
    """Return the b at which constant + b·linear + b²·square is singular."""
    from scipy import linalg

    m = len(constant)
    zero, one = np.zeros((m, m)), np.eye(m)
    left = np.block([[zero, one], [-constant, -linear]])
    right = np.block([[one, zero], [zero, square]])
    pairs = linalg.eigvals(left, right, homogeneous_eigvals=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(pairs[0] / pairs[1])
