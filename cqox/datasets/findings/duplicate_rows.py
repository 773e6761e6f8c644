"""Rows that are equal in all columns, measurements included, and so were probably copied.

Rows of a trial with few levels repeat by nature. So do coarse or censored measurements, as ages in half years or
incomes with a maximum: equal rows are copies only where they are more than such measurements explain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.row_drops import repeated_rows
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, comparable_rows, rows_of_column

__all__ = ["duplicate_rows"]

_SHOWN = 5
_LEAST_SHARE = 0.01
"""Share of copies among the rows from which on they may change an answer."""

_BEYOND = 1.5
"""Times the number of copies expected by nature, which two of its standard deviations are added to."""

_CLOSE = 0.01
"""Quantile of the gaps between successive values within which two values count as one at another rounding."""

_ROUNDED = 1.0001
"""Factor within which two gaps are one: 0.3 - 0.2 is less than 0.2 - 0.1."""

_STRIDES = (2, 3, 5, 7, 11)


def duplicate_rows(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding where measured rows are repeated: a note below one in a hundred, a capping one from there on."""
    measured = [column.name for column in columns if column.dtype == "float64"]
    # A column without repetitions proves that no row is repeated.
    if not measured or any(column.distinct == frame.height for column in columns):
        return []
    # Columns that repeat least leave the fewest rows to compare in the others.
    names = [column.name for column in sorted(columns, key=lambda column: -column.distinct)]
    copies = _copies(frame, names)
    if copies.is_empty():
        return []
    original = pl.Series([True]).new_from_index(0, frame.height).scatter(copies, values=False)
    copies = copies.filter(_is_measured(frame, copies, original, measured))
    if copies.is_empty():
        return []
    expected = _expected(frame, original, measured, names)
    if len(copies) <= _BEYOND * expected + 2 * math.sqrt(expected):
        return []
    return [
        DataFinding(
            code="duplicate-rows",
            severity="caps" if len(copies) >= _LEAST_SHARE * frame.height else "note",
            rows=[int(row) + 1 for row in copies.head(_SHOWN)],
            message=Message("findings.duplicate-rows", rows=len(copies), all=frame.height),
            remedy=Remedy(at="analyze", parameters={"drop_rows": [{"duplicates": True}]}),
        )
    ]


def _copies(frame: Cells, names: Sequence[str]) -> pl.Series:
    """Return the positions of the rows that are equal to an earlier one in all columns."""
    rows = pl.int_range(frame.height, dtype=pl.UInt32, eager=True)
    rows = rows.filter(comparable_rows(frame, names[0]).is_duplicated())
    return rows if rows.is_empty() else rows.filter(repeated_rows(_Some(frame, rows), names))


@dataclass(frozen=True, slots=True)
class _Some:
    """Some rows of a table, of which one column at a time is in memory, and a hash stands for each text."""

    frame: Cells
    rows: pl.Series

    @property
    def height(self) -> int:
        return self.rows.len()

    def __getitem__(self, name: str) -> pl.Series:
        cells = comparable_rows(self.frame, name)
        return cells if self.height == self.frame.height else cells.gather(self.rows)


def _is_measured(frame: Cells, copies: pl.Series, original: pl.Series, measured: Sequence[str]) -> pl.Series:
    """Return whether each copy has a number that is not whole, and measurements that no row but its original has."""
    some = pl.DataFrame([rows_of_column(frame, name, copies) for name in measured])
    fractional = some.select(pl.any_horizontal(pl.col(measured) != pl.col(measured).floor())).to_series()
    hashes = frame.select(measured).hash_rows(seed=1)
    wanted = hashes[copies]
    holders = hashes.filter(original & hashes.is_in(wanted.implode())).to_frame("hash").group_by("hash").len("rows")
    shared = wanted.to_frame("hash").join(holders, on="hash", how="left", maintain_order="left")["rows"]
    return fractional.fill_null(value=False) & (shared.fill_null(0) <= 1)


def _expected(frame: Cells, original: pl.Series, measured: Sequence[str], names: Sequence[str]) -> float:
    """Return how many pairs of rows the rounding of the finest measurement makes equal.

    They are about as many as the pairs whose values are next to each other, and whose other columns are equal.
    """
    finest = next(name for name in names if name in measured)
    counts = frame[finest].drop_nulls().value_counts().sort(finest)
    gaps = counts[finest].diff().slice(1)
    if gaps.is_empty():
        return float(frame.height)
    next_to = counts["count"].cast(pl.Float64) * counts["count"].shift(-1)
    close = float(next_to.head(len(gaps)).filter(gaps <= _ROUNDED * (gaps.quantile(_CLOSE) or 0.0)).sum())
    others = [name for name in names if name != finest]
    if not others:
        return close
    kept = original.arg_true()
    hashes = pl.DataFrame([comparable_rows(frame, name).gather(kept) for name in others]).hash_rows(seed=1)
    rows = len(hashes)
    shifts = [rows // stride for stride in _STRIDES if rows // stride]
    equal = [(hashes.slice(shift) == hashes.head(rows - shift)).mean() for shift in shifts]
    return close * max((float(share) for share in equal if isinstance(share, float)), default=1.0)
