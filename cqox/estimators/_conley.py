"""Errors of sums whose terms are correlated in space: Conley 1999 with a kernel that falls to 0 at a distance."""

import math

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector

__all__ = ["EARTH_KM", "MOST_PAIRS", "conley_variance", "default_bandwidth"]

EARTH_KM = 6371.0088
MOST_PAIRS = 50_000_000
_ASKED, _MOST_NEIGHBOURS = 2_000, 50


def default_bandwidth(location: Matrix, row_key: NDArray[np.uint64]) -> float:
    """Kilometres within which the median row has 3·n^(1/3) others, at most fifty.

    Args:
        location: (n, 2) latitude and longitude in degrees.
        row_key: (n,) of which the smallest choose the rows that are asked, where there are many.

    Raises:
        UnusableData: most rows are in one place.
    """
    from scipy.spatial import cKDTree

    points, n = _on_sphere(location), len(location)
    others = min(n - 1, _MOST_NEIGHBOURS, math.ceil(3 * n ** (1 / 3)))
    asked = points
    if n > 2 * _ASKED:
        asked = points[row_key <= np.partition(row_key, _ASKED)[_ASKED]]
    chord, _ = cKDTree(points).query(asked, k=[others + 1])
    reach = float(np.median(_arc(chord)))
    if reach <= 0:
        raise UnusableData("Most rows are in one place; give options.conley_bandwidth in kilometres.")
    return reach


def conley_variance(
    contributions: Vector, location: Matrix, bandwidth: float, *, most_pairs: int = MOST_PAIRS
) -> tuple[float, int]:
    """The variance of the sum of the contributions, and how many pairs are within the bandwidth.

    Pairs count by Bartlett's kernel, 1 - distance/bandwidth, on great circles; there is no finite-sample factor.

    Raises:
        UnusableData: there are too many pairs.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(_on_sphere(location))
    reach = 2.0 * math.sin(min(bandwidth / (2.0 * EARTH_KM), math.pi / 2))
    # Each pair is counted from both ends, and each row with itself.
    if int(tree.count_neighbors(tree, reach)) > 2 * most_pairs:
        raise UnusableData(
            f"More than {most_pairs:,} pairs of rows are within {bandwidth:.4g} km; give a smaller "
            "options.conley_bandwidth."
        )
    pairs = tree.query_pairs(reach, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    chord = np.sqrt(np.square(tree.data[first] - tree.data[second]).sum(axis=1))
    kernel = np.maximum(1.0 - _arc(chord) / bandwidth, 0.0)
    cross = float(np.sum(kernel * contributions[first] * contributions[second]))
    return float(contributions @ contributions) + 2.0 * cross, len(pairs)


def _on_sphere(location: Matrix) -> Matrix:
    latitude, longitude = np.radians(location).T
    flat = np.cos(latitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])


def _arc(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kilometres along the sphere between points so far apart through it."""
    return np.asarray(2.0 * EARTH_KM * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)))
