"""A table that has been read: its columns, their origin, and its first rows as JSON."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import polars as pl

from cqox.contract import DataFinding

__all__ = ["Column", "Description", "Dtype", "JsonValue", "Kind", "Table", "preview"]

type JsonValue = str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None
type Dtype = Literal["int64", "float64", "enum", "string", "date", "datetime"]
type Kind = Literal["binary", "count", "real", "category", "date", "text", "id"]

_CELL_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: unique in its table.
        original_name: the header in the file.
        kind: binary (two values of any type), count (whole, at least 0), real, category (words that repeat), date,
            text, or id (distinguishes rows or units).
        dtype: how it is stored: int64, float64, enum, string, date or datetime. The levels of an enum are in the order
            of their code points.
        count: rows that have a value.
        missing: rows that have none, infinite ones included.
        infinite: rows whose cell said infinity; they are among the missing.
        distinct: different values.
        minimum, maximum: of numbers, and of dates in ISO form; None for words.
        mean: of numbers.
        levels: the different values in order as text, for binary and category columns of at most `max_levels`.
        level_counts: rows of each of these.
        notes: what was understood or changed.
    """

    name: str
    original_name: str
    kind: Kind
    dtype: Dtype
    count: int
    missing: int
    infinite: int = 0
    distinct: int
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    mean: float | None = None
    levels: tuple[str, ...] = ()
    level_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """True for a column that is stored as numbers."""
        return self.dtype in ("int64", "float64")

    def as_dict(self) -> dict[str, JsonValue]:
        """Every attribute as JSON."""
        return {field.name: _json(getattr(self, field.name)) for field in fields(self)}

    def to_json(self) -> dict[str, JsonValue]:
        """The column as `cqox.contract.ColumnDescription` has it."""
        return {
            "name": self.name,
            "original_name": None if self.original_name == self.name else self.original_name,
            "kind": self.kind,
            "missing": self.missing,
            "distinct": self.distinct,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "mean": self.mean,
            "levels": list(self.levels) or None,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, JsonValue]) -> Self:
        """The column that `as_dict` wrote."""
        return cls(**_tuples(values))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A table without its cells.

    Attributes:
        name: what the client calls it.
        rows: below the header.
        columns: in the order of the file.
        format: in words, such as "delimited text (comma)".
        encoding: of a text file.
        compression: layers from the outside in, joined by " in "; None where there are none.
        notes: what was decided for the file as a whole.
        findings: traps in the data.
    """

    name: str
    rows: int
    columns: tuple[Column, ...]
    format: str
    encoding: str | None = None
    compression: str | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[DataFinding, ...] = ()

    def as_dict(self) -> dict[str, JsonValue]:
        """Every attribute but the findings as JSON."""
        others = [field.name for field in fields(self) if field.name not in ("columns", "findings")]
        values = {name: _json(getattr(self, name)) for name in others}
        values["columns"] = [column.as_dict() for column in self.columns]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, JsonValue]) -> Self:
        """The description that `as_dict` wrote."""
        listed = values["columns"]
        assert isinstance(listed, list)
        columns = tuple(Column.from_dict(column) for column in listed if isinstance(column, dict))
        rest = {key: value for key, value in values.items() if key != "columns"}
        return cls(columns=columns, **_tuples(rest))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that has been read.

    Attributes:
        frame: one column for each of `columns`, of the type that its `dtype` names; null where missing, never NaN.
        description: all else.
    """

    frame: pl.DataFrame
    description: Description

    @property
    def name(self) -> str:
        """The name that the client gave the table."""
        return self.description.name

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return self.description.rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, with their kinds and statistics."""
        return self.description.columns

    @property
    def format(self) -> str:
        """The file's format in words."""
        return self.description.format

    @property
    def encoding(self) -> str | None:
        """The encoding of a text file."""
        return self.description.encoding

    @property
    def compression(self) -> str | None:
        """The compression layers in words, None where there are none."""
        return self.description.compression

    @property
    def notes(self) -> tuple[str, ...]:
        """Decisions about the file as a whole."""
        return self.description.notes

    @property
    def findings(self) -> tuple[DataFinding, ...]:
        """Traps in the data."""
        return self.description.findings


def preview(table: Table | pl.DataFrame, rows: int = 20) -> list[dict[str, JsonValue]]:
    """The first rows as JSON objects; dates in ISO form, long texts cut to 200 characters."""
    frame = table.frame if isinstance(table, Table) else table
    return [{name: _cell(value) for name, value in row.items()} for row in frame.head(rows).iter_rows(named=True)]


def _cell(value: object) -> JsonValue:
    if isinstance(value, str):
        return value if len(value) <= _CELL_CHARACTERS else value[: _CELL_CHARACTERS - 1] + "…"
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)


def _json(value: object) -> JsonValue:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_json(item) for item in value]
    return value if isinstance(value, str) else _cell(value)


def _tuples(values: Mapping[str, JsonValue]) -> dict[str, object]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
