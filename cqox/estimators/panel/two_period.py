"""The effect in one two-period comparison: treated units against comparison units, with or without covariates.

Outcome regression, inverse probability weighting with normalised weights, and both together, each with the units'
contributions (Sant'Anna and Zhao 2020, doi 10.1016/j.jeconom.2020.06.003, equations 2.2 to 2.5 and section 3).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import independent
from cqox.estimators.numerics.logit import expit
from cqox.estimators.numerics.quasi_newton import QuasiNewton

__all__ = ["Comparison", "Method", "NoComparison", "tilted"]

type Method = Literal["dr", "reg", "ipw"]

_GRADIENT = 1e-12
_NO_OVERLAP = 0.999
_TRIMMED = 0.995


class NoComparison(Exception):
    """The comparison is not feasible.

    Attributes:
        why: the reason as a clause.
    """

    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


class Comparison:
    """Some treated units and their comparison units, for any number of changes of the outcome.

    Results that depend on covariates and weights alone are computed once.
    """

    def __init__(self, z: Matrix, weights: Vector, treated: int, method: Method) -> None:
        """Set up the comparison.

        Args:
            z: (k, n) a column of ones and the covariates, a variable in each row, the treated units first.
            weights: (n,) sampling weights.
            treated: number of treated units.
            method: how the covariates are adjusted for.

        Raises:
            NoComparison: the covariates allow no comparison.
        """
        if len(z) > 1:
            z = z[independent((z * weights) @ z.T)]
        self._z, self._weights, self._treated, self._adjusts = z, weights, treated, len(z) > 1
        if not self._adjusts:
            return
        self._own, self._other = weights.copy(), weights.copy()
        self._own[treated:], self._other[:treated] = 0.0, 0.0
        self._own /= self._own.sum()
        slope = -(z @ self._own)
        self._regression: Matrix | None = None
        self._against: Vector | None = None
        if method != "reg":
            self._score, self._odds, self._information = tilted(z, weights, treated)
            self._against = self._odds
            slope += z @ self._odds
        if method != "ipw":
            self._regression = self._inverse()
            self._leaning = self._other * ((self._regression @ slope) @ z)

    def _inverse(self) -> Matrix:
        """The (k, k) inverse of the comparison units' cross-products."""
        products = (self._z * self._other) @ self._z.T
        if len(independent(products)) < len(self._z) or np.count_nonzero(self._other) < len(self._z):
            raise NoComparison(Message("panel.comparison-units-too-few"))
        return np.asarray(np.linalg.inv(products))

    def effect(self, change: Vector) -> tuple[float, Vector]:
        """Return the effect and its (n,) contributions, which sum to about the effect less the true one.

        Args:
            change: (n,) of the outcome between the periods.
        """
        if not self._adjusts:
            return _means(change, self._weights, self._treated)
        rest = change
        if self._regression is not None:
            # Repeated once, to correct rounding in the residuals' products with the covariates.
            for _ in range(2):
                rest = rest - (self._regression @ (self._z @ (self._other * rest))) @ self._z
        effect = float(self._own @ rest)
        contributions = self._own * (rest - effect)
        if self._against is not None:
            level = float(self._against @ rest)
            effect -= level
            shares = self._against * (rest - level)
            contributions -= shares + self._score * (np.linalg.solve(self._information, self._z @ shares) @ self._z)
        if self._regression is not None:
            contributions += self._leaning * rest
        return effect, contributions


def _means(change: Vector, weights: Vector, treated: int) -> tuple[float, Vector]:
    contributions = np.empty_like(change)
    levels = []
    for part, sign in ((slice(0, treated), 1.0), (slice(treated, None), -1.0)):
        w = weights[part] / weights[part].sum()
        level = float(w @ change[part])
        contributions[part] = sign * w * (change[part] - level)
        levels.append(level)
    return levels[0] - levels[1], contributions


def tilted(z: Matrix, weights: Vector, treated: int) -> tuple[Vector, Vector, Matrix]:
    """Return (n,) scores of the logit, (n,) weights of the comparison units that sum to 1, and its information.

    Raises:
        NoComparison: the covariates separate the arms, or leave no comparison unit.
    """
    probabilities, information = _logit(z, weights, treated)
    odds = weights * probabilities / (1.0 - np.minimum(probabilities, 1.0 - 1e-6))
    odds[probabilities >= _TRIMMED] = 0.0
    odds[:treated] = 0.0
    mass = float(odds.sum())
    if mass <= 0:
        raise NoComparison(Message("panel.no-similar-comparison-unit"))
    score = -weights * probabilities
    score[:treated] += weights[:treated]
    return score, odds / mass, information


def _logit(z: Matrix, weights: Vector, treated: int) -> tuple[Vector, Matrix]:
    """Return (n,) probabilities of treatment and their (k, k) information."""
    total = float(weights.sum())
    share = float(weights[:treated].sum()) / total
    start = np.zeros(len(z))
    start[0] = np.log(share / (1 - share))
    probabilities = np.full(z.shape[1], share)
    products = (z * weights) @ z.T
    solver = QuasiNewton(start[None], np.linalg.inv(products)[None] / (share * (1 - share)), products)

    def gradients() -> Matrix:
        expit(np.matmul(solver.coefficients[0], z, out=probabilities))
        score = -weights * probabilities
        score[:treated] += weights[:treated]
        return np.asarray((z @ score)[None])

    def information() -> Matrix:
        return np.asarray((z * (weights * probabilities * (1 - probabilities))) @ z.T)

    def inverses() -> NDArray[np.float64]:
        return np.asarray(np.linalg.pinv(information(), hermitian=True)[None])

    if solver.run(gradients, inverses, _GRADIENT * total) and float(probabilities.max()) < _NO_OVERLAP:
        found = information()
        if len(independent(found)) == len(z):
            return probabilities, found
    raise NoComparison(Message("panel.covariates-separate-units"))
