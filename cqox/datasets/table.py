"""A table as it is kept and described: typed columns, and what is known of each."""

from dataclasses import dataclass, field
from typing import Literal

import polars as pl

__all__ = ["Column", "Description", "Kind", "Table"]

type Kind = Literal["binary", "count", "real", "category", "date", "text", "id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What is known of one column.

    Attributes:
        name: unique in its table, NFC-normalised, never empty.
        original_name: the name in the file where it differs, else None.
        kind: how the values can be used.
        missing: rows without a value.
        distinct: number of different values; None above the bound that is counted.
        minimum: the least value; ISO text for dates, None for words.
        maximum: the greatest value, likewise.
        mean: of numbers and of true (1) and false (0); None otherwise.
        levels: the values of a binary or category column in sorted order, where they are at most fifty; else None.
        notes: what was understood or changed while reading it.
    """

    name: str
    original_name: str | None = None
    kind: Kind
    missing: int = 0
    distinct: int | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    levels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The column as `cqox.contract.ColumnDescription` has it."""
        return {
            "name": self.name,
            "original_name": self.original_name,
            "kind": self.kind,
            "missing": self.missing,
            "distinct": self.distinct,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "mean": self.mean,
            "levels": None if self.levels is None else list(self.levels),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file, read.

    Attributes:
        frame: the values, in the order of the file. Dtypes are Boolean, integers, Float64, Date, Datetime and String.
        columns: one for each column of the frame, in its order.
        format: what the file turned out to be, such as "csv" or "parquet".
        encoding: of a text file, by Python's name; None otherwise.
        compression: layers from the outside in, joined by "+"; None where there is none.
        notes: what was understood or changed beyond single columns.
    """

    frame: pl.DataFrame = field(repr=False)
    columns: tuple[Column, ...]
    format: str
    encoding: str | None = None
    compression: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return self.frame.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A kept table without its values.

    Attributes:
        columns: in the table's order.
        rows: rows below the header.
    """

    columns: tuple[Column, ...]
    rows: int
