"""Keys of folds for an engine: the column that has them, or files of them that are made part by part.

A key of a row's content, or of a number with a fraction, has no form in SQL. It is computed here, as for rows in
memory, and stored in files that an engine reads row by row with the table: 8 bytes a row.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.analysis.chosen import chosen_estimators
from cqox.analysis.fold_keys import fold_keys
from cqox.analysis.mapping import names_in
from cqox.analysis.opened import Opened
from cqox.analysis.row_hash import RowHashing
from cqox.datasets import Column, ColumnsOnDisk
from cqox.engines import SourceColumn
from cqox.estimators.by_moments.catalog import CROSS_FITTED
from cqox.estimators.checkpoint import checkpoint
from cqox.estimators.numerics.portable_folds import hash_keys

__all__ = ["KEY", "KeyFile", "as_key", "key_column", "key_files", "write_keys"]

KEY = "key"
"""The column of the files."""

_PART_ROWS = 2**20
_MEMORY_BYTES = 2**28
"""The largest keys of an encrypted table, which are held in memory."""


def key_column(opened: Opened) -> SourceColumn | None:
    """Return the column from which an engine makes folds as they are in memory; None where it has no portable key."""
    mapped = next((opened.roles[role] for role in ("cluster", "unit_id") if role in opened.roles), None)
    if mapped is None or opened.options.folds_version == 1:
        return None
    return as_key(opened.columns[names_in(mapped)[0]])


def as_key(column: Column) -> SourceColumn | None:
    """Return a column as the key of folds; None where it has no portable one.

    Args:
        column: a column of the table.
    """
    match column.dtype:
        case "float64":
            return None
        case "int64":
            return SourceColumn(name=column.name, kind="number key")
        case "date":
            return SourceColumn(name=column.name, kind="date key")
        case "datetime":
            return SourceColumn(name=column.name, kind="moment key")
        case _:
            return SourceColumn(name=column.name, kind="word key")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A Parquet file of the keys of consecutive rows.

    Attributes:
        path: by which an engine opens it.
        file: to be written.
    """

    path: Path
    file: BinaryIO


def key_files(opened: Opened, folder: Path | None, stack: ExitStack) -> list[KeyFile]:
    """Return empty files for the keys of all rows; none where no estimate needs keys that have to be made.

    Args:
        opened: the request.
        folder: of the files, which are in plain text; None for files in memory.
        stack: closes the files.
    """
    if not _are_needed(opened) or (folder is None and not _fit_into_memory(opened.rows)):
        return []
    return [_key_file(folder, part, stack) for part in range(-(-opened.rows // _PART_ROWS))]


def _are_needed(opened: Opened) -> bool:
    options, roles = opened.options, opened.roles
    if options.folds_version == 1 or options.missing == "indicator" or key_column(opened) is not None:
        return False
    mapped = {*roles, *(["y"] if "reward" in roles else []), *(["pscore"] if "log_propensity" in roles else [])}
    return any(each.name in CROSS_FITTED and set(each.requires) <= mapped for each in chosen_estimators(options))


def _fit_into_memory(rows: int) -> bool:
    return hasattr(os, "memfd_create") and 8 * rows <= _MEMORY_BYTES


def _key_file(folder: Path | None, part: int, stack: ExitStack) -> KeyFile:
    if folder is None:
        file = stack.enter_context(os.fdopen(os.memfd_create("cqox-keys"), "w+b"))
        return KeyFile(path=Path(f"/proc/self/fd/{file.fileno()}"), file=file)
    path = folder / f"keys-{part}.parquet"
    return KeyFile(path=path, file=stack.enter_context(path.open("wb")))


def write_keys(opened: Opened, files: Sequence[KeyFile]) -> None:
    """Write the key of each row, in the order of the rows; a few row groups of the table are in memory at a time.

    Args:
        opened: the request.
        files: as `key_files` returns them.

    Raises:
        OSError: there is no room for them.
    """
    parts = _parts(opened)
    for each in files:
        buffer = io.BytesIO()
        keys = pl.DataFrame({KEY: next(parts)})
        keys.write_parquet(buffer, compression="uncompressed", statistics=False)
        each.file.write(buffer.getbuffer())
        each.file.flush()


def _parts(opened: Opened) -> Iterator[NDArray[np.int64]]:
    """Yield the keys of `_PART_ROWS` rows after each other, and of those that are left."""
    table = ColumnsOnDisk(path=opened.path, height=opened.rows)
    hashing = RowHashing.of(table, opened.roles)
    waiting = np.empty(0, dtype=np.int64)
    for block in table.batches(list(dict.fromkeys(name for _, name in hashing.columns))):
        checkpoint()
        hashes = hashing(block)
        keys = fold_keys(block, opened.roles, hashes)
        waiting = np.concatenate((waiting, hash_keys(hashes) if keys is None else keys))
        while len(waiting) >= _PART_ROWS:
            yield waiting[:_PART_ROWS]
            waiting = waiting[_PART_ROWS:]
    yield waiting
