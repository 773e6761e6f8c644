"""Rows of an Iceberg snapshot that files of positions delete, as writers that merge on read leave them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.engines.duckdb_engine import DuckDBEngine
from cqox.engines.iceberg_files import DataFile, DeleteFile
from cqox.errors import SourceDown
from cqox.sources import IcebergTable

__all__ = ["find_deleted"]

_PATH, _POSITION = 2_147_483_546, 2_147_483_545
"""Numbers that the format reserves for the two columns of these files."""


def find_deleted(
    table: IcebergTable,
    deletes: Sequence[DeleteFile],
    data: Sequence[DataFile],
    heights: Sequence[int],
    starts: Sequence[int],
    engine: DuckDBEngine,
) -> None:
    """Write the numbers of the rows that are deleted to the temporary table `deleted`, in its column `n`.

    Args:
        table: the snapshot.
        deletes: files of positions, at least one.
        data: the data files.
        heights: the number of rows of each.
        starts: the number of the first row of each.
        engine: reads the files.

    Raises:
        SourceDown: a file is not what the metadata say.
        UnusableData: a file names rows of one that is not in the folder of the table.
    """
    paths = [each.path for each in deletes]
    _check(engine, deletes, paths)
    listed = engine.files_by_identity(paths, {_PATH: ("path", "varchar"), _POSITION: ("pos", "bigint")})
    execute = engine.connection.execute
    (nulls,) = execute(f"select count(*) - least(count(path), count(pos)) from {listed}").fetchall()
    if nulls[0]:
        raise _malformed(paths[0], "a row without path or position")
    places = {each.named: place for place, each in enumerate(data)}
    # Files that a later write has replaced may still be named.
    named = [str(path) for (path,) in execute(f"select distinct path from {listed}").fetchall()]
    found = {path: place for path in named if (place := places.get(table.named(path))) is not None}
    execute(
        "create temp table named as select unnest($1::varchar[]) as path, unnest($2::bigint[]) as first, "
        "unnest($3::bigint[]) as height, unnest($4::bigint[]) as sequence",
        [list(found), *([each[place] for place in found.values()] for each in (starts, heights, _sequences(data)))],
    ).fetchall()
    sequences = ", ".join(str(each.sequence) for each in deletes)
    rows = (
        f"select n.first, n.height, l.pos from {listed} l join named n on l.path = n.path "
        f"where n.sequence <= list_extract([{sequences}], cast(l.file_index as bigint) + 1)"
    )
    (beyond,) = execute(f"select count(*) from ({rows}) where pos < 0 or pos >= height").fetchall()
    if beyond[0]:
        raise _malformed(paths[0], "a position that its file does not have")
    execute(f"create temp table deleted as select distinct first + pos as n from ({rows})").fetchall()


def _sequences(data: Sequence[DataFile]) -> list[int]:
    return [each.sequence for each in data]


def _check(engine: DuckDBEngine, deletes: Sequence[DeleteFile], paths: Sequence[Path]) -> None:
    wanted: Mapping[int, str] = {_PATH: "BYTE_ARRAY", _POSITION: "INT64"}
    columns, heights = engine.top_columns(paths), engine.heights(paths)
    for each, found, height in zip(deletes, columns, heights, strict=True):
        types = {number: kind for _, kind, number in found}
        if any(types.get(number) != kind for number, kind in wanted.items()):
            raise _malformed(each.path, "no columns of paths and positions")
        if height != each.rows:
            raise _malformed(each.path, f"{height} rows, and not {each.rows}")


def _malformed(path: Path, reason: str) -> SourceDown:
    return SourceDown(Message("sources.iceberg-broken", file=shortened(path.name), reason=reason))
