"""Descriptions of the rows of every design: the effect, the rows' digests, the columns' names."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Matrix

EFFECT = 2.0


def row_keys(*columns: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A digest of each row's content."""
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def names_for(x: Matrix) -> dict[str, tuple[str, ...]]:
    """Column names for the roles."""
    labels = tuple(f"x{column}" for column in range(x.shape[1]))
    return {"y": ("y",), "treatment": ("t",), "covariates": labels, "propensity_covariates": labels}
