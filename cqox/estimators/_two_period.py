"""The effect in one comparison of two periods: treated units against comparison units, with or without covariates.

Outcome regression, inverse probability weighting with normalised weights, and both together, each with the units'
contributions (Sant'Anna and Zhao 2020, doi 10.1016/j.jeconom.2020.06.003, equations 2.2 to 2.5 and section 3).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cqox.estimators._gram import independent
from cqox.estimators._logit import expit
from cqox.estimators.data import Matrix, Vector

__all__ = ["Method", "NoComparison", "two_period_effect"]

type Method = Literal["dr", "reg", "ipw"]

_ITERATIONS = 60
_GRADIENT = 1e-12
_LONGEST_STEP = 6.0
_NO_OVERLAP = 0.999
_TRIMMED = 0.995


class NoComparison(Exception):
    """These units allow no comparison.

    Attributes:
        why: half a sentence that says so.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regression:
    """The outcome regression among comparison units.

    Attributes:
        rest: (n,) what it leaves of every unit's change.
        inverse: (k, k) of its cross-products.
    """

    rest: Vector
    inverse: Matrix


def two_period_effect(change: Vector, weights: Vector, z: Matrix, treated: int, method: Method) -> tuple[float, Vector]:
    """The effect and the (n,) contributions to it, which sum to about the effect less the truth.

    Args:
        change: (n,) of the outcome between the periods, the treated units first.
        weights: (n,) sampling weights.
        z: (k, n) a column of ones and the covariates, a variable in each row.
        treated: how many of the units are treated.
        method: how the covariates are adjusted for.

    Raises:
        NoComparison: the covariates leave none.
    """
    if len(z) > 1:
        z = z[independent((z * weights) @ z.T)]
    if len(z) == 1:
        return _means(change, weights, treated)
    own, other = weights.copy(), weights.copy()
    own[treated:], other[:treated] = 0.0, 0.0
    regression = None if method == "ipw" else _regress(change, other, z)
    rest = change if regression is None else regression.rest
    level = float(own @ rest / own.sum())
    contributions = own * (rest - level) / own.sum()
    effect = level
    slope = -(z @ own) / own.sum()
    if method != "reg":
        probabilities, information = _logit(z, weights, treated)
        odds = other * probabilities / (1.0 - np.minimum(probabilities, 1.0 - 1e-6))
        odds[probabilities >= _TRIMMED] = 0.0
        mass = float(odds.sum())
        if mass <= 0:
            raise NoComparison("no comparison unit has the covariates of its treated units")
        against = float(odds @ rest / mass)
        effect -= against
        shares = odds * (rest - against) / mass
        scores = weights * -probabilities
        scores[:treated] += weights[:treated]
        contributions -= shares + scores * (np.linalg.solve(information, z @ shares) @ z)
        slope += (z @ odds) / mass
    if regression is not None:
        contributions += other * regression.rest * ((regression.inverse @ slope) @ z)
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


def _regress(change: Vector, other: Vector, z: Matrix) -> _Regression:
    weighted = z * other
    products = weighted @ z.T
    if len(independent(products)) < len(z) or np.count_nonzero(other) < len(z):
        raise NoComparison("its comparison units are too few or too alike for a regression on the covariates")
    inverse = np.linalg.inv(products)
    coefficients = np.linalg.solve(products, weighted @ change)
    rest = change - coefficients @ z
    # One step of refinement: what rounding left of the residuals' products with the covariates.
    rest -= (inverse @ (weighted @ rest)) @ z
    return _Regression(rest=rest, inverse=inverse)


def _logit(z: Matrix, weights: Vector, treated: int) -> tuple[Vector, Matrix]:
    """(n,) probabilities of being treated and the (k, k) information at them."""
    total = float(weights.sum())
    share = float(weights[:treated].sum()) / total
    coefficients = np.zeros(len(z))
    coefficients[0] = np.log(share / (1 - share))
    for _ in range(_ITERATIONS):
        probabilities = expit(coefficients @ z)
        score = -weights * probabilities
        score[:treated] += weights[:treated]
        gradient = z @ score
        information = (z * (weights * probabilities * (1 - probabilities))) @ z.T
        if len(independent(information)) < len(z):
            break
        if np.abs(gradient).max() <= _GRADIENT * total:
            if float(probabilities.max()) >= _NO_OVERLAP:
                break
            return probabilities, information
        step = np.linalg.solve(information, gradient)
        coefficients = coefficients + step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
    raise NoComparison("the covariates tell its treated units from the comparison units almost without error")
