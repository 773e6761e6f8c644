"""Covariates with gaps, kept by the missing-indicator method."""

from dataclasses import replace

import numpy as np

from cqox.analysis.roles import Covariates
from cqox.estimators.data import Vector

__all__ = ["with_indicators"]


def with_indicators(covariates: Covariates, *, role: str, notes: list[str]) -> Covariates:
    """The covariates with each gap filled by its column's mean, and beside them a 0/1 column for each pattern of gaps.

    No row is lost for a missing covariate. Estimates are those of a model in which that a value is missing tells what
    the value would have told: valid under random assignment (White and Thompson 2005, doi:10.1002/sim.1981), and in
    observational data only where missingness itself is what confounds.

    Args:
        covariates: the design matrix, NaN at gaps.
        role: for the note.
        notes: told how many columns were filled.
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
    filled_in = "1 column" if len(gaps) == 1 else f"{len(gaps)} columns"
    marked = "1 column that says where was" if len(patterns) == 1 else f"{len(patterns)} columns that say where were"
    notes.append(
        f"As asked by options.missing, gaps in {filled_in} of '{role}' are filled with the column's mean, and {marked} "
        "added."
    )
    added = np.column_stack([indicator for _, indicator in patterns.values()])
    return replace(
        covariates,
        matrix=np.ascontiguousarray(np.column_stack([filled, added])),
        labels=(*covariates.labels, *(label for label, _ in patterns.values())),
    )
