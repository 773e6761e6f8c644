"""A table in an Iceberg folder that stays where it is.

The engine finds the columns of each file by their numbers, so that columns that were renamed, moved, added, dropped or
widened since a file was written have the name and the type that the table gives them now.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from cqox.contract.messages import Message
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.iceberg_deletes import find_deleted
from cqox.engines.iceberg_files import DataFile, SnapshotFiles
from cqox.engines.place_table import DUCKDB_CASTS, Kind, PlaceTable, read_numbered, words_of
from cqox.errors import UnusableData
from cqox.sources import IcebergField, IcebergTable

__all__ = ["iceberg_place_table"]

_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
_AT_ONCE = 500
_STORED: Mapping[str, tuple[Kind, str, frozenset[str]]] = {
    "boolean": ("word", "boolean", frozenset({"BOOLEAN"})),
    "int": ("whole", "integer", frozenset({"INT32"})),
    "long": ("whole", "bigint", frozenset({"INT32", "INT64"})),
    "float": ("real", "float", frozenset({"FLOAT"})),
    "double": ("real", "double", frozenset({"FLOAT", "DOUBLE"})),
    "date": ("day", "date", frozenset({"INT32"})),
    "timestamp": ("moment", "timestamp", frozenset({"INT64", "INT96"})),
    "timestamptz": ("moment", "timestamp with time zone", frozenset({"INT64", "INT96"})),
    "string": ("word", "varchar", frozenset({"BYTE_ARRAY"})),
    "uuid": ("word", "uuid", frozenset({"FIXED_LEN_BYTE_ARRAY"})),
}
"""Type of a column to its kind, the type of the engine, and the types that it has in Parquet."""
_OF_DECIMALS = frozenset({"INT32", "INT64", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"})


def iceberg_place_table(table: IcebergTable, files: SnapshotFiles, engine: DuckDBEngine) -> PlaceTable:
    """Return one snapshot of an Iceberg table.

    Args:
        table: the snapshot.
        files: its files, of data at least one.
        engine: reads them.

    Raises:
        UnusableData: a file does not have the columns of the table by their numbers and types, or all rows are deleted.
        SourceDown: a file is not there any more, or is not what the metadata say.
    """
    paths = [each.path for each in files.data]
    usable = {each.name: (each, found) for each in table.fields if (found := _stored(each.type)) is not None}
    if not usable:
        raise UnusableData(
            Message("sources.iceberg-unsupported", table=table.folder.name, what="its types"), field="table"
        )
    heights = _heights(table, engine, files.data, {each.identity: (each, found) for each, found in usable.values()})
    # Under names of their own, no column has one of those that the engine has for itself.
    aliases = {name: f"c{place}" for place, name in enumerate(usable)}
    columns = {each.identity: (aliases[name], found[1]) for name, (each, found) in usable.items()}
    raw = engine.files_by_identity(paths, columns)
    kinds: dict[str, Kind] = {name: found[0] for name, (_, found) in usable.items()}
    casts = {name: DUCKDB_CASTS[kind].format(aliases[name]) for name, kind in kinds.items()}
    starts = np.cumsum([0, *heights[:-1]]).tolist()
    row = f"list_extract([{', '.join(map(str, starts))}], cast(file_index as bigint) + 1) + file_row_number"
    if files.deletes:
        find_deleted(table, files.deletes, files.data, heights, starts, engine)
        # Numbers of rows stay those in the files, with gaps.
        raw, row = (
            f"(select r.* from (select *, {row} as place from {raw}) r anti join deleted d on place = n)",
            "place",
        )
    opened = PlaceTable(
        engine=engine,
        raw=raw,
        kinds=kinds,
        others={each.name: each.type for each in table.fields if each.name not in usable},
        row=row,
        casts=casts,
        infinite="isinf({})",
        words=partial(words_of, engine),
        read=partial(read_numbered, engine, raw, row, casts, kinds),
    )
    if files.deletes and not opened.count():
        raise UnusableData(Message("sources.iceberg-empty", table=table.folder.name), field="table")
    return opened


type _Stored = tuple[Kind, str, frozenset[str]]


def _stored(kind: str) -> _Stored | None:
    if found := _DECIMAL.fullmatch(kind):
        return "real", f"decimal({found[1]}, {found[2]})", _OF_DECIMALS
    return _STORED.get(kind)


def _heights(
    table: IcebergTable,
    engine: DuckDBEngine,
    files: Sequence[DataFile],
    usable: Mapping[int, tuple[IcebergField, _Stored]],
) -> list[int]:
    """Return the number of rows of each file, whose columns are what the table says they are."""
    heights = []
    for start in range(0, len(files), _AT_ONCE):
        block = files[start : start + _AT_ONCE]
        paths = [each.path for each in block]
        found = engine.top_columns(paths)
        for file, columns in zip(block, found, strict=True):
            _check_file(table, file, columns, usable)
        heights += engine.heights(paths)
    return heights


def _check_file(
    table: IcebergTable,
    file: DataFile,
    columns: Sequence[tuple[str, str | None, int | None]],
    usable: Mapping[int, tuple[IcebergField, _Stored]],
) -> None:
    numbers = {number: (name, kind) for name, kind, number in columns}
    without = next((name for name, _, number in columns if number is None), None)
    if without is not None or len(numbers) < len(columns):
        named = without or columns[0][0]
        raise UnusableData(Message("sources.iceberg-no-ids", file=file.path.name, column=named), field="table")
    names = {each.identity: each.name for each in table.fields}
    for number in table.identities.get(file.specification, ()):
        # Its value is then in the manifest alone.
        if number in names and number not in numbers:
            raise UnusableData(
                Message("sources.iceberg-no-value", file=file.path.name, column=names[number]), field="table"
            )
    for number, (field, (_, _, stored)) in usable.items():
        _, kind = numbers.get(number, ("", None))
        if number in numbers and kind not in stored:
            raise UnusableData(
                Message(
                    "sources.iceberg-type", file=file.path.name, column=field.name, type=field.type,
                    found=str(kind or "group"),
                ),
                field="table",
            )  # fmt: skip
