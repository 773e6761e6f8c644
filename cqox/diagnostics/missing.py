"""Missing values by role and column."""

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics.json_values import number
from cqox.estimators import Json, Plan
from cqox.estimators.sample import ROLE_ARRAYS, complete_rows, role_arrays

__all__ = ["missing_values"]

_MOST_COLUMNS = 20
_NEVER_MISSING = ("cohort",)
"""Roles in which a missing value has a defined meaning."""


def missing_values(plan: Plan) -> dict[str, Json]:
    """Count all rows, complete cases, and rows with a missing value by role.

    Columns with missing values are listed by name, most missing values first.
    """
    roles: dict[str, Json] = {}
    for role in ROLE_ARRAYS:
        arrays = role_arrays(plan.data, role)
        if not arrays or role in _NEVER_MISSING:
            continue
        if role == "propensity_covariates" and plan.data.propensity_covariates is plan.data.covariates:
            continue
        gaps = np.concatenate([_gaps(array) for array in arrays])
        labels = plan.labels(role) if len(arrays) == 1 else plan.data.names.get(role, ())
        found: dict[str, Json] = {"rows": _rows_without(arrays, plan.data.n)}
        if len(gaps) > 1 and gaps.any():
            order = np.argsort(-gaps, kind="stable")[:_MOST_COLUMNS]
            found["columns"] = {labels[at]: int(gaps[at]) for at in order if gaps[at] and at < len(labels)}
        roles[role] = found
    complete = plan.sample(*(role for role in roles)).n
    return {
        "rows": plan.data.n,
        "complete_rows": complete,
        "complete_share": number(complete / plan.data.n) if plan.data.n else None,
        "roles": roles,
    }


def _rows_without(arrays: tuple[NDArray[np.generic], ...], n: int) -> int:
    complete = complete_rows(arrays, n)
    return 0 if complete is None else n - int(np.count_nonzero(complete))


def _gaps(array: NDArray[np.generic]) -> NDArray[np.int64]:
    """Count the missing values of each column."""
    if np.issubdtype(array.dtype, np.integer):
        return np.asarray([np.count_nonzero(np.less(array.astype(np.int64, copy=False), 0))])
    numbers = np.asarray(array, dtype=np.float64)
    matrix = numbers[:, None] if numbers.ndim == 1 else numbers
    if np.isfinite(matrix.sum()):
        return np.zeros(matrix.shape[1], dtype=np.int64)
    return np.asarray([np.count_nonzero(~np.isfinite(column)) for column in matrix.T])
