"""Entropy balancing: the weights nearest to the sampling weights that balance some rows to given covariate means.

The weights of an arm are s·exp(λ'(x - m)) for its sampling weights s and the target means m; λ minimises the convex log
Σ s·exp(λ'(x - m)), whose gradient is the remaining imbalance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.array_store import empty
from cqox.estimators.numerics.frame import Frame
from cqox.estimators.numerics.gram import gram, solve
from cqox.estimators.numerics.row_blocks import Rows
from cqox.estimators.sample import listed

__all__ = ["IMBALANCE", "MET", "Tilt", "refuse_imbalance", "tilt"]

IMBALANCE = 1e-12
"""Imbalance of standardised means at which the iterations end."""
MET = 1e-8
"""The largest imbalance that counts as balanced."""

_ITERATIONS = 200
_HALVINGS = 40
_FAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """The weights of one arm.

    Attributes:
        weights: (n,) that sum to 1, 0 for rows of the other arm; sampling weights are a factor.
        mean: of the standardised outcome under them.
        slopes: (k,) coefficients of the outcome on the variables after the first, by weighted least squares in the arm.
        residuals: (n,) standardised outcomes less their mean and the fitted values of the slopes, for every row.
        multipliers: (k,) λ of the variables after the first.
    """

    weights: Vector
    mean: float
    slopes: Vector
    residuals: Vector
    multipliers: Vector


def tilt(frame: Frame, arm: Vector, target: Vector, whose: tuple[Message, Message]) -> Tilt:
    """Return the weights of an arm under which the means of the variables `x` equal the target's.

    Args:
        frame: the variables, with the outcome `y`.
        arm: (n,) 1 for the rows to be weighted, else 0.
        target: (k,) the target means of the variables after the first.
        whose: the arm and the target population, for a sentence.

    Raises:
        UnusableData: no weights meet the means.
    """
    rows = _arm_rows(frame, arm if frame.weights is None else arm * frame.weights)
    inside, moments, multipliers = _dual(rows, frame.labels, target, whose)
    weights = empty(frame.n)
    weights[:] = 0.0
    weights[rows.index] = inside
    k, y = frame.at["x"].stop, frame.column("y")
    spread = moments - np.outer(moments[0], moments[0])
    slopes = solve(spread[1:k, 1:k], spread[1:k, [y]]).coefficients[:, 0]
    mean = float(moments[0, y])
    residuals = empty(frame.n)
    # The first variable is a column of ones.
    combine = np.zeros(len(frame.matrix))
    combine[0], combine[1:k], combine[y] = float(slopes @ target) - mean, -slopes, 1.0

    def work(s: slice) -> None:
        np.matmul(combine, frame.matrix[:, s], out=residuals[s])

    frame.rows.each(work)
    return Tilt(weights=weights, mean=mean, slopes=slopes, residuals=residuals, multipliers=multipliers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """The rows to be weighted.

    Attributes:
        index: (r,) their positions in the frame.
        rows: the same rows as blocks.
        matrix: (m, r) the variables of the frame.
        base: (r,) sampling weights that sum to 1.
    """

    index: NDArray[np.intp]
    rows: Rows
    matrix: Matrix
    base: Vector


def _arm_rows(frame: Frame, base: Vector) -> _Arm:
    """Return the rows of a frame whose weight is not 0."""
    index = np.flatnonzero(base)
    rows = Rows(n=len(index), block=frame.rows.block, threads=frame.rows.threads)
    matrix, own = empty(len(frame.matrix), len(index)), base[index]

    def take(s: slice) -> None:
        for variable, target in zip(frame.matrix, matrix, strict=True):
            np.take(variable, index[s], out=target[s], mode="clip")

    rows.each(take)
    return _Arm(index=index, rows=rows, matrix=matrix, base=own / own.sum())


def _dual(
    arm: _Arm, labels: Sequence[str], target: Vector, whose: tuple[Message, Message]
) -> tuple[Vector, Matrix, Vector]:
    """Return (r,) balancing weights of sum 1, the (m, m) moments of the arm under them, and their (k,) multipliers."""
    size = len(target)
    # The objective is never below log of the smallest base weight if the target can be met.
    floor = float(np.log(arm.base.min())) - 1e-6
    multipliers = np.zeros(size)
    value, weights = _weighted(arm, multipliers, target)
    for _ in range(_ITERATIONS):
        moments = gram(arm.rows, arm.matrix, weights)
        gradient = moments[0, 1 : size + 1] - target
        if float(np.abs(gradient).max(initial=0.0)) <= IMBALANCE or value < floor:
            break
        spread = moments[1 : size + 1, 1 : size + 1] - np.outer(moments[0, 1 : size + 1], moments[0, 1 : size + 1])
        step = -solve(spread, gradient[:, None]).coefficients[:, 0]
        descent = float(gradient @ step)
        length, before = 1.0, value
        for _ in range(_HALVINGS):
            value, weights = _weighted(arm, multipliers + length * step, target)
            if value <= before + 1e-4 * length * descent + 1e-15:
                break
            length /= 2
        multipliers = multipliers + length * step
        if length * float(np.abs(step).max(initial=0.0)) <= 1e-15 * (1.0 + float(np.abs(multipliers).max(initial=0.0))):
            moments = gram(arm.rows, arm.matrix, weights)
            break
    refuse_imbalance(labels, moments[0, 1 : size + 1] - target, whose)
    return weights, moments, multipliers


def _weighted(arm: _Arm, multipliers: Vector, target: Vector) -> tuple[float, Vector]:
    """Return the objective at some multipliers, and its (r,) weights, of sum 1."""
    size = len(target)
    weights = empty(arm.rows.n)
    offset = float(multipliers @ target)

    def work(s: slice) -> float:
        own = np.matmul(multipliers, arm.matrix[1 : size + 1, s], out=weights[s])
        own -= offset
        return float(own.max())

    highest = max(arm.rows.each(work))
    weights -= highest
    np.exp(weights, out=weights)
    weights *= arm.base
    total = float(weights.sum())
    weights /= total
    return highest + float(np.log(total)), weights


def refuse_imbalance(labels: Sequence[str], imbalance: Vector, whose: tuple[Message, Message]) -> None:
    """Refuse weights under which the means of the variables are not those of the target.

    Args:
        labels: of the variables, the first of which is 1.
        imbalance: (k,) differences from the target of the variables after the first.
        whose: the arm and the target population, for a sentence.

    Raises:
        UnusableData: they are not.
    """
    off = np.abs(imbalance)
    if off.max(initial=0.0) <= MET:
        return
    arm, population = whose
    worst = [labels[1 + place] for place in np.argsort(-off, kind="stable") if off[place] > max(MET, _FAR)]
    named = worst or [labels[1 + int(np.argmax(off))]]
    raise UnusableData(
        Message("adjustment.means-outside-hull", arm=arm, population=population, covariates=listed(named, 3))
    )
