"""The nearest of some positions by a matrix product, for many dimensions.

A k-d tree of a few thousand positions in ten dimensions leaves hardly any of them out, and compares slower than a
matrix product does.
"""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix

__all__ = ["nearest_by_products", "worthwhile"]

_DIMENSIONS = 8
_POSITIONS = 8_192
_MOST = 8
_BLOCK = 131_072
"""Distances at a time, which stay in a core's cache."""


def worthwhile(among: Matrix, count: int) -> bool:
    """Return whether a tree would take longer to find the `count` nearest of (positions, dimensions) others."""
    return among.shape[1] >= _DIMENSIONS and len(among) <= _POSITIONS and count <= _MOST


def nearest_by_products(places: Matrix, among: Matrix, count: int) -> tuple[Matrix, NDArray[np.intp]]:
    """Return (places, count) distances to the nearest of other positions, ascending, and which these are.

    The product loses digits where positions nearly coincide, so that it only selects; the distances themselves are sums
    of squared differences.

    Args:
        places: (places, dimensions).
        among: (positions, dimensions).
        count: at most the number of positions.
    """
    nearest = np.empty((len(places), count), dtype=np.intp)
    squares, across = (among * among).sum(axis=1) / 2, np.ascontiguousarray(among.T)
    step = max(1, _BLOCK // len(among))
    for start in range(0, len(places), step):
        found = nearest[start : start + step]
        apart = squares - places[start : start + step] @ across
        rows = np.arange(len(found))
        for place in range(count):
            found[:, place] = least = apart.argmin(axis=1)
            apart[rows, least] = np.inf
    differences = places[:, None] - among[nearest]
    distances = np.sqrt(np.einsum("qcd,qcd->qc", differences, differences))
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(nearest, order, axis=1)
