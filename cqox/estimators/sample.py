"""The rows that an estimator uses: the complete cases of its roles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Data, Matrix, Vector

__all__ = ["ARMS", "MOST_LISTED", "ROLE_ARRAYS", "Sample", "complete_rows", "is_mapped", "listed", "role_arrays"]

ARMS = (Message("estimators.untreated"), Message("estimators.treated"))
"""The arms for a sentence, by the value of a binary treatment."""
MOST_LISTED = 8
"""Number of labels that a sentence names."""

ROLE_ARRAYS: dict[str, str] = {
    "y": "y",
    "treatment": "treatment",
    "covariates": "covariates",
    "propensity_covariates": "propensity_covariates",
    "pscore": "pscore",
    "instrument": "instruments",
    "unit_id": "unit",
    "time": "time",
    "post": "post",
    "cohort": "cohort",
    "cluster": "clusters",
    "weights": "weights",
    "fixed_effects": "fixed_effects",
    "running": "running",
    "mediator": "mediators",
    "dose": "dose",
    "action": "action",
    "target_policy": "target_policy",
    "sample": "in_source",
    "neighbor_exposure": "neighbor_exposure",
    "proxy_treatment": "proxy_treatment",
    "proxy_outcome": "proxy_outcome",
    "cost": "cost",
}
"""Role to the field of `Data` that holds its value in each row."""

_PARAMETERS: dict[str, str] = {
    "intervention_time": "intervention_time",
    "cutoff": "cutoff",
    "edges": "edges",
    "latitude": "location",
    "longitude": "location",
}
"""Role to the field of `Data`, for roles that describe the design and not single rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The complete cases of some roles.

    Attributes:
        total: rows of the data.
        n: rows used.
        index: (n,) their positions, ascending; None where every row is used.
    """

    total: int
    n: int
    index: NDArray[np.intp] | None

    def take[Scalar: np.generic](self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return these rows of an array; the array itself where every row is used."""
        return array if self.index is None else array[self.index]

    def scatter(self, values: Vector, fill: float = 0.0) -> Vector:
        """Return (total,) the values at their rows and `fill` elsewhere."""
        if self.index is None:
            return values
        full = np.full(self.total, fill)
        full[self.index] = values
        return full


def is_mapped(data: Data, role: str) -> bool:
    """Return whether the mapping names a role."""
    if role in _PARAMETERS:
        return getattr(data, _PARAMETERS[role]) is not None
    return bool(role_arrays(data, role))


def role_arrays(data: Data, role: str) -> tuple[NDArray[np.generic], ...]:
    """Return the arrays of a role; empty where it is not mapped."""
    value = getattr(data, ROLE_ARRAYS[role])
    if value is None or (role == "y" and data.y_kind == "none"):
        return ()
    if isinstance(value, tuple):
        return value
    return () if value.ndim == 2 and not value.shape[1] else (value,)


def complete_rows(arrays: Sequence[NDArray[np.generic]], n: int) -> NDArray[np.bool_] | None:
    """Return (n,) whether each row is complete; None if all are. Codes are missing below 0, numbers at NaN."""
    complete: NDArray[np.bool_] | None = None
    for array in arrays:
        present = _present(array)
        if present is not None:
            complete = present if complete is None else complete & present
    return complete


def _present(array: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    if np.issubdtype(array.dtype, np.integer):
        known: NDArray[np.bool_] = np.greater_equal(array.astype(np.int64, copy=False), 0)
        return None if known.all() else known
    numbers = np.asarray(array, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numbers.sum()):
            return None
    finite = np.isfinite(numbers) if numbers.ndim == 1 else _finite_rows(numbers)
    return None if finite.all() else finite


def _finite_rows(matrix: Matrix) -> NDArray[np.bool_]:
    finite = np.ones(len(matrix), dtype=np.bool_)
    for column in matrix.T:
        finite &= np.isfinite(column)
    return finite


def listed(labels: Sequence[str], most: int = MOST_LISTED, *, of: int = 0) -> Message:
    """Return the labels for a sentence, at most the first few by name.

    Args:
        labels: all of them, or at least the first few.
        most: how many are named.
        of: the number of all, where that is larger.
    """
    more = max(len(labels), of) - most
    if more <= 0:
        return Message("estimators.names", names=labels)
    return Message("estimators.names-and-more", names=labels[:most], more=more)
