"""Cross-products of columns, in total and by group, and least-squares solutions from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.blocked_matmul import squares
from cqox.estimators.numerics.row_blocks import Partial, Rows
from cqox.estimators.numerics.scratch_memory import scratch

__all__ = [
    "Solution",
    "gram",
    "gram_partial",
    "grouped_gram",
    "grouped_gram_partial",
    "grouped_rows_partial",
    "independent",
    "independent_each",
    "solve",
    "solve_each",
    "solve_independent",
]

_TOLERANCE = 1e-10
"""A column counts as collinear with earlier ones if its residual sum of squares on them is below this share."""


def gram_partial(block: Matrix, weights: Vector | None) -> Partial:
    """Return (m, m) weighted cross-products of a block's m variables, one variable per row."""
    if weights is not None:
        block = np.multiply(block, np.sqrt(weights), out=scratch("weighted", *block.shape))
    return (squares(block),)


def grouped_gram_partial(block: Matrix, weights: Vector | None, groups: NDArray[np.integer], n_groups: int) -> Partial:
    """Return (groups, m, m) weighted cross-products within each group of a block's columns, and (groups,) counts."""
    ordered = _in_order_of(groups, block, weights)
    counts = np.bincount(groups, minlength=n_groups)
    ends = np.cumsum(counts)
    products = np.zeros((n_groups, len(block), len(block)))
    for group in np.flatnonzero(counts):
        products[group] = squares(ordered[:, ends[group] - counts[group] : ends[group]])
    return products, counts.astype(np.float64)


def grouped_rows_partial(rows: Matrix, weights: Vector | None, groups: NDArray[np.integer], n_groups: int) -> Partial:
    """Return the same for a block of (n, m) contiguous rows, which are put in order whole and not value by value."""
    counts = np.bincount(groups, minlength=n_groups)
    ends = np.cumsum(counts)
    order = np.argsort(groups, kind="stable")
    ordered = np.take(rows, order, axis=0, out=scratch("ordered", *rows.shape), mode="clip")
    if weights is not None:
        ordered *= np.sqrt(weights[order])[:, None]
    products = np.zeros((n_groups, rows.shape[1], rows.shape[1]))
    for group in np.flatnonzero(counts):
        own = ordered[ends[group] - counts[group] : ends[group]]
        np.matmul(own.T, own, out=products[group])
    return products, counts.astype(np.float64)


def _in_order_of(groups: NDArray[np.integer], block: Matrix, weights: Vector | None) -> Matrix:
    """Return the columns of a block in the order of their groups, times the root of their weights; the block itself
    where they are in order and unweighted."""
    if not (groups[1:] < groups[:-1]).any():
        return block if weights is None else np.multiply(block, np.sqrt(weights), out=scratch("ordered", *block.shape))
    order = np.argsort(groups, kind="stable")
    ordered = scratch("ordered", *block.shape)
    for variable, target in zip(block, ordered, strict=True):
        np.take(variable, order, out=target, mode="clip")
    if weights is not None:
        ordered *= np.sqrt(weights[order])
    return ordered


def gram(rows: Rows, matrix: Matrix, weights: Vector | None) -> Matrix:
    """Return (m, m) weighted cross-products of m variables over all rows."""
    (products,) = rows.total(lambda s: gram_partial(matrix[:, s], None if weights is None else weights[s]))
    return products


def grouped_gram(
    rows: Rows, matrix: Matrix, weights: Vector | None, groups: NDArray[np.integer], n_groups: int
) -> tuple[NDArray[np.float64], Vector]:
    """Return (groups, m, m) weighted cross-products by group, and (groups,) row counts."""
    products, counts = rows.total(
        lambda s: grouped_gram_partial(matrix[:, s], None if weights is None else weights[s], groups[s], n_groups)
    )
    return products, counts


def independent(products: Matrix) -> NDArray[np.intp]:
    """Return the positions of the columns that are not collinear with earlier ones, from their cross-products."""
    diagonal = np.diag(products)
    if _all_independent(products):
        return np.arange(len(diagonal))
    rest = products.copy()
    kept = []
    for column in range(len(diagonal)):
        pivot = rest[column, column]
        if pivot > _TOLERANCE * diagonal[column] and pivot > 0:
            kept.append(column)
            rest -= np.outer(rest[:, column], rest[column] / pivot)
    return np.asarray(kept, dtype=np.intp)


def independent_each(products: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (g, k) the usable columns of each of g fits, from (g, k, k) cross-products."""
    if _all_independent(products):
        return np.ones(products.shape[:2], dtype=np.bool_)
    used = np.zeros(products.shape[:2], dtype=np.bool_)
    for row, each in zip(used, products, strict=True):
        row[independent(each)] = True
    return used


def _all_independent(products: NDArray[np.float64]) -> bool:
    try:
        pivots = np.linalg.cholesky(products).diagonal(axis1=-2, axis2=-1) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool(np.all(pivots > _TOLERANCE * products.diagonal(axis1=-2, axis2=-1)))


@dataclass(frozen=True, slots=True)
class Solution:
    """A least-squares fit from cross-products.

    Attributes:
        coefficients: (k, r), 0 for collinear columns.
        inverse: (k, k) inverse of the cross-products, 0 in the rows and columns left out.
        kept: positions of the columns used.
    """

    coefficients: Matrix
    inverse: Matrix
    kept: NDArray[np.intp]


def solve(products: Matrix, right: Matrix) -> Solution:
    """Return the solution of (k, k) cross-products and (k, r) right-hand sides, leaving collinear columns out."""
    kept = independent(products)
    if len(kept) == len(products):
        return Solution(*_solved(products, right), kept=kept)
    coefficients = np.zeros_like(right)
    inverse = np.zeros_like(products)
    within = np.ix_(kept, kept)
    if len(kept):
        coefficients[kept], inverse[within] = _solved(products[within], right[kept])
    return Solution(coefficients=coefficients, inverse=inverse, kept=kept)


def solve_independent(products: Matrix, right: Matrix) -> Solution:
    """Return the solution for columns already known to be linearly independent."""
    return Solution(*_solved(products, right), kept=np.arange(len(products)))


def solve_each(products: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (g, k, r) coefficients of g fits at a time, each as `solve` gives them."""
    if _all_independent(products):
        return np.asarray(np.linalg.solve(products, right))
    return np.stack([solve(*each).coefficients for each in zip(products, right, strict=True)])


def _solved(products: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    """Return (k, r) coefficients and the (k, k) inverse, from one factorisation."""
    both = np.linalg.solve(products, np.concatenate((right, np.eye(len(products))), axis=1))
    width = right.shape[1]
    inverse = both[:, width:]
    return both[:, :width], (inverse + inverse.T) / 2
