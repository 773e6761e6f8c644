"""Whether a column is another one once more: in other units, on another scale, or under other words.

Judged on about twenty thousand evenly spaced rows, so that a column of millions costs no more than it takes to read.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from cqox.analysis.roles import numeric
from cqox.estimators.data import Vector

__all__ = ["Sampled", "likeness", "sampled"]

_SAME = 0.999
"""Correlation, of values or of ranks, beyond which one column repeats another."""

_ALIKE = 0.98
"""Rank correlation in a few rows below which it is not worth while to look at more."""

_FEWEST = 10
"""Rows below which columns may agree by chance."""

_FEW = 500
_SAMPLED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Rows of a column.

    Attributes:
        series: as they are.
        amounts: as numbers, NaN where missing; None where they are words.
    """

    series: pl.Series
    amounts: Vector | None


def sampled(column: pl.Series | Vector) -> Sampled:
    """The rows of a column by which it is compared with others; NaN is no value."""
    series = column if isinstance(column, pl.Series) else pl.Series(column).fill_nan(None)
    rows = series.gather_every(-(-max(1, series.len()) // _SAMPLED))
    is_amount = rows.dtype.is_numeric() or rows.dtype == pl.Boolean or rows.dtype.is_temporal()
    return Sampled(series=rows, amounts=numeric(rows, role="covariates") if is_amount else None)


def likeness(column: Sampled, other: Sampled) -> str | None:
    """By what the column shows to be the other once more, such as `correlation 1`; None where it is not.

    Amounts are where their values or their ranks correlate by more than 0.999; words where each level goes with one
    level, or one number, of the other.
    """
    if column.amounts is not None and other.amounts is not None:
        return _same_amounts(column.amounts, other.amounts)
    both = pl.DataFrame({"one": column.series, "other": other.series}).drop_nulls()
    levels = both.unique().height
    same = 2 <= levels == both["one"].n_unique() == both["other"].n_unique()
    return "the same levels" if same and levels <= both.height / 2 and both.height >= _FEWEST else None


def _same_amounts(column: Vector, other: Vector) -> str | None:
    known = ~(np.isnan(column) | np.isnan(other))
    one, two = column[known], other[known]
    if len(one) < _FEWEST:
        return None
    correlation = _correlation(one, two)
    if abs(correlation) > _SAME:
        return f"correlation {correlation:.4g}"
    step = -(-len(one) // _FEW)
    # Of a table of thousands of columns nearly all are dismissed by a few rows.
    if abs(_rank_correlation(one[::step], two[::step])) < _ALIKE:
        return None
    ranks = _rank_correlation(one, two)
    if abs(ranks) > _SAME:
        return "the same order" if ranks > 0 else "the opposite order"
    return None


def _rank_correlation(one: Vector, other: Vector) -> float:
    return _correlation(_ranks(one), _ranks(other))


def _ranks(values: Vector) -> Vector:
    """(n,) ranks from 0, equal values at the mean of theirs."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[level])


def _correlation(one: Vector, other: Vector) -> float:
    """The correlation; 0 where one of the two does not vary."""
    left, right = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > 0 else 0.0
