"""Roles of columns of a table in place: a small one is read; of a larger one all rows are summed, and some looked at.

Only columns of types that can be analysed get a role.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cqox.analysis import engine_sample
from cqox.analysis.engine_sample import DRAWS, Numbers, drawn_number
from cqox.analysis.in_place import whole_table
from cqox.analysis.inferred_roles import inferred_in_memory, inferred_of_sample
from cqox.analysis.own_columns import OwnColumns
from cqox.analysis.row_keys import as_key
from cqox.analysis.workers.asking import ask
from cqox.contract import SampledRows
from cqox.contract.messages import Message, collect_messages
from cqox.datasets import LOOKED_AT, Column, Inference, may_be_units, units_of
from cqox.engines import SourceColumn, SqlMoments
from cqox.engines.place_columns import described_columns, typed
from cqox.engines.place_opening import opened_table
from cqox.engines.place_table import PlaceTable
from cqox.estimators.numerics.moments import Column as Value
from cqox.estimators.numerics.moments import Is

__all__ = ["roles_in_place"]

_MOST_CELLS = 20_000_000
"""Cells in memory at once: of a wide table fewer rows are looked at."""
_FEWEST_ROWS = 1_000
_SEED = 0


def roles_in_place(place: Mapping[str, object], folder: Path, *, threads: int) -> dict[str, object]:
    """Return the likeliest roles as JSON values, without `dataset_id`; see `cqox.contract.Inference`.

    Args:
        place: as of `cqox.analysis.in_place.in_place`.
        folder: for files that are needed meanwhile.
        threads: of an engine in this process.

    Raises:
        SourceDown: the table cannot be read.
        UnusableData: the files are no parts of one table, or a column has dates beyond those of Python.
    """
    with opened_table(place, folder, threads=threads, after_read=lambda: None, ask=ask) as table:
        names, rows = list(table.kinds), table.count()
        notes: list[Message] = []
        sample: SampledRows | None = None
        if rows <= engine_sample.SAMPLE_ROWS and rows * len(names) <= _MOST_CELLS:
            frame, columns = whole_table(table, names)
            inference = inferred_in_memory(frame, list(columns.values()))
        else:
            inference, sample, note = _of_sample(table, place.get("key"), rows)
            notes.append(note)
        if table.others:
            notes.append(Message("sources.roles-unusable", columns=list(table.others)))
    found: dict[str, object] = {**inference.to_json(), "findings": []}
    found["notes"] = [*notes, *inference.notes]
    answer = {**found, "sample": None if sample is None else sample.model_dump()}
    return {**answer, "messages": collect_messages(answer)}


def _of_sample(table: PlaceTable, key: object, rows: int) -> tuple[Inference, SampledRows, Message]:
    names = list(table.kinds)
    text, aliases = table.columns(names)
    number, columns = described_columns(table, text, aliases, exact=[name for name in names if may_be_units(name)])
    about = max(_FEWEST_ROWS, min(LOOKED_AT, _MOST_CELLS // len(names)))
    chosen, by = _chosen(table, text, aliases, columns, key=key, about=about)
    sample = typed(table.read(chosen, names), columns)
    named: object = Message("by_moments.the-row-number") if by is None else by
    note = Message("sources.roles-of-sample", rows=sample.height, of=number, key=named)
    inference = inferred_of_sample(sample, list(columns.values()))
    return inference, SampledRows(rows=sample.height, of=number), note


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
