"""Cells that were merged over several rows: the first has the value, and those below it are empty."""

import json
from collections.abc import Sequence

import polars as pl

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message
from cqox.datasets.table import Column
from cqox.datasets.typed_columns import Cells, comparable_rows, slices_of_column

__all__ = ["merged_cells"]

_FIRST_COLUMNS = 4
"""Labels of groups stand at the left of a table."""

_LEAST_EMPTY = 0.5
_FEWEST_GROUPS = 2


def merged_cells(frame: Cells, columns: Sequence[Column]) -> list[DataFinding]:
    """Return a finding where labels on the left stand only in the first row of each group."""
    found = [column.name for column in columns[:_FIRST_COLUMNS] if _is_merged(frame, column)]
    if not found:
        return []
    is_empty = ~_filled(frame, found[0])
    return [
        DataFinding(
            code="merged-cells",
            severity="caps",
            columns=found,
            rows=[int(row) + 1 for row in is_empty.arg_true().head(3)],
            message=Message("findings.merged-cells", columns=found, number=len(found), cells=int(is_empty.sum())),
            remedy=Remedy(at="upload", parameters={"fill_down": _as_field(found)}),
        )
    ]


def _as_field(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False) if any("," in name for name in names) else ",".join(names)


def _filled(frame: Cells, name: str) -> pl.Series:
    return pl.concat(part.is_not_null() for part in slices_of_column(frame, name))


def _is_merged(frame: Cells, column: Column) -> bool:
    if column.kind == "real" or column.missing < _LEAST_EMPTY * frame.height or column.distinct < _FEWEST_GROUPS:
        return False
    return column.distinct == column.count and _are_even(frame, column.name, _filled(frame, column.name))


def _are_even(frame: Cells, name: str, filled: pl.Series) -> bool:
    """Return whether labels stand in the first rows of groups that are even or numbered in the column to the right."""
    rows, starts = filled.len(), filled.arg_true()
    if starts[0] != 0:
        return False
    sizes = starts.append(pl.Series([rows], dtype=starts.dtype)).diff().drop_nulls()
    if int(sizes[-1]) == 1 and sizes.len() > _FEWEST_GROUPS and _are_even(frame, name, filled.head(rows - 1)):
        # A row of totals with a label of its own.
        return True
    inner = sizes.head(sizes.len() - 1)
    # The last group may be followed by a row of totals without a label.
    even = bool((inner == inner[0]).all()) and int(inner[0]) <= int(sizes[-1]) <= int(inner[0]) + 1
    return even or _begins_again(frame, name, filled, int(inner.max()))  # type: ignore[arg-type]


def _begins_again(frame: Cells, name: str, filled: pl.Series, largest: int) -> bool:
    """Return whether the column to the right numbers the rows of each group, as months do in a table of shops."""
    place = frame.columns.index(name) + 1
    if place == frame.width:
        return False
    right = frame.columns[place]
    if not _filled(frame, right).head(filled.len()).all():
        return False
    group, inner = filled.cum_sum(), comparable_rows(frame, right).head(filled.len())
    if inner.n_unique() > largest:
        return False
    return not pl.DataFrame({"group": group, "inner": inner}).is_duplicated().any()
