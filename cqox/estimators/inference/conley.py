"""Spatial standard errors: Conley (1999) with all pairs within a distance, as in fixest."""

import math

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.numerics.folds import keyed

__all__ = ["EARTH_KM", "MOST_PAIRS", "conley_variance", "default_bandwidth"]

EARTH_KM = 6371.0088
MOST_PAIRS = 50_000_000
_ASKED, _MOST_NEIGHBOURS = 2_000, 50


def default_bandwidth(location: Matrix, row_key: NDArray[np.uint64]) -> float:
    """Return the kilometres within which the median row has 2·n^(1/3) others, at most fifty.

    Args:
        location: (n, 2) latitude and longitude in degrees.
        row_key: (n,) which, with the location, selects the rows to evaluate if there are many; rows of a cluster share
            one key, and its locations do not represent all.

    Raises:
        UnusableData: most rows have the same location.
    """
    from scipy.spatial import cKDTree

    points, n = _on_sphere(location), len(location)
    others = min(n - 1, _MOST_NEIGHBOURS, math.ceil(2 * n ** (1 / 3)))
    asked = points
    if n > 2 * _ASKED:
        drawn = row_key
        for degrees in location.T:
            drawn = keyed(drawn ^ (degrees + 0.0).view(np.uint64), "places")
        asked = points[drawn <= np.partition(drawn, _ASKED)[_ASKED]]
    chord, _ = cKDTree(points).query(asked, k=[others + 1])
    reach = float(np.median(_arc(chord)))
    if reach <= 0:
        raise UnusableData(Message("inference.same-location"))
    return reach


def conley_variance(
    contributions: Vector, location: Matrix, bandwidth: float, *, most_pairs: int = MOST_PAIRS
) -> tuple[float, int]:
    """Return the variance of the sum of the contributions, and the number of pairs within the bandwidth.

    The kernel is uniform over great-circle distances, and the variance may be negative: a kernel that decreases with
    distance gives no negative variance, but underweights the pairs that matter. There is no finite-sample factor.

    Raises:
        UnusableData: there are too many pairs.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(_on_sphere(location))
    reach = 2.0 * math.sin(min(bandwidth / (2.0 * EARTH_KM), math.pi / 2))
    # Each pair is counted from both ends, and each row with itself.
    if int(tree.count_neighbors(tree, reach)) > 2 * most_pairs:
        raise UnusableData(Message("inference.too-many-pairs", most=most_pairs, bandwidth=bandwidth))
    pairs = tree.query_pairs(reach, output_type="ndarray")
    cross = float(contributions[pairs[:, 0]] @ contributions[pairs[:, 1]])
    return float(contributions @ contributions) + 2.0 * cross, len(pairs)


def _on_sphere(location: Matrix) -> Matrix:
    latitude, longitude = np.radians(location).T
    flat = np.cos(latitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])


def _arc(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the great-circle kilometres between points at some chord distance."""
    return np.asarray(2.0 * EARTH_KM * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)))
