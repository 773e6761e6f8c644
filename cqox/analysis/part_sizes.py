"""The size of a table in files, from what can be known without reading them."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cqox.analysis.in_engine import CELLS_IN_MEMORY
from cqox.analysis.mapping import columns_of
from cqox.contract import AnalyzeRequest
from cqox.datasets import Limits

__all__ = ["fits_memory"]

_CELL_BYTES = 8
_SAMPLE_BYTES = 2**20
_GROWTH = 4
"""Ratio of the size of text to its compressed size, about."""


def fits_memory(
    files: Sequence[Path], *, is_text: bool, is_single: bool, request: AnalyzeRequest, limits: Limits
) -> bool:
    """Return whether a table is to be read whole: within the limits of an upload, and of mapped cells if in parts.

    Rows of text are estimated from the first MiB of its first file.

    Args:
        files: the parts.
        is_text: whether they are text; they are Parquet else.
        is_single: whether the caller named one file, which the engine can sum after it is read.
        request: the request.
        limits: those of an upload.
    """
    try:
        size_bytes = sum(path.stat().st_size for path in files)
        rows, columns = _of_text(files, size_bytes) if is_text else _of_parquet(files)
    except (OSError, EOFError, pl.exceptions.PolarsError):
        # Its reader says what is wrong with it.
        return True
    if size_bytes > limits.max_bytes or rows > limits.max_rows or rows * columns > limits.max_cells:
        return False
    if is_single:
        return True
    if not is_text and rows * columns * _CELL_BYTES > limits.max_bytes:
        # Joined parts are not compressed.
        return False
    roles, _ = request.roles()
    return rows * len(columns_of(roles)) <= CELLS_IN_MEMORY


def _of_parquet(files: Sequence[Path]) -> tuple[int, int]:
    rows = sum(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in files)
    return rows, len(pl.scan_parquet(files[0], glob=False, hive_partitioning=False).collect_schema())


def _of_text(files: Sequence[Path], size_bytes: int) -> tuple[int, int]:
    is_compressed = files[0].suffix.lower() == ".gz"
    with gzip.open(files[0]) if is_compressed else files[0].open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    header = start.partition(b"\n")[0]
    columns = 1 + max(header.count(each) for each in (b",", b";", b"\t", b"|"))
    expanded = size_bytes * _GROWTH if is_compressed else size_bytes
    return expanded * start.count(b"\n") // max(len(start), 1), columns
