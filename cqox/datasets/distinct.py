"""The number of different values in a column and of rows of one value, without a hash table where a sort is cheaper."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["count_different", "count_largest", "distinct_and_bounds", "first_distinct"]

_FLAGS = 1 << 24
"""Whole numbers in a range up to this are counted by one flag each."""

_FLAGS_PER_VALUE = 8
_FLAGGED_ROWS = 1 << 16
"""Rows flagged at a time: differences of all rows at once would be new pages of the system."""

_FIRST_ROWS = 100_000


def distinct_and_bounds(values: pl.Series) -> tuple[int, object, object]:
    """Return how many different values a column has, the least and the greatest of them; null is none.

    0.0 and -0.0 are one value, as a bound 0.0. Texts have no bounds, which are None.

    Args:
        values: numbers without NaN, dates, moments or texts.
    """
    known = values.drop_nulls()
    if known.is_empty():
        return 0, None, None
    if known.dtype == pl.Float64:
        ordered = np.sort(known.to_numpy())
        # The order of 0.0 and -0.0 is not defined: a sum with 0.0 is never -0.0.
        return _changes(ordered), float(ordered[0]) + 0.0, float(ordered[-1]) + 0.0
    if known.dtype == pl.Int64:
        bounds = _bounds(known)
        return _of_whole(known, *bounds), *bounds
    if known.dtype.is_temporal():
        physical = known.to_physical()
        return _of_whole(physical, *_bounds(physical)), known.min(), known.max()
    # Several times faster than `n_unique`, which goes through groups of rows.
    distinct = known.unique(maintain_order=True).len()
    if known.dtype in (pl.String, pl.Enum):
        return distinct, None, None
    return distinct, known.min(), known.max()


def count_different(hashes: Sequence[NDArray[np.uint64]], texts: Callable[[], Iterable[pl.Series]]) -> int:
    """Return how many different texts a column has, whose texts are not in memory together.

    Texts that share a hash are distinguished by a second one: by chance, two different texts of ten million have both
    in common once in 10^24 columns.

    Args:
        hashes: `texts` as `Series.hash(1)` gives them, in slices.
        texts: returns the texts in slices, without null, from the first one at each call.
    """
    ordered = np.concatenate(hashes)
    ordered.sort()
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(shared):
        return len(ordered)
    alone, pairs = len(ordered), pl.DataFrame(schema={"first": pl.UInt64, "second": pl.UInt64})
    for part in texts():
        first = part.hash(1)
        is_shared = first.is_in(pl.Series(shared).implode())
        alone -= int(is_shared.sum())
        second = part.filter(is_shared).hash(2)
        pairs = pl.concat([pairs, pl.DataFrame({"first": first.filter(is_shared), "second": second})]).unique()
    return alone + pairs.height


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


def _of_whole(known: pl.Series, low: int, high: int) -> int:
    numbers = known.to_numpy()
    if high - low >= min(_FLAGS, _FLAGS_PER_VALUE * known.len()):
        return _changes(np.sort(numbers))
    seen = np.zeros(high - low + 1, dtype=np.bool_)
    for start in range(0, len(numbers), _FLAGGED_ROWS):
        seen[numbers[start : start + _FLAGGED_ROWS] - low] = True
        # In a small range all numbers are often among the first rows.
        if len(seen) <= _FLAGGED_ROWS and seen.all():
            break
    return int(np.count_nonzero(seen))


def _changes(ordered: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int32]) -> int:
    """Return how many different values there are in order."""
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
