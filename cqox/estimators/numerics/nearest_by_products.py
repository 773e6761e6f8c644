"""The nearest of some positions by a matrix product, for many dimensions.

A k-d tree of a few thousand positions in ten dimensions leaves hardly any of them out, and compares slower than a
matrix product does.
"""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Matrix
from cqox.estimators.numerics.scratch_memory import scratch

__all__ = ["nearest_by_products", "worthwhile"]

_DIMENSIONS = 8
_POSITIONS = 8_192
_MOST = 8
_BLOCK = 131_072
"""Distances at a time, which stay in a core's cache."""
_ERROR = 1e-10
"""By how much a distance of order 1 may be wrong in the selection; less than what makes a tie."""


def worthwhile(among: Matrix, count: int) -> bool:
    """Return whether a tree would take longer to find the `count` nearest of (positions, dimensions) others."""
    return among.shape[1] >= _DIMENSIONS and len(among) <= _POSITIONS and count <= _MOST


def nearest_by_products(
    places: Matrix, among: Matrix, count: int
) -> tuple[Matrix, NDArray[np.intp], NDArray[np.bool_]]:
    """Return (places, count) distances to the nearest of other positions, ascending, which these are, and (places,)
    whether they are surely the nearest.

    The product loses digits where positions nearly coincide, the more the further they are from their centre. It only
    selects; the distances themselves are sums of squared differences. Where its rounding could have left out a nearer
    position, that is said.

    Args:
        places: (places, dimensions).
        among: (positions, dimensions).
        count: at most the number of positions.
    """
    centre = among.mean(axis=0)
    away, across = _factors(places - centre, among - centre)
    nearest = np.empty((len(places), count), dtype=np.intp)
    step = max(1, _BLOCK // len(among))
    for start in range(0, len(places), step):
        found = nearest[start : start + step]
        apart = np.matmul(away[start : start + step], across, out=scratch("apart", len(found), len(among)))
        rows = np.arange(len(found))
        for place in range(count):
            found[:, place] = least = apart.argmin(axis=1)
            apart[rows, least] = np.inf
    nearest.sort(axis=1)  # of several at one distance, the first come first
    differences = places[:, None] - among[nearest]
    distances = np.sqrt(np.einsum("qcd,qcd->qc", differences, differences))
    order = np.argsort(distances, axis=1, kind="stable")
    distances = np.take_along_axis(distances, order, axis=1)
    # A nearer position is at most this far from the centre, by which the error of its product is bounded.
    from_centre = away[:, :-1]
    farthest = np.sqrt(np.einsum("qd,qd->q", from_centre, from_centre)) + distances[:, -1]
    rounding = 4 * places.shape[1] * np.finfo(np.float64).eps * (2 * farthest) ** 2
    return distances, np.take_along_axis(nearest, order, axis=1), rounding <= _ERROR * distances[:, -1]


def _factors(places: Matrix, among: Matrix) -> tuple[Matrix, Matrix]:
    """Return (places, dimensions + 1) and (dimensions + 1, positions) whose product orders the positions by distance.

    It is half the squared distance less half the squared length of the place, which is the same for all positions.
    """
    away, across = np.ones((len(places), places.shape[1] + 1)), np.empty((among.shape[1] + 1, len(among)))
    np.negative(places, out=away[:, :-1])
    across[:-1] = among.T
    across[-1] = (among * among).sum(axis=1) / 2
    return away, across
