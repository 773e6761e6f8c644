"""Columns of cells on disk, which are brought into memory one at a time.

As text a table takes several times the memory that its numbers take. What a large file holds is therefore written to
scratch files column by column, and only the column that is being interpreted is in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from cqox.datasets.slices import read_in_slices, rows_at_once

__all__ = ["SpooledCells"]

_LONG_ROWS = 1 << 16
"""Rows at once from which on batches have the size that the writer chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledCells:
    """A table of cells in Arrow files.

    Attributes:
        places: name of each column, with the path of its file and its place in it; a path is readable as long as the
            scratch that made it is open.
        rows: rows in the files.
        kept: (rows,) whether each row belongs to the table; None if all do.
        is_checked: whether the sizes of the cells are known to be within limits.
    """

    places: Mapping[str, tuple[str, int]]
    rows: int
    kept: pl.Series | None = None
    is_checked: bool = True

    @classmethod
    def written(cls, cells: pl.LazyFrame, path: str, row_bytes: float = 0.0) -> Self:
        """Write a table to `path`, a batch of rows at a time, and return it.

        Args:
            cells: the table.
            path: of the file.
            row_bytes: size of a row, about; a part of a batch is not read without the rest.

        Raises:
            PolarsError, OSError: the text cannot be parsed, or there is no room for it.
        """
        rows = rows_at_once(row_bytes)
        cells.sink_ipc(path, record_batch_size=rows if rows < _LONG_ROWS else None)
        places = {name: (path, place) for place, name in enumerate(cells.collect_schema())}
        return cls(places=places, rows=int(pl.scan_ipc(path).select(pl.len()).collect().item()))

    @property
    def height(self) -> int:
        """Rows of the table."""
        return self.rows if self.kept is None else int(self.kept.sum())

    def __getitem__(self, name: str) -> pl.Series:
        """All rows of a column."""
        path, place = self.places[name]
        cells = pl.read_ipc(path, columns=[place]).to_series().alias(name)
        return cells if self.kept is None else cells.filter(self.kept)

    def slices(self, name: str) -> Iterator[pl.Series]:
        """Yield all rows of a column in slices, some of which may be empty."""
        column = replace(self, places={name: self.places[name]}, kept=None)
        start = 0
        for part in read_in_slices(lambda start, rows: column._slice(start, rows).to_series(), self.rows):
            yield part if self.kept is None else part.filter(self.kept.slice(start, part.len()))
            start += part.len()

    def __iter__(self) -> Iterator[pl.Series]:
        """Yield all columns, one after the other."""
        return (self[name] for name in self.places)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows."""
        if self.kept is None:
            return self._slice(0, rows)
        last = self.kept.arg_true().head(rows)
        some = self._slice(0, int(last[-1]) + 1 if last.len() else 0)
        return some.filter(self.kept.head(some.height))

    def _slice(self, start: int, rows: int) -> pl.DataFrame:
        columns = [
            pl.scan_ipc(path).select(pl.nth(place).alias(name)).slice(start, rows).collect().to_series()
            for name, (path, place) in self.places.items()
        ]
        return pl.DataFrame(columns)

    def has_empty_last_row(self) -> bool:
        """Return whether the last row has no cell at all."""
        last = self.rows - 1 if self.kept is None else int(self.kept.arg_true()[-1])
        rows = replace(self, kept=None)._slice(last, 1)
        return all(column[0] is None for column in rows)

    def place(self, name: str) -> tuple[str, int] | None:
        """Return where all rows of a column can stay, with the path of the Arrow file; None if they cannot."""
        return self.places[name] if self.kept is None else None

    def named(self, names: Sequence[str]) -> Self:
        """Return the table under other names, in the same order."""
        return replace(self, places=dict(zip(names, self.places.values(), strict=True)))

    def without(self, names: Sequence[str]) -> Self:
        """Return the table without some columns."""
        return replace(self, places={name: place for name, place in self.places.items() if name not in names})

    def replaced(self, columns: Self) -> Self:
        """Return the table with the columns of another one, of as many rows, in place of those of the same names."""
        return replace(self, places={**self.places, **columns.places})

    def in_memory(self) -> pl.DataFrame:
        """The whole table."""
        return pl.DataFrame(list(self))
