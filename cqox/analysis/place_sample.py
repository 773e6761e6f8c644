"""The columns of a table in place with all of its rows, or with some of a table that is larger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from cqox.analysis import engine_sample
from cqox.analysis.engine_sample import DRAWS, Numbers, drawn_number
from cqox.analysis.own_columns import OwnColumns
from cqox.analysis.row_keys import as_key
from cqox.contract import SampledRows
from cqox.contract.messages import Message
from cqox.datasets import LOOKED_AT, Column, Limits, may_be_units, units_of
from cqox.datasets.headers import Header
from cqox.datasets.interpret import Interpreted, interpret
from cqox.datasets.kinds import describe_column
from cqox.engines import SourceColumn, SqlMoments
from cqox.engines.place_columns import described_columns, typed
from cqox.engines.place_table import PlaceTable
from cqox.errors import UnusableData
from cqox.estimators.numerics.moments import Column as Value
from cqox.estimators.numerics.moments import Is

__all__ = ["LookedAt", "count_rows", "looked_at", "whole_table"]

_MOST_CELLS = 20_000_000
"""Cells in memory at once: of a wide table fewer rows are looked at."""
_FEWEST_ROWS = 1_000
_SEED = 0
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """Columns of a table that can be analysed.

    Attributes:
        frame: all rows of them, or a sample.
        columns: their descriptions by name, of all rows.
        sample: the size of the sample; None for all rows.
        by: the column, or in words the key, by which the sample was drawn.
    """

    frame: pl.DataFrame
    columns: Mapping[str, Column]
    sample: SampledRows | None
    by: str


def count_rows(table: PlaceTable, place: Mapping[str, object]) -> int:
    """Return the number of rows of a table.

    Args:
        table: the table.
        place: as of `cqox.analysis.in_place.in_place`; of the caller's own files the error is that of files that are
            read.

    Raises:
        UnusableData: it has none.
    """
    total = table.count()
    if total:
        return total
    if place.get("own"):
        names = [*table.kinds, *table.others][:_MOST_SHOWN]
        raise UnusableData(Message("datasets.header-without-rows", columns=names))
    raise UnusableData(Message("sources.no-rows", table=str(place["table"])), field="table")


def looked_at(table: PlaceTable, *, key: object) -> LookedAt:
    """Return every column that can be analysed, with all rows of a small table and about 20,000 of a larger one.

    Args:
        table: the table.
        key: the column whose value is different in each row; None without one.

    Raises:
        UnusableData: a column has dates beyond those of Python.
    """
    names, rows = list(table.kinds), table.count()
    if rows <= engine_sample.SAMPLE_ROWS and rows * len(names) <= _MOST_CELLS:
        frame, columns = whole_table(table, names)
        return LookedAt(frame=frame, columns=columns, sample=None, by="")
    text, aliases = table.columns(names)
    number, columns = described_columns(table, text, aliases, exact=[name for name in names if may_be_units(name)])
    about = max(_FEWEST_ROWS, min(LOOKED_AT, _MOST_CELLS // len(names)))
    chosen, by = _chosen(table, text, aliases, columns, key=key, about=about)
    frame = typed(table.read(chosen, names), columns)
    return LookedAt(
        frame=frame, columns=columns, sample=SampledRows(rows=frame.height, of=number),
        by=Message("by_moments.the-row-number") if by is None else by,
    )  # fmt: skip


def whole_table(table: PlaceTable, names: Sequence[str]) -> tuple[pl.DataFrame, dict[str, Column]]:
    """Return all rows of some columns, and the columns by name as an upload would have described them.

    Infinite values are counted, and missing in the rows.
    """
    found = []
    for series in table.read(None, names):
        # Texts have been read by their meaning already.
        meaning = Interpreted(values=series, is_code=series.name in table.codes)
        if series.dtype.is_numeric():
            meaning = interpret(series)
        found.append(describe_column(Header(series.name, series.name), meaning, Limits()))
    return pl.DataFrame([series for series, _ in found]), {column.name: column for _, column in found}


def _chosen(
    table: PlaceTable,
    rows: str,
    aliases: Mapping[str, str],
    columns: Mapping[str, Column],
    *,
    key: object,
    about: int,
) -> tuple[Numbers, str | None]:
    """Return the ascending numbers of about so many rows, and the column whose values they are whole of; None for none.

    They are all rows of some units where a name says what the units are, and rows by the hash of their key otherwise.
    """
    total, own = next(iter(columns.values())), OwnColumns.of(aliases)
    steps = -(-about * DRAWS // max(total.count + total.missing, 1))
    row, unit = SourceColumn(name="rownumber", kind="number"), units_of(list(columns.values()))
    keys = {own.row_key: SourceColumn(name="rownumber", kind="number key")}
    for name, given in ((own.row_key, key), (own.fold_key, unit)):
        found = as_key(columns[str(given)]) if given in columns else None
        if found is not None:
            keys[name] = SourceColumn(name=aliases[found.name], kind=found.kind)
    source = SqlMoments(engine=table.engine, table=rows, columns={own.row: row, **keys})
    if own.fold_key in keys:
        draw = drawn_number(own.fold_key, _SEED)
        if about <= 2 * source.where(Is(draw, "<", float(steps))).count() <= 3 * about:
            return np.unique(source.fetch({"row": Value(own.row)}, draw, steps)["row"].astype(np.int64)), unit
    draw = drawn_number(own.row_key, _SEED)
    found_rows = np.unique(source.fetch({"row": Value(own.row)}, draw, steps)["row"].astype(np.int64))
    # The draw is no finer than one in `DRAWS`.
    return found_rows[:: -(-len(found_rows) // (2 * about)) or 1], None
