"""Columns of text on disk, which are brought into memory one at a time.

As text a table takes several times the memory that its numbers take. What a large file holds is therefore written to
a scratch file column by column, and only the column that is being interpreted is in memory as text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

__all__ = ["SpooledText"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledText:
    """A table of text in an Arrow file.

    Attributes:
        path: where to open it; readable as long as the scratch that made it is open.
        places: name of each column, with its place in the file.
        rows: rows in the file.
        kept: (rows,) whether each row belongs to the table; None if all do.
    """

    path: str
    places: dict[str, int]
    rows: int
    kept: pl.Series | None = None

    @classmethod
    def written(cls, text: pl.LazyFrame, path: str) -> Self:
        """Write a table to `path`, a batch of rows at a time, and return it.

        Raises:
            PolarsError, OSError: the text cannot be parsed, or there is no room for it.
        """
        text.sink_ipc(path)
        places = {name: place for place, name in enumerate(text.collect_schema())}
        return cls(path=path, places=places, rows=int(pl.scan_ipc(path).select(pl.len()).collect().item()))

    @property
    def height(self) -> int:
        """Rows of the table."""
        return self.rows if self.kept is None else int(self.kept.sum())

    def __getitem__(self, name: str) -> pl.Series:
        """All rows of a column."""
        cells = pl.read_ipc(self.path, columns=[self.places[name]]).to_series().alias(name)
        return cells if self.kept is None else cells.filter(self.kept)

    def __iter__(self) -> Iterator[pl.Series]:
        """Yield all columns, one after the other."""
        return (self[name] for name in self.places)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows."""
        text = pl.scan_ipc(self.path)
        first = text.head(rows).collect() if self.kept is None else text.filter(self.kept).head(rows).collect()
        return first.select(pl.nth(place).alias(name) for name, place in self.places.items())

    def has_empty_last_row(self) -> bool:
        """Return whether the last row has no cell at all."""
        return all(column[-1] is None for column in self)

    def named(self, names: Sequence[str]) -> Self:
        """Return the table under other names, in the same order."""
        return replace(self, places=dict(zip(names, self.places.values(), strict=True)))

    def without(self, names: Sequence[str]) -> Self:
        """Return the table without some columns."""
        return replace(self, places={name: place for name, place in self.places.items() if name not in names})

    def in_memory(self) -> pl.DataFrame:
        """The whole table."""
        return pl.DataFrame(list(self))
