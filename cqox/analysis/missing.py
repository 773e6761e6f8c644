"""Missing covariate values: the missing-indicator method."""

from dataclasses import replace

import numpy as np

from cqox.analysis.roles import Covariates
from cqox.contract.messages import Message
from cqox.estimators.data import Vector

__all__ = ["with_indicators"]


def with_indicators(covariates: Covariates, *, role: str, notes: list[Message]) -> Covariates:
    """Fill each gap with the mean of its column, and add a 0/1 column for each pattern of missing values.

    No row is dropped for a missing covariate. The model includes the missingness indicators in place of the missing
    values: valid under random assignment (White and Thompson 2005, doi:10.1002/sim.1981), and in observational data
    only if missingness itself is the confounder.

    Args:
        covariates: the design matrix, NaN at gaps.
        role: role named in the note.
        notes: receives a note on the number of filled columns.
    """
    matrix = covariates.matrix
    missing = np.isnan(matrix)
    gaps = np.flatnonzero(missing.any(axis=0))
    if not gaps.size:
        return covariates
    filled = matrix.copy()
    patterns: dict[bytes, tuple[str, Vector]] = {}
    for column in gaps:
        absent = missing[:, column]
        filled[absent, column] = 0.0 if absent.all() else matrix[~absent, column].mean()
        label = covariates.labels[column].partition("=")[0]
        patterns.setdefault(absent.tobytes(), (f"{label} missing", absent.astype(np.float64)))
    notes.append(Message("analysis.gaps-filled", columns=len(gaps), role=role, indicators=len(patterns)))
    added = np.column_stack([indicator for _, indicator in patterns.values()])
    return replace(
        covariates,
        matrix=np.ascontiguousarray(np.column_stack([filled, added])),
        labels=(*covariates.labels, *(label for label, _ in patterns.values())),
    )
