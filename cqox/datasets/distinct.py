"""The number of different values in a column and of rows of one value, without a hash table where a sort is cheaper."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["count_distinct", "count_largest", "first_distinct"]

_FLAGS = 1 << 24
"""Whole numbers in a range up to this are counted by one flag each."""

_FLAGS_PER_VALUE = 8
_FLAGGED_ROWS = 1 << 16
"""Rows flagged at a time: differences of all rows at once would be new pages of the system."""

_FIRST_ROWS = 100_000


def count_distinct(values: pl.Series) -> int:
    """Return how many different values a column has, without null; 0.0 and -0.0 are one value.

    Args:
        values: numbers without NaN, dates, moments or texts.
    """
    known = values.drop_nulls()
    if known.is_empty():
        return 0
    if known.dtype == pl.Float64:
        return _by_sorting(known.to_numpy())
    if known.dtype == pl.Int64 or known.dtype.is_temporal():
        return _of_whole(known.to_physical())
    # Several times faster than `n_unique`, which goes through groups of rows.
    return known.unique(maintain_order=True).len()


def count_largest(values: pl.Series) -> int:
    """Return how many rows the most frequent value has; null counts as one.

    Args:
        values: whole numbers, dates, moments or texts; at least one.
    """
    known = values.drop_nulls()
    if known.is_empty():
        return values.len()
    if isinstance(known.dtype, pl.Enum) or known.dtype == pl.Int64 or known.dtype.is_temporal():
        most = _most_frequent(known.to_physical())
    else:
        most = int(known.value_counts()["count"].max())  # type: ignore[arg-type]
    return max(most, values.null_count())


def first_distinct(values: pl.Series, most: int) -> pl.Series:
    """Return the first different values of a column in the order of their first rows, at most `most`; null is one."""
    found = values.head(_FIRST_ROWS).unique(maintain_order=True)
    if found.len() < most and values.len() > _FIRST_ROWS:
        found = values.unique(maintain_order=True)
    return found.head(most)


def _most_frequent(known: pl.Series) -> int:
    low, high = _bounds(known)
    numbers = known.to_numpy()
    # The numbers of rows take no more memory than a copy of the values would.
    if high - low < min(_FLAGS, known.len()):
        return int(np.bincount(numbers.astype(np.int64) - low).max())
    ordered = np.sort(numbers)
    ends = np.flatnonzero(ordered[1:] != ordered[:-1])
    return int(np.diff(ends, prepend=-1, append=len(ordered) - 1).max())


def _bounds(known: pl.Series) -> tuple[int, int]:
    low, high = known.min(), known.max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high


def _of_whole(known: pl.Series) -> int:
    low, high = _bounds(known)
    numbers = known.to_numpy()
    if high - low >= min(_FLAGS, _FLAGS_PER_VALUE * known.len()):
        return _by_sorting(numbers)
    seen = np.zeros(high - low + 1, dtype=np.bool_)
    for start in range(0, len(numbers), _FLAGGED_ROWS):
        seen[numbers[start : start + _FLAGGED_ROWS] - low] = True
        # In a small range all numbers are often among the first rows.
        if len(seen) <= _FLAGGED_ROWS and seen.all():
            break
    return int(np.count_nonzero(seen))


def _by_sorting(numbers: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int32]) -> int:
    ordered = np.sort(numbers)
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
