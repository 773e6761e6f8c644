"""Products along the rows of a block, strip by strip.

The BLAS multiplies small matrices where they lie and packs larger ones first, which costs more than the arithmetic on a
few variables and many rows. A strip is small enough, and all strips of a block go to it in one call: numpy keeps the
interpreter to itself while a single small result is made, but not for many.
"""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix

__all__ = ["combined", "cross", "squares"]

_STRIP = 512
_SHORT = 4 * _STRIP
"""Fewer rows than this are one strip."""

_FEW = 24
"""Up to so many variables a product of strips costs less than the half of it that symmetry leaves to compute."""


def _strips(block: Matrix) -> tuple[NDArray[np.float64], int]:
    """The (strips, m, 512) whole strips of an (m, n) block, as a view, and the rows that they hold."""
    m, n = block.shape
    count = n // _STRIP
    held = count * _STRIP
    return block[:, :held].reshape(m, count, _STRIP).transpose(1, 0, 2), held


def cross(left: Matrix, right: Matrix) -> Matrix:
    """(a, b) products of (a, n) with (b, n) along the rows."""
    if left.shape[1] < _SHORT:
        return left @ right.T
    (a, held), (b, _) = _strips(left), _strips(right)
    products = np.matmul(a, b.transpose(0, 2, 1)).sum(axis=0)
    if held < left.shape[1]:
        products += left[:, held:] @ right[:, held:].T
    return np.asarray(products)


def squares(block: Matrix) -> Matrix:
    """(m, m) products of a block's m variables with each other."""
    m = len(block)
    if not 1 < m <= _FEW:
        return block @ block.T
    # One variable short on the left: of equal operands numpy makes a symmetric product, which strips do not speed up.
    products = np.empty((m, m))
    products[:-1] = cross(block[:-1], block)
    products[-1, :-1] = products[:-1, -1]
    products[-1, -1] = block[-1] @ block[-1]
    return products


def combined(coefficients: Matrix, block: Matrix, out: Matrix | None = None) -> Matrix:
    """(r, n) combinations of a block's m variables by (r, m) coefficients."""
    r, n = len(coefficients), block.shape[1]
    result = np.empty((r, n)) if out is None else out
    if n < _SHORT:
        return np.matmul(coefficients, block, out=result)
    (strips, held), (into, _) = _strips(block), _strips(result)
    np.matmul(coefficients, strips, out=into)
    if held < n:
        np.matmul(coefficients, block[:, held:], out=result[:, held:])
    return result
