"""The columns of a table that is being read: in memory as long as they are small, and on disk from there on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, overload

import polars as pl
from polars.io.plugins import register_io_source

from cqox.datasets.slices import Slices, compact, rows_at_once, slices_of
from cqox.datasets.spooled_cells import SpooledCells
from cqox.datasets.table import Description
from cqox.datasets.temp_files import Scratch

__all__ = [
    "Cells", "OpenTable", "TypedColumns", "comparable_rows", "different_rows", "rows_of_column", "slices_of_column",
]  # fmt: skip

type Cells = pl.DataFrame | TypedColumns
"""The typed columns of a table, in memory or partly on disk."""


class TypedColumns:
    """Columns by name, in the order in which they were added; those on disk are read when they are asked for.

    It has what checks of a table need of a data frame. A column on disk is as readable as the scratch is open.

    Attributes:
        MOST_BYTES: size of the columns that are kept in memory.
    """

    MOST_BYTES: ClassVar[int] = 384 * 2**20
    _MOST_TOGETHER: ClassVar[int] = 128 * 2**20

    def __init__(self, scratch: Scratch, height: int) -> None:
        self._scratch = scratch
        self._schema: dict[str, pl.DataType] = {}
        self._kept: dict[str, pl.Series] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._bytes = self._text_bytes = 0
        self._has_room = True
        self.height = height

    def add(self, column: pl.Series) -> None:
        """Take a column as the last one; those in memory go to one file on the disk when they become too large.

        Without room on the disk they stay in memory.
        """
        self._schema[column.name] = column.dtype
        self._kept[column.name] = column
        self._bytes += int(column.estimated_size())
        self._text_bytes += int(column.str.len_bytes().sum()) if column.dtype == pl.String else 0
        if self._bytes > self.MOST_BYTES and self._has_room:
            self._spill()

    def _spill(self) -> None:
        self._has_room = False
        # Several columns to a file: a process may open a few hundred of them.
        with suppress(pl.exceptions.PolarsError, OSError):
            path = f"/dev/fd/{self._scratch.open().fileno()}"
            pl.DataFrame(list(self._kept.values())).write_ipc(path)
            self._places |= {name: (path, place) for place, name in enumerate(self._kept)}
            self._kept, self._bytes, self._has_room = {}, 0, True

    def add_in_slices(self, name: str, values: Slices, size: int) -> None:
        """Take a column of texts as the last one, which goes to the disk if it is large and there is room.

        Args:
            name: of the column.
            values: its rows.
            size: bytes of its texts.
        """
        if size <= self._MOST_TOGETHER:
            self.add(pl.concat(map(compact, values())).alias(name))
            return

        def batches(
            columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
        ) -> Iterator[pl.DataFrame]:
            return (part.alias(name).to_frame() for part in values())

        with suppress(pl.exceptions.PolarsError, OSError):
            path = f"/dev/fd/{self._scratch.open().fileno()}"
            rows = rows_at_once(size / max(self.height, 1))
            register_io_source(batches, schema={name: pl.String}).sink_ipc(path, record_batch_size=rows)
            self.refer(name, pl.String(), (path, 0), size)
            return
        self.add(pl.concat(list(values())).alias(name))

    def refer(self, name: str, dtype: pl.DataType, place: tuple[str, int], size: int = 0) -> None:
        """Take a column that is in an Arrow file already.

        Args:
            name: of the column.
            dtype: its type.
            place: path of the file, and the column's place there.
            size: bytes of its texts.
        """
        self._text_bytes += size
        self._schema[name] = dtype
        self._places[name] = place

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._schema)

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """Types of the columns."""
        return self._schema

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self._schema)

    @overload
    def __getitem__(self, key: str) -> pl.Series: ...
    @overload
    def __getitem__(self, key: pl.Series) -> pl.DataFrame: ...
    def __getitem__(self, key: str | pl.Series) -> pl.Series | pl.DataFrame:
        """All rows of a column, or the rows of some positions, which rise."""
        if isinstance(key, pl.Series):
            return pl.DataFrame([self.gather(name, key) for name in self._schema])
        return self._kept[key] if key in self._kept else self._spooled(key)[key]

    def slices(self, name: str) -> Iterator[pl.Series]:
        """Yield all rows of a column in slices."""
        return slices_of(self._kept[name]) if name in self._kept else self._spooled(name).slices(name)

    def gather(self, name: str, positions: pl.Series) -> pl.Series:
        """The rows of a column at some positions, which rise."""
        if name in self._kept:
            return self._kept[name].gather(positions)
        found, start = [], 0
        for part in self.slices(name):
            first, end = (int(positions.search_sorted(row)) for row in (start, start + part.len()))
            found.append(compact(part.gather(positions.slice(first, end - first) - start)))
            start += part.len()
        return pl.concat(found)

    def _spooled(self, name: str) -> SpooledCells:
        return SpooledCells(places={name: self._places[name]}, rows=self.height)

    def get_column(self, name: str) -> pl.Series:
        """All rows of a column."""
        return self[name]

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows."""
        return self._slice(0, rows)

    def row(self, index: int, *, named: bool) -> dict[str, object]:
        """A row by its position, which may be counted from the end."""
        assert named
        return self._slice(index % self.height, 1).row(0, named=True)

    def filter(self, kept: pl.Series) -> pl.DataFrame:
        """The rows that are marked, in memory."""
        return self[kept.arg_true()]

    def select(self, names: Sequence[str]) -> pl.DataFrame:
        """Some columns, in memory."""
        return pl.DataFrame([self[name] for name in names])

    def in_memory(self) -> pl.DataFrame:
        """The whole table."""
        return self.select(self.columns)

    def write_parquet(self, path: Path, *, compression_level: int, row_group_size: int) -> None:
        """Write the table to a file, compressed by zstd, with fewer rows in a group where texts are long.

        Raises:
            PolarsError: there is no room for it, or the folder cannot be written to.
        """
        # A group is in memory as a whole when it is written.
        group = rows_at_once(self._text_bytes / max(self.height, 1), row_group_size)
        if not self._places:
            self.in_memory().write_parquet(
                path, compression="zstd", compression_level=compression_level, row_group_size=group
            )
            return

        def batches(
            columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
        ) -> Iterator[pl.DataFrame]:
            # A file that is written whole asks for no part of the table.
            for start in range(0, self.height, 2 * group):
                yield self._slice(start, 2 * group)

        register_io_source(batches, schema=self._schema).sink_parquet(
            path, compression="zstd", compression_level=compression_level, row_group_size=group
        )

    def _slice(self, start: int, rows: int) -> pl.DataFrame:
        files: dict[str, list[str]] = {}
        for name, (path, _) in self._places.items():
            files.setdefault(path, []).append(name)
        found = {name: column.slice(start, rows) for name, column in self._kept.items()}
        for path, names in files.items():
            # Slices are read, not mapped whole: what is mapped counts as memory of the process.
            columns = pl.scan_ipc(path).select(pl.nth(self._places[name][1]).alias(name) for name in names)
            found |= {column.name: column for column in columns.slice(start, rows).collect()}
        return pl.DataFrame([found[name] for name in self._schema])


def slices_of_column(cells: Cells, name: str) -> Iterator[pl.Series]:
    """Yield all rows of a column of a table in slices."""
    return slices_of(cells[name]) if isinstance(cells, pl.DataFrame) else cells.slices(name)


def rows_of_column(cells: Cells, name: str, positions: pl.Series) -> pl.Series:
    """Return the rows of a column of a table at some positions, which rise."""
    return cells[name].gather(positions) if isinstance(cells, pl.DataFrame) else cells.gather(name, positions)


def comparable_rows(cells: Cells, name: str) -> pl.Series:
    """Return a column of a table with a 64-bit hash in place of each text."""
    if cells.schema[name] != pl.String:
        return cells[name]
    hashed = pl.when(pl.col(name).is_not_null()).then(pl.col(name).hash(seed=1))
    return pl.concat(part.alias(name).to_frame().select(hashed).to_series() for part in slices_of_column(cells, name))


def different_rows(cells: Cells, name: str) -> pl.Series:
    """Return the different values of a column of a table in the order of their first rows, without null."""
    found = pl.Series(name, [], dtype=cells.schema[name])
    for part in slices_of_column(cells, name):
        new = compact(part.drop_nulls().unique(maintain_order=True))
        found = pl.concat([found, new]).unique(maintain_order=True)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTable:
    """A table that has been read, while its columns may be on the disk.

    Attributes:
        cells: the typed columns.
        description: all else.
    """

    cells: TypedColumns
    description: Description
