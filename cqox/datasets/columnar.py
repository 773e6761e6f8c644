"""Parquet and Arrow files, with their sizes checked on the metadata before any column is read."""

from collections.abc import Callable

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.dates import within_calendar
from cqox.datasets.headers import name_columns
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["read_arrow_file", "read_arrow_stream", "read_parquet"]

# polars reports damage by its own errors, and some kinds of it by a panic of its Rust side.
_DAMAGE = (pl.exceptions.PolarsError, OSError, ValueError)


def read_parquet(source: Source, limits: Limits) -> Raw:
    """The columns of a Parquet file.

    Raises:
        UnreadableFile: damaged, or with a feature that is not read.
        LimitExceeded: too many rows or columns.
    """

    def read() -> pl.DataFrame:
        lazy = pl.scan_parquet(source.path, glob=False, hive_partitioning=False)
        limits.check_shape(0, len(lazy.collect_schema()))
        limits.check_shape(int(lazy.select(pl.len()).collect().item()), len(lazy.collect_schema()))
        return pl.read_parquet(source.path, glob=False, hive_partitioning=False)

    return _raw(_guarded(read, "Parquet"), "Parquet")


def read_arrow_file(source: Source, limits: Limits) -> Raw:
    """The columns of an Arrow IPC file (Feather version 2).

    Raises:
        UnreadableFile: damaged, or with a feature that is not read.
        LimitExceeded: too many rows or columns.
    """

    def read() -> pl.DataFrame:
        lazy = pl.scan_ipc(source.path, glob=False, hive_partitioning=False)
        limits.check_shape(0, len(lazy.collect_schema()))
        limits.check_shape(int(lazy.select(pl.len()).collect().item()), len(lazy.collect_schema()))
        return pl.read_ipc(source.path)

    return _raw(_guarded(read, "Arrow"), "Arrow file")


def read_arrow_stream(source: Source, limits: Limits) -> Raw:
    """The columns of an Arrow IPC stream.

    Raises:
        UnreadableFile: damaged, or with a feature that is not read.
        LimitExceeded: too many rows or columns; a stream says how many it has only as it is read.
    """

    def read() -> pl.DataFrame:
        schema = pl.read_ipc_stream(source.path, n_rows=0).schema
        limits.check_shape(0, len(schema))
        most = min(limits.max_rows, limits.max_cells // max(len(schema), 1))
        frame = pl.read_ipc_stream(source.path, n_rows=most + 1)
        limits.check_shape(frame.height, frame.width)
        return frame

    return _raw(_guarded(read, "Arrow"), "Arrow stream")


def _guarded(read: Callable[[], pl.DataFrame], format_: str) -> pl.DataFrame:
    try:
        return read()
    except pl.exceptions.PanicException as error:
        raise UnreadableFile(Message("datasets.starts-like-but-damaged", format=format_)) from error
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFile(Message("datasets.starts-like-but-unreadable", format=format_, reason=reason)) from error


def _raw(frame: pl.DataFrame, format_: str) -> Raw:
    headers, notes = name_columns(frame.columns)
    columns: list[pl.Series] = []
    for series, header in zip(frame, headers, strict=True):
        column, outside = within_calendar(series) if series.dtype in (pl.Date, pl.Datetime) else (series, 0)
        columns.append(column.alias(header.name))
        if outside:
            notes = (*notes, Message("datasets.outside-the-calendar", cells=outside, column=header.name))
    return Raw(headers=headers, frame=pl.DataFrame(columns), format=format_, notes=notes, first_row=1)
