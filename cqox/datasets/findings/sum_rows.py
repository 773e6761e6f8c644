"""A last row without a label that is the sum of all rows above it."""

from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells

__all__ = ["sum_rows"]

_FEWEST_ROWS = 5
_TOLERANCE = 1e-6
_FEWEST_ADDENDS = 3


def sum_rows(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding where the last row has no label and its numbers are sums.

    Without any column of labels, at least two columns of numbers must be sums, and half of them.
    """
    if frame.height < _FEWEST_ROWS:
        return []
    labels = [column for column in columns if not column.is_number or column.kind == "id"]
    last = frame.row(-1, named=True)
    if any(last[column.name] is not None for column in labels):
        return []
    filled = [column for column in labels if column.missing * 2 < frame.height]
    numbers = [column.name for column in columns if column.is_number and column.kind != "id" and column.distinct > 1]
    given = [name for name in numbers if last[name] is not None]
    sums = [name for name in given if _is_sum(frame[name])]
    if len(sums) < (1 if filled else 2) or 2 * len(sums) < len(given):
        return []
    return [
        DataFinding(
            code="sum-rows",
            severity="caps",
            columns=sums,
            rows=[frame.height],
            message=Message("findings.sum-rows", columns=sums[:5], row=frame.height),
            remedy=Remedy(at="analyze", parameters={"drop_rows": [{"rows": [frame.height]}]}),
        )
    ]


def _is_sum(series: pl.Series) -> bool:
    last, above = float(series[-1]), series.head(series.len() - 1)
    if last == 0 or int((above != 0).sum()) < _FEWEST_ADDENDS:
        return False
    return abs(float(above.sum()) - last) <= _TOLERANCE * abs(last)
