"""A header of two rows, whose second row is read as data and makes text of columns of numbers."""

from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells

__all__ = ["header_rows"]

_LOOKED_AT = 200
_MOST_HEADERS = 3
_FEWEST_ROWS = 3
_NUMBER = r"^[-+−△▲(]?[¥￥$€£]?\s*[\d０-９][\d０-９,，.．]*\s*[%％円]?\)?$"
_WORD = r"\p{L}|[%％¥￥$€£]"


def header_rows(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding where the first rows are words above columns of numbers."""
    if frame.height < _FEWEST_ROWS or not any(column.dtype in ("string", "enum") for column in columns):
        return []
    head = frame.head(_LOOKED_AT)
    words = [name for name in frame.columns if head[name].dtype in (pl.String, pl.Enum)]
    for more in range(1, _MOST_HEADERS):
        titled = [name for name in words if _is_titled(head[name].cast(pl.String), more)]
        # One word above numbers in a wide table is a stray cell.
        if len(titled) < (2 if frame.width > 2 else 1):
            continue
        plain = [column for column in columns if column.name not in titled and column.is_number]
        if any(head[column.name].head(more).is_not_null().any() for column in plain):
            continue
        return [
            DataFinding(
                code="header-rows",
                severity="caps",
                columns=titled,
                rows=list(range(1, more + 1)),
                message=Message("findings.header-rows", columns=titled[:5], number=len(titled), rows=more + 1),
                remedy=Remedy(at="upload", parameters={"header_rows": str(more + 1)}),
            )
        ]
    return []


def _is_titled(cells: pl.Series, more: int) -> bool:
    """Return whether the first cells of a column are words and all others, at least two, are numbers."""
    first, rest = cells.head(more).drop_nulls(), cells.slice(more).drop_nulls()
    if first.is_empty() or rest.len() < 2:
        return False
    is_word = first.str.contains(_WORD) & ~first.str.contains(_NUMBER)
    return bool(is_word.all() and rest.str.contains(_NUMBER).all())
