"""Comparison of the arms by one column without a role, by the tests of `cqox.diagnostics.randomization_tests`."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.roles import group_codes, numeric
from cqox.diagnostics.randomization_tests import Assignment, compare_amount, compare_levels
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.numerics.absorb import compress

__all__ = ["arms_of", "smallest_p_value"]

_FEWEST = 5
"""Least number of rows of each arm to compare."""

_MOST_LEVELS = 5
"""Most numeric values of a treatment that are compared as levels."""

_MOST_LEVELS_OF_A_CATEGORY = 20
"""Most levels of a category that are compared; the others are its reference."""


def arms_of(series: pl.Series) -> list[Vector]:
    """Return (n,) indicators of the levels beyond the first, or one amount; NaN where missing."""
    levels = series.drop_nulls().unique().sort()
    if series.dtype.is_numeric() and len(levels) > _MOST_LEVELS:
        return [numeric(series, role="treatment")]
    return [
        (series == level).cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for level in levels.to_list()[1 if len(levels) == 2 else 0 :]
    ]


def smallest_p_value(
    series: pl.Series, arms: Sequence[Vector], blocks: Codes | None, clusters: Codes | None
) -> float | None:
    """Return the smallest p-value over the arms, times their number; None where nothing can be compared.

    Args:
        series: (n,) the column: words by their levels, numbers and dates by their ranks.
        arms: (n,) indicators of levels of the assigned variable, or its amount; NaN where missing.
        blocks: (n,) codes of the blocks within which it was assigned, -1 where missing; None without blocks.
        clusters: (n,) codes of the clusters, -1 where missing; their means are compared where they differ in the
            assigned variable more than their rows do. None without clusters.
    """
    by_levels = not (series.dtype.is_numeric() or series.dtype.is_temporal())
    scores = _dummies(series) if by_levels else numeric(series, role="covariates")[:, None]
    p_values = []
    for arm in arms:
        known = ~(np.isnan(scores[:, 0]) | np.isnan(arm))
        if not _few(arm[known]):
            p_values += _compared(scores[known], arm[known], blocks, clusters, known)
    return min(1.0, min(p_values) * len(arms)) if p_values else None


def _dummies(series: pl.Series) -> Matrix:
    """Return (n, k) indicators of the most frequent levels but the first of them; NaN where missing."""
    codes = group_codes(series)
    counts = np.bincount(codes[codes >= 0])
    levels = np.argsort(-counts, kind="stable")[1:_MOST_LEVELS_OF_A_CATEGORY]
    columns: Matrix = (codes[:, None] == levels).astype(np.float64)
    columns[codes < 0] = np.nan
    return columns


def _compared(
    scores: Matrix, arm: Vector, blocks: Codes | None, clusters: Codes | None, known: NDArray[np.bool_]
) -> list[float]:
    """Return the p-values of the tests of one column: one, or one for each level where clusters are compared."""
    strata = np.zeros(len(arm), dtype=np.int64) if blocks is None else compress(blocks[known] + 1)[0]
    whole = None if clusters is None else _whole(arm, compress(clusters[known] + 1)[0])
    if whole is None:
        test = (
            compare_levels(scores, Assignment(values=arm, strata=strata))
            if scores.shape[1] > 1
            else (compare_amount(scores[:, 0], Assignment(values=arm, strata=strata)))
        )
        return [] if test is None else [test.p_value]
    _, first = np.unique(whole, return_index=True)
    assigned = Assignment(values=_means(arm, whole), strata=compress(strata[first])[0])
    found = [compare_amount(_means(column, whole), assigned) for column in scores.T]
    p_values = [each.p_value for each in found if each is not None]
    return [min(1.0, min(p_values) * len(p_values))] if p_values else []


def _means(values: Vector, codes: Codes) -> Vector:
    return np.asarray(np.bincount(codes, values) / np.bincount(codes))


def _few(arm: Vector) -> bool:
    """Return whether an arm has too few rows, or an amount too few values."""
    levels, counts = np.unique(arm, return_counts=True)
    return len(levels) < 2 or (len(levels) == 2 and int(counts.min()) < _FEWEST)


def _whole(arm: Vector, codes: Codes) -> Codes | None:
    """Return the clusters where they, more than their rows, differ in the assigned variable."""
    within = float(((arm - _means(arm, codes)[codes]) ** 2).sum())
    return codes if within < 0.5 * float(((arm - arm.mean()) ** 2).sum()) else None
