"""One linear combination of the coefficients of a regression, with the inputs of its standard errors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.inference.standard_errors import TOO_MANY, UNIDENTIFIED, Linear
from cqox.estimators.numerics.blocked_matmul import combined
from cqox.estimators.numerics.frame import Crossed, Frame
from cqox.estimators.numerics.gram import grouped_gram, independent, solve, solve_independent
from cqox.estimators.numerics.scratch_memory import scratch

__all__ = [
    "ACROSS_CLUSTERS",
    "JACKKNIFE_CELLS",
    "check_identified",
    "contrasts_without_each",
    "focus",
    "leverages",
    "regress",
    "residual_pass",
    "values_without_each",
]

_REFINE = 1e-12
JACKKNIFE_CELLS = 20_000_000
ACROSS_CLUSTERS = Message("inference.effects-across-clusters")


def focus(frame: Crossed, name: str, label: Message) -> NDArray[np.intp]:
    """Return the positions of the regressors `x` and, after them, one column of interest.

    Raises:
        UnusableData: the column is collinear with the regressors, or there are too few rows.
    """
    regressors = np.append(np.arange(frame.at["x"].start, frame.at["x"].stop), frame.column(name)).astype(np.intp)
    if frame.absorbed is not None:
        regressors = regressors[regressors > 0]
    check_identified(frame, regressors, label)
    return regressors


def check_identified(frame: Crossed, regressors: NDArray[np.intp], label: Message) -> None:
    """Refuse a regression with a collinear last column, or with more columns than rows.

    Raises:
        UnusableData: for either reason.
    """
    absorbed = frame.absorbed.degrees if frame.absorbed is not None else 0
    if frame.n <= len(regressors) + absorbed:
        raise UnusableData(Message("inference.too-few-rows", rows=frame.n, coefficients=len(regressors) + absorbed))
    products = frame.products[np.ix_(regressors, regressors)]
    last = len(regressors) - 1
    if products[last, last] <= 1e-14 * frame.n or last not in independent(products):
        if frame.absorbed is not None:
            raise UnusableData(Message("inference.collinear-within-effects", variable=label))
        raise UnusableData(Message("inference.collinear", variable=label))


def regress(
    frame: Frame,
    regressors: NDArray[np.intp],
    contrast: Vector,
    *,
    response: str = "y",
    clusters: Sequence[Codes] = (),
    arm_codes: Vector | None = None,
) -> Linear:
    """Fit a response on some columns of a frame by least squares; return one combination of the coefficients.

    Args:
        frame: the columns.
        regressors: positions of the regressors, linearly independent.
        contrast: (k,) weights of the coefficients, in raw units.
        response: the name of the response in the frame.
        clusters: clusters in which absorbed effects may be nested.
        arm_codes: (n,) 1 where the row is treated, 0 where it is a control of such rows, -1 otherwise; None where there
            are no arms.
    """
    target = frame.column(response)
    products = frame.products[np.ix_(regressors, regressors)]
    solution = solve_independent(products, frame.products[regressors, target][:, None])
    direction = contrast * frame.scale[target] / frame.scale[regressors]
    influence = solution.inverse @ direction
    coefficients = solution.coefficients[:, 0]
    contributions, squares, coefficients = residual_pass(
        frame, regressors, target, coefficients, solution.inverse, influence
    )
    absorbed = frame.absorbed
    k = len(regressors) + (absorbed.degrees if absorbed is not None else 0)
    not_nested = len(regressors) + (absorbed.degrees_not_nested(clusters) if absorbed is not None else 0)
    n = frame.n
    return Linear(
        value=float(direction @ coefficients),
        contributions=contributions,
        parameters=k,
        parameters_not_nested=not_nested,
        iid_variance=squares / (n - k) * float(direction @ influence),
        leverage=None if absorbed is not None else lambda: leverages(frame, regressors, solution.inverse),
        jackknife=lambda codes, count: _without_each(frame, regressors, target, direction, codes, count),
        arm_codes=arm_codes,
    )


def residual_pass(
    frame: Frame,
    regressors: NDArray[np.intp],
    target: int,
    coefficients: Vector,
    inverse: Matrix,
    influence: Vector,
) -> tuple[Vector, float, Vector]:
    """Return (n,) contributions to a combination, the weighted residual sum of squares, and the coefficients.

    The cross-products of residuals and regressors show the error of the cross-product algebra; if that is more than
    rounding, the coefficients are corrected by one step of iterative refinement.
    """
    contributions = np.empty(frame.n)
    weights = frame.weights
    for _ in range(3):
        combine = np.zeros((2, len(frame.matrix)))
        combine[0, regressors] = -coefficients
        combine[0, target] = 1.0
        combine[1, regressors] = influence

        def work(s: slice, combine: Matrix = combine) -> tuple[NDArray[np.float64], ...]:
            block = frame.matrix[:, s]
            residuals, direction = combined(combine, block, scratch("residuals", 2, block.shape[1]))
            weighted = residuals if weights is None else residuals * weights[s]
            np.multiply(weighted, direction, out=contributions[s])
            return block @ weighted, np.asarray(weighted @ residuals)

        gradient, squares = frame.rows.total(work)
        correction = inverse @ gradient[regressors]
        if np.abs(correction).max(initial=0.0) <= _REFINE * max(1.0, np.abs(coefficients).max(initial=0.0)):
            break
        coefficients = coefficients + correction
    return contributions, float(squares), coefficients


def leverages(frame: Frame, regressors: NDArray[np.intp], inverse: Matrix) -> Vector:
    """Return the (n,) diagonal of the hat matrix."""
    result = np.empty(frame.n)

    def work(s: slice) -> None:
        block = frame.matrix[regressors, s]
        result[s] = np.einsum("ij,ij->j", inverse @ block, block)

    frame.rows.each(work)
    return result if frame.weights is None else result * frame.weights


def _without_each(
    frame: Frame, regressors: NDArray[np.intp], target: int, direction: Vector, codes: Codes, count: int
) -> Vector | Message:
    absorbed = frame.absorbed
    if absorbed is not None and absorbed.degrees_not_nested([codes]) > 1:
        return ACROSS_CLUSTERS
    used = np.append(regressors, target)
    if count * len(used) ** 2 > JACKKNIFE_CELLS:
        return TOO_MANY
    matrix = frame.matrix[used]
    blocks, _ = grouped_gram(frame.rows, matrix, frame.weights, codes, count)
    return values_without_each(blocks, direction)


def values_without_each(blocks: NDArray[np.float64], direction: Vector) -> Vector | Message:
    """Return (g,) a combination of coefficients without each group of rows, or the reason for its absence, as a clause.

    Args:
        blocks: (g, k + 1, k + 1) cross-products of the regressors and, last, the response within each group.
        direction: (k,) weights of the coefficients.
    """
    whole = blocks.sum(axis=0)
    k, needed = len(direction), set(np.flatnonzero(direction).tolist())
    values = np.empty(len(blocks))
    for group, block in enumerate(blocks):
        rest = whole - block
        solution = solve(rest[:k, :k], rest[:k, k:])
        if not needed.issubset(solution.kept.tolist()):
            return UNIDENTIFIED
        values[group] = direction @ solution.coefficients[:, 0]
    return values


def contrasts_without_each(frame: Crossed, by_arm: NDArray[np.float64], mean: Vector | None) -> Vector | Message:
    """Return (g,) Lin's contrast without each group of rows, or the reason for its absence, as a clause.

    Args:
        frame: the columns.
        by_arm: (g, 2, m, m) their cross-products within each group and arm.
        mean: (k,) the point of the contrast; that of the remaining rows where None.
    """
    k, y = frame.at["x"].stop, frame.column("y")
    rest = by_arm.sum(axis=0) - by_arm
    values = np.empty(len(by_arm))
    for group in range(len(by_arm)):
        control, other = (solve(rest[group, arm, :k, :k], rest[group, arm, :k, [y]].T) for arm in (0, 1))
        if not (len(control.kept) and len(other.kept)):
            return UNIDENTIFIED
        both = rest[group, :, 0, :k].sum(axis=0)
        at = both / both[0] if mean is None else mean
        values[group] = at @ (other.coefficients[:, 0] - control.coefficients[:, 0]) * frame.scale[y]
    return values
