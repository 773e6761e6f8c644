"""Matrix products along the rows of a block, strip by strip.

The BLAS multiplies small matrices in place and packs larger ones first, which costs more than the arithmetic for few
variables and many rows. A strip is small enough for the first, and all strips of a block are passed in one call,
because numpy holds the GIL while it makes a single small result but not while it makes many.
"""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix

__all__ = ["combined", "cross", "squares"]

_STRIP = 512
_SHORT = 4 * _STRIP
"""Blocks with fewer rows than this are one strip."""

_FEW = 24
"""Up to this number of variables, strips are faster than a symmetric product, which computes half of it."""


def _strips(block: Matrix) -> tuple[NDArray[np.float64], int]:
    """Return the (strips, m, 512) complete strips of an (m, n) block, as a view, and the rows that they cover."""
    m, n = block.shape
    count = n // _STRIP
    held = count * _STRIP
    return block[:, :held].reshape(m, count, _STRIP).transpose(1, 0, 2), held


def cross(left: Matrix, right: Matrix) -> Matrix:
    """Return (a, b) products of (a, n) with (b, n) along the rows."""
    if left.shape[1] < _SHORT:
        return left @ right.T
    (a, held), (b, _) = _strips(left), _strips(right)
    products = np.matmul(a, b.transpose(0, 2, 1)).sum(axis=0)
    if held < left.shape[1]:
        products += left[:, held:] @ right[:, held:].T
    return np.asarray(products)


def squares(block: Matrix) -> Matrix:
    """Return (m, m) products of a block's m variables with each other."""
    m = len(block)
    if not 1 < m <= _FEW:
        return block @ block.T
    # Omit one variable on the left: for equal operands numpy calls the symmetric product, which strips do not speed up.
    products = np.empty((m, m))
    products[:-1] = cross(block[:-1], block)
    products[-1, :-1] = products[:-1, -1]
    products[-1, -1] = block[-1] @ block[-1]
    return products


def combined(coefficients: Matrix, block: Matrix, out: Matrix | None = None) -> Matrix:
    """Return (r, n) linear combinations of a block's m variables by (r, m) coefficients."""
    r, n = len(coefficients), block.shape[1]
    result = np.empty((r, n)) if out is None else out
    if n < _SHORT:
        return np.matmul(coefficients, block, out=result)
    (strips, held), (into, _) = _strips(block), _strips(result)
    np.matmul(coefficients, strips, out=into)
    if held < n:
        np.matmul(coefficients, block[:, held:], out=result[:, held:])
    return result
