"""Roles of a stored, a just read or a sampled table, by names, kinds and the structure of its cells."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cqox.analysis.suggested_covariates import drop_redundant_covariates
from cqox.datasets import (
    Column,
    ColumnsOnDisk,
    Description,
    Inference,
    OpenTable,
    TypedColumns,
    comparable_rows,
    infer_roles,
    rows_to_look_at,
    structure_of,
)

__all__ = ["inferred_as_read", "inferred_in_memory", "inferred_of_sample", "inferred_on_disk"]


def inferred_as_read(table: OpenTable) -> Inference:
    """Return the likeliest roles of a table that has just been read."""
    cells, columns = table.cells, table.description.columns
    kept = rows_to_look_at(cells.get_column, columns)
    chosen = None if kept is None else kept.arg_true()
    rows = pl.DataFrame([_rows(cells, column, chosen) for column in columns])
    return infer_roles(columns, structure_of(rows, columns))


def _rows(cells: TypedColumns, column: Column, chosen: pl.Series | None) -> pl.Series:
    """Return some rows of a column, or all; of texts, whose cells are only compared, hashes."""
    if column.kind == "text":
        hashes = comparable_rows(cells, column.name)
        return hashes if chosen is None else hashes.gather(chosen)
    return cells[column.name] if chosen is None else cells.gather(column.name, chosen)


def inferred_on_disk(path: Path, description: Description) -> Inference:
    """Return the likeliest roles of a stored table, without covariates that duplicate its outcome or treatment.

    Args:
        path: of the table, as stored by `cqox.datasets`.
        description: of the table.
    """
    columns = description.columns
    every = ColumnsOnDisk(path=path, height=description.rows)
    kept = rows_to_look_at(every.__getitem__, columns)
    names = [column.name for column in columns]
    if kept is None:
        rows = every.load(names)
    else:
        chosen = ColumnsOnDisk(path=path, height=int(kept.sum()), kept=kept)
        rows = pl.concat(list(chosen.batches(names)))
    return drop_redundant_covariates(every, columns, infer_roles(columns, structure_of(rows, columns)))


def inferred_in_memory(frame: pl.DataFrame, columns: Sequence[Column]) -> Inference:
    """Return what `inferred_on_disk` returns for a table of these rows.

    Args:
        frame: one column for each of `columns`.
        columns: their descriptions.
    """
    kept = rows_to_look_at(frame.get_column, columns)
    looked_at = frame if kept is None else frame.filter(kept)
    return drop_redundant_covariates(_table(frame), columns, infer_roles(columns, structure_of(looked_at, columns)))


def inferred_of_sample(sample: pl.DataFrame, columns: Sequence[Column]) -> Inference:
    """Return the likeliest roles of a table of which some rows are in memory; all of them are looked at.

    Args:
        sample: one column for each of `columns`.
        columns: their descriptions, of all rows.
    """
    return drop_redundant_covariates(_table(sample), columns, infer_roles(columns, structure_of(sample, columns)))


def _table(frame: pl.DataFrame) -> ColumnsOnDisk:
    # No file is read: every column is in memory.
    return ColumnsOnDisk(path=Path(), height=frame.height, replaced={each.name: each for each in frame})
