"""A column of a table in slices of its rows, so that long texts need not be in memory together."""

from collections.abc import Callable, Iterable, Iterator

import polars as pl

__all__ = ["Slices", "compact", "first_known", "read_in_slices", "rows_at_once", "slices_of"]

type Slices = Callable[[], Iterator[pl.Series]]
"""Returns all rows of a column in slices, from the first one at each call."""

_ROWS = 1 << 16
"""Rows of a slice of a column in memory: what is made of them stays in the caches of a processor."""

_FIRST_ROWS, _MOST_ROWS, _GROWTH = 1 << 8, 1 << 18, 16
_BYTES = 24 << 20
"""Size of a slice of a column on disk, about: parts of a file are read more than once if slices are much smaller."""


def slices_of(cells: pl.Series) -> Iterator[pl.Series]:
    """Yield slices of a column in memory; one without rows for a column without any."""
    return (cells.slice(start, _ROWS) for start in range(0, max(cells.len(), 1), _ROWS))


def read_in_slices(read: Callable[[int, int], pl.Series], height: int) -> Iterator[pl.Series]:
    """Yield slices of a column on disk, of as many rows as their texts allow.

    Args:
        read: returns rows from a position on, at most as many as asked for.
        height: rows of the column.
    """
    start, rows = 0, _FIRST_ROWS
    while start < height:
        part = read(start, rows)
        size = _size(part)
        yield part
        start += rows
        rows = rows_at_once(size / max(part.len(), 1), min(_MOST_ROWS, rows * _GROWTH))


def compact(cells: pl.Series) -> pl.Series:
    """Return some cells in memory of their own; texts keep all of the slice that they come from otherwise."""
    return cells + "" if cells.dtype == pl.String else cells


def first_known(slices: Iterable[pl.Series], most: int) -> pl.Series:
    """Return the first cells of a column that are not null."""
    found: list[pl.Series] = []
    for part in slices:
        found.append(compact(part.drop_nulls().head(most)))
        if sum(each.len() for each in found) >= most:
            break
    return pl.concat(found).head(most)


def rows_at_once(row_bytes: float, most: int = _MOST_ROWS) -> int:
    """Return how many rows of a table are written or read at a time.

    Args:
        row_bytes: size of a row, about.
        most: rows at most.
    """
    return max(1, min(most, int(_BYTES / max(row_bytes, 1))))


def _size(part: pl.Series) -> int:
    fixed = 16 * part.len()
    return fixed + int(part.str.len_bytes().sum()) if part.dtype == pl.String else fixed
