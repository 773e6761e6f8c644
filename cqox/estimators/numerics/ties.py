"""Ties of computed scores: values that are equal up to rounding."""

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Vector

__all__ = ["TIE", "tie_groups"]

TIE = 1e-10
"""Probabilities closer than this count as equal: for rows of equal covariates they differ by rounding only."""


def tie_groups(values: Vector) -> tuple[NDArray[np.int64], int]:
    """Return (n,) group numbers of tied values, ascending from 0, and the number of groups."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.empty(len(values), dtype=np.int64)
    starts[:1] = 0
    starts[1:] = np.diff(ordered) > TIE
    groups = np.empty(len(values), dtype=np.int64)
    groups[order] = np.cumsum(starts)
    return groups, int(groups.max(initial=-1)) + 1
