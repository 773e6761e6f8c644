"""Columns of a delimited text that are plain numbers: what a sample of it says, and whether all of it agrees.

A parser of numbers is several times faster than texts that become numbers, but it says nothing of what it could not
parse, and it drops white space and leading zeros, which mean something. So a column is taken as parsed only if every
cell that is not empty became a number, and no cell began with white space or with a zero before a digit; any other
column has to be read as text.
"""

from collections.abc import Sequence

import polars as pl

from cqox.datasets.csv_scan import Shape
from cqox.datasets.interpret import needs_decimal_comma
from cqox.datasets.spooled_cells import SpooledCells

__all__ = ["SAMPLE_ROWS", "sampled_types", "wrongly_typed"]

SAMPLE_ROWS = 1000

_MOST_EXACT = 2**53
_MOST_DIGITS = 1e15
"""The least number of 16 digits, which may be a code."""

type _Types = dict[str, type[pl.DataType]]


def sampled_types(sample: pl.DataFrame, shape: Shape) -> _Types:
    """Return the type to parse each column of a text as: whole numbers, real numbers, or text.

    Args:
        sample: the first rows, as text.
        shape: of all of the text, with its cells looked at.
    """
    types: _Types = {
        series.name: pl.String if shape.odd[place] else _type(series.drop_nulls())
        for place, series in enumerate(sample)
    }
    texts = [sample[name] for name, dtype in types.items() if dtype == pl.String]
    # With a decimal comma in one column a point means something else in the others.
    return dict.fromkeys(types, pl.String) if any(needs_decimal_comma(series) for series in texts) else types


def wrongly_typed(cells: SpooledCells | pl.DataFrame, types: _Types, shape: Shape, header: Sequence[str]) -> list[str]:
    """Return the columns that have to be read as text after all.

    Args:
        cells: the records below the header, blank ones included, parsed as `types`, with null for what is no number.
        types: of the columns.
        shape: of the text, with its cells looked at.
        header: the first record.
    """
    # A blank record of one column is an empty cell of it.
    blank = len(shape.blank) if len(types) > 1 else 0
    return [
        name
        for place, (name, dtype) in enumerate(types.items())
        if dtype != pl.String and not _is_as_sampled(cells[name], int(shape.empty[place]) + blank - (not header[place]))
    ]


def _type(sample: pl.Series) -> type[pl.DataType]:
    if not sample.len():
        return pl.String
    for dtype in (pl.Int64, pl.Float64):
        if not sample.cast(dtype, strict=False).null_count():
            return dtype
    return pl.String


def _is_as_sampled(numbers: pl.Series, empty: int) -> bool:
    if numbers.null_count() != empty:
        return False
    low, high = numbers.min(), numbers.max()
    if low is None or high is None:
        return False
    if numbers.dtype == pl.Int64:
        return bool(low >= -_MOST_EXACT and high <= _MOST_EXACT)  # type: ignore[operator]
    # Comparisons are false for NaN, which `min` and `max` pass over where there is a number.
    return bool(low > -_MOST_DIGITS and high < _MOST_DIGITS) and not numbers.is_nan().any()  # type: ignore[operator]
