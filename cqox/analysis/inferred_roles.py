"""Roles of a stored or just read table, by names, kinds and the structure of its cells."""

from pathlib import Path

import polars as pl

from cqox.analysis.suggested_covariates import drop_redundant_covariates
from cqox.datasets import (
    ColumnsOnDisk,
    Description,
    Inference,
    OpenTable,
    infer_roles,
    rows_to_look_at,
    structure_of,
)

__all__ = ["inferred_as_read", "inferred_on_disk"]


def inferred_as_read(table: OpenTable) -> Inference:
    """Return the likeliest roles of a table that has just been read."""
    cells, columns = table.cells, table.description.columns
    kept = rows_to_look_at(cells.get_column, columns)
    rows = cells.in_memory() if kept is None else cells[kept.arg_true()]
    return infer_roles(columns, structure_of(rows, columns))


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
    return drop_redundant_covariates(path, columns, infer_roles(columns, structure_of(rows, columns)))
