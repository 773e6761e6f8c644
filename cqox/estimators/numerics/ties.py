"""Which scores are equal but for the rounding of how they were computed."""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Vector

__all__ = ["TIE", "tie_groups"]

TIE = 1e-10
"""Probabilities closer than this count as equal: rows of equal covariates differ by less where they stand elsewhere."""


def tie_groups(values: Vector) -> tuple[NDArray[np.int64], int]:
    """(n,) numbers of the groups of equal values, ascending from 0, and how many groups there are."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.empty(len(values), dtype=np.int64)
    starts[:1] = 0
    starts[1:] = np.diff(ordered) > TIE
    groups = np.empty(len(values), dtype=np.int64)
    groups[order] = np.cumsum(starts)
    return groups, int(groups[order[-1]]) + 1
