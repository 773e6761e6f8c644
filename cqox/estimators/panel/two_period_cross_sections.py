"""The effect in one two-period comparison of repeated cross-sections.

Outcome regression, inverse probability weighting with normalised weights, and both together in the locally efficient
form, each with the rows' contributions (Sant'Anna and Zhao 2020, doi 10.1016/j.jeconom.2020.06.003, sections 2 and 3,
for repeated cross-sections; DRDID's reg_did_rc, std_ipw_did_rc and drdid_rc). All assume that both periods sample one
population.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.gram import independent
from cqox.estimators.panel.two_period import Method, NoComparison, tilted

__all__ = ["section_effect"]

_COMPARISON_ROWS_TOO_FEW = Message("panel.comparison-rows-too-few")
_TREATED_ROWS_TOO_FEW = Message("panel.treated-rows-too-few")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A weighted regression of the outcome on the covariates in one group of rows.

    Attributes:
        fitted: (n,) predictions for all rows.
        weighted: (n,) residuals times weights, 0 in the rows of other groups.
        inverse: (k, k) of the weighted cross-products.
    """

    fitted: Vector
    weighted: Vector
    inverse: Matrix

    def moved(self, z: Matrix, slope: Vector) -> Vector:
        """Return (n,) contributions to a quantity with derivative (k,) `slope` by the coefficients."""
        return self.weighted * ((self.inverse @ slope) @ z)


def section_effect(
    z: Matrix, y: Vector, weights: Vector, treated: int, after: NDArray[np.bool_], method: Method
) -> tuple[float, Vector]:
    """Return the effect and its (n,) contributions by row, which sum to about the effect less the true one.

    Args:
        z: (k, n) a column of ones and the covariates, a variable in each row, the treated rows first.
        y: (n,) outcomes.
        weights: (n,) sampling weights.
        treated: number of treated rows; some of them are before and some after.
        after: (n,) True if a row is of the later of the two periods.
        method: how the covariates are adjusted for.

    Raises:
        NoComparison: the covariates allow no comparison.
    """
    own = np.zeros(len(y), dtype=np.bool_)
    own[:treated] = True
    z = z[independent((z * weights) @ z.T)]
    of_all = _share(weights, own)
    before, later = _share(weights, own & ~after), _share(weights, own & after)
    if method == "ipw":
        return _tilted_means(z, y, tilted(z, weights, treated), after, (later, before))
    lines = [_line(z, y, weights, ~own & when, _COMPARISON_ROWS_TOO_FEW) for when in (after, ~after)]
    if method == "reg":
        return _regressed(z, y, of_all, (later, before), lines)
    lines += [_line(z, y, weights, own & when, _TREATED_ROWS_TOO_FEW) for when in (after, ~after)]
    predicted = np.where(after, lines[0].fitted, lines[1].fitted)
    tilt = tilted(z, weights, treated)
    value, contributions = _tilted_means(z, y - predicted, tilt, after, (later, before))
    # The efficiency gain from pooling the treated rows of both periods.
    for sign, share, when, line, other in (
        (1.0, later, after, lines[2], lines[0]),
        (-1.0, before, ~after, lines[3], lines[1]),
    ):
        gap = line.fitted - other.fitted
        for factor, mean in ((sign, of_all), (-sign, share)):
            level = float(mean @ gap)
            value += factor * level
            contributions += factor * mean * (gap - level)
        against = _share(tilt[1], when)
        contributions += sign * (line.moved(z, z @ (of_all - share)) + other.moved(z, z @ (against - of_all)))
    return value, contributions


def _share(weights: Vector, rows: NDArray[np.bool_]) -> Vector:
    """Return (n,) weights of some rows that sum to 1."""
    shares = np.where(rows, weights, 0.0)
    return np.asarray(shares / shares.sum())


def _line(z: Matrix, y: Vector, weights: Vector, rows: NDArray[np.bool_], too_few: Message) -> _Line:
    w = np.where(rows, weights, 0.0)
    products = (z * w) @ z.T
    if len(independent(products)) < len(z) or np.count_nonzero(w) < len(z):
        raise NoComparison(too_few)
    inverse = np.linalg.inv(products)
    fitted = np.zeros(len(y))
    # Repeated once, to correct rounding in the residuals' products with the covariates.
    for _ in range(2):
        fitted = fitted + (inverse @ (z @ (w * (y - fitted)))) @ z
    return _Line(fitted=fitted, weighted=w * (y - fitted), inverse=inverse)


def _regressed(
    z: Matrix, y: Vector, of_all: Vector, treated: tuple[Vector, Vector], lines: list[_Line]
) -> tuple[float, Vector]:
    """Return the treated rows' change of means, less its prediction by the comparison rows' regressions."""
    value, contributions = 0.0, np.zeros(len(y))
    for sign, share, line in zip((1.0, -1.0), treated, lines, strict=True):
        for factor, mean, values in ((sign, share, y), (-sign, of_all, line.fitted)):
            level = float(mean @ values)
            value += factor * level
            contributions += factor * mean * (values - level)
        contributions -= sign * line.moved(z, z @ of_all)
    return value, contributions


def _tilted_means(
    z: Matrix,
    y: Vector,
    tilt: tuple[Vector, Vector, Matrix],
    after: NDArray[np.bool_],
    shares: tuple[Vector, Vector],
) -> tuple[float, Vector]:
    """Return the treated rows' change of means less that of comparison rows weighted to their covariates."""
    score, odds, information = tilt
    value, contributions, slope = 0.0, np.zeros(len(y)), np.zeros(len(z))
    for sign, share, when in zip((1.0, -1.0), shares, (after, ~after), strict=True):
        against = np.where(when, odds, 0.0)
        if not against.sum() > 0:
            raise NoComparison(Message("panel.no-similar-comparison-row"))
        against /= against.sum()
        for factor, mean in ((sign, share), (-sign, against)):
            level = float(mean @ y)
            value += factor * level
            contributions += factor * mean * (y - level)
        slope -= sign * (z @ (against * (y - float(against @ y))))
    contributions += score * (np.linalg.solve(information, slope) @ z)
    return value, contributions
