"""Parquet and Arrow files, with their sizes checked on the metadata before any column is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.dates import within_calendar
from cqox.datasets.headers import name_columns
from cqox.datasets.limits import Limits
from cqox.datasets.raw import Raw
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.temp_files import Source
from cqox.errors import UnreadableFile

__all__ = ["read_arrow_file", "read_arrow_stream", "read_parquet"]

_SPOOLED_CELLS = 1 << 24
"""Cells from which on one column of a Parquet file at a time is decoded."""

_SPOOLED_BYTES = 256 << 20
"""Size of texts, by the first rows, from which on that is done as well."""

_LARGE_FILE = 96 << 20
"""Size of a file with texts from which on that is done whatever the first rows are."""

_MOST_COLUMNS = 500
"""Columns up to which that is done: the description of all columns is read for each."""

_FIRST_ROWS = 10
_LOOKED_AT = 1000

# polars reports damage by its own errors, and some kinds of it by a panic of its Rust side.
_DAMAGE = (pl.exceptions.PolarsError, OSError, ValueError)


def read_parquet(source: Source, limits: Limits) -> Raw:
    """The columns of a Parquet file.

    Raises:
        UnreadableFile: damaged, or with a feature that is not read.
        LimitExceeded: too many rows or columns.
    """

    def size() -> tuple[int, int]:
        lazy = _scanned(source.path)
        width = len(lazy.collect_schema())
        limits.check_shape(0, width)
        rows = int(lazy.select(pl.len()).collect().item())
        limits.check_shape(rows, width)
        return rows, width

    rows, width = _guarded(size, "Parquet")
    is_large = rows * width >= _SPOOLED_CELLS or _guarded(lambda: _has_large_texts(source, rows), "Parquet")
    if width > _MOST_COLUMNS or not is_large:
        read = partial(pl.read_parquet, source.path, glob=False, hive_partitioning=False)
        return _raw(_guarded(read, "Parquet"), "Parquet")
    return _by_column(source, rows)


def _has_large_texts(source: Source, rows: int) -> bool:
    first = _scanned(source.path).select(pl.col(pl.String)).head(_LOOKED_AT).collect()
    if not first.width:
        return False
    size = sum(int(series.str.len_bytes().sum()) for series in first) / max(first.height, 1) * rows
    return size > _SPOOLED_BYTES or source.size > _LARGE_FILE


def _by_column(source: Source, rows: int) -> Raw:
    """A large table, of which one column at a time is decoded."""
    schema = _guarded(_scanned(source.path).collect_schema, "Parquet")
    headers, notes = name_columns(list(schema))
    cells = _ParquetCells(
        places={header.name: (source.path, place) for place, header in enumerate(headers)}, rows=rows, is_checked=False
    )
    for header, dtype in zip(headers, schema.dtypes(), strict=True):
        if dtype in (pl.Date, pl.Datetime):
            outside = within_calendar(cells.decoded(header.name))[1]
            if outside:
                notes = (*notes, _outside_note(header.name, outside))
    return Raw(
        headers=headers, frame=cells.head(_FIRST_ROWS), format="Parquet", notes=notes, first_row=1, spooled=cells
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ParquetCells(SpooledCells):
    """The columns of a Parquet file, each decoded when it is asked for."""

    def decoded(self, name: str) -> pl.Series:
        """All rows of a column as the file has them."""
        path, place = self.places[name]

        def read() -> pl.Series:
            return _scanned(path).select(pl.nth(place).alias(name)).collect().to_series()

        return _guarded(read, "Parquet")

    def __getitem__(self, name: str) -> pl.Series:
        return _inside(self.decoded(name))

    def place(self, name: str) -> None:
        """Say that no column can stay where it is: decoding it again takes longer than a copy."""

    def _slice(self, start: int, rows: int) -> pl.DataFrame:
        def read() -> pl.DataFrame:
            chosen = [pl.nth(place).alias(name) for name, (_, place) in self.places.items()]
            return _scanned(next(iter(self.places.values()))[0]).select(chosen).slice(start, rows).collect()

        return pl.DataFrame([_inside(series) for series in _guarded(read, "Parquet")])


def _scanned(path: str) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _inside(series: pl.Series) -> pl.Series:
    return within_calendar(series)[0].alias(series.name) if series.dtype in (pl.Date, pl.Datetime) else series


def _outside_note(name: str, cells: int) -> Message:
    return Message("datasets.outside-the-calendar", cells=cells, column=name)


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
        return lazy.collect()

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


def _guarded[T](read: Callable[[], T], format_: str) -> T:
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
            notes = (*notes, _outside_note(header.name, outside))
    return Raw(headers=headers, frame=pl.DataFrame(columns), format=format_, notes=notes, first_row=1)
