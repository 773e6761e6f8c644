"""Redundant columns: copies of another column in other units, on another scale, or with other labels.

Compared on about twenty thousand evenly spaced rows, so that a column of millions costs no more than reading it.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from cqox.analysis.roles import numeric
from cqox.contract.messages import Message
from cqox.estimators.data import Vector

__all__ = ["Sampled", "redundancy", "sampled"]

_SAME = 0.999
"""Correlation of values or of ranks above which one column is redundant with another."""

_ALIKE = 0.98
"""Rank correlation in a few rows below which no more rows are compared."""

_FEWEST = 10
"""Number of rows below which columns may agree by chance."""

_FEW = 500
_SAMPLED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Sampled rows of a column.

    Attributes:
        series: the values.
        amounts: the values as numbers, NaN if missing; None for words.
    """

    series: pl.Series
    amounts: Vector | None


def sampled(column: pl.Series | Vector) -> Sampled:
    """Return the rows of a column that are compared with other columns; NaN counts as missing."""
    series = column if isinstance(column, pl.Series) else pl.Series(column).fill_nan(None)
    rows = series.gather_every(-(-max(1, series.len()) // _SAMPLED))
    is_amount = rows.dtype.is_numeric() or rows.dtype == pl.Boolean or rows.dtype.is_temporal()
    return Sampled(series=rows, amounts=numeric(rows, role="covariates") if is_amount else None)


def redundancy(column: Sampled, other: Sampled) -> Message | None:
    """Return the evidence that one column is a copy of the other, such as `correlation 1`; None without any.

    Numbers are redundant if their values or their ranks correlate above 0.999; words if each level corresponds to one
    level, or one number, of the other column.
    """
    if column.amounts is not None and other.amounts is not None:
        return _same_amounts(column.amounts, other.amounts)
    both = pl.DataFrame({"one": column.series, "other": other.series}).drop_nulls()
    levels = both.unique().height
    same = 2 <= levels == both["one"].n_unique() == both["other"].n_unique()
    if same and levels <= both.height / 2 and both.height >= _FEWEST:
        return Message("analysis.same-levels")
    return None


def _same_amounts(column: Vector, other: Vector) -> Message | None:
    known = ~(np.isnan(column) | np.isnan(other))
    one, two = column[known], other[known]
    if len(one) < _FEWEST:
        return None
    correlation = _correlation(one, two)
    if abs(correlation) > _SAME:
        return Message("analysis.correlation", correlation=correlation)
    step = -(-len(one) // _FEW)
    # In a table of thousands of columns nearly all pairs are ruled out by a few rows.
    if abs(_rank_correlation(one[::step], two[::step])) < _ALIKE:
        return None
    ranks = _rank_correlation(one, two)
    if abs(ranks) > _SAME:
        return Message("analysis.same-order") if ranks > 0 else Message("analysis.opposite-order")
    return None


def _rank_correlation(one: Vector, other: Vector) -> float:
    return _correlation(_ranks(one), _ranks(other))


def _ranks(values: Vector) -> Vector:
    """Return (n,) ranks from 0, with mid-ranks for ties."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[level])


def _correlation(one: Vector, other: Vector) -> float:
    """Return the correlation; 0 if one of the two is constant."""
    left, right = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > 0 else 0.0
