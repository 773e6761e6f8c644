"""Iceberg tables that are refused in place: what is wrong, and in which file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.table import Table

from cqox.engines.iceberg_files import snapshot_files
from cqox.errors import SourceDown, UnreadableFile, UnusableData
from cqox.sources import iceberg_table
from tests.engines.iceberg_opened import opened
from tests.sources.iceberg_tables import changed, folder_of, rows, with_deletes, written


def test_rows_that_are_deleted_by_their_values_are_refused(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    with_deletes(table, DataFileContent.EQUALITY_DELETES)
    with (
        pytest.raises(UnusableData, match=r"'visits' were deleted by the file 'deletes\.parquet'.*rewrite_data_files"),
        opened(folder_of(table)),
    ):
        pass


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("*.parquet"))


def test_a_file_that_is_gone_or_another_is_named(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0), rows(2.0))
    folder = folder_of(table)
    file = _files(folder)[0]
    content = file.read_bytes()
    file.write_bytes(content + b"x")
    with (
        pytest.raises(SourceDown, match=rf"'{file.name}' \({len(content) + 1} bytes, and not {len(content)}\)"),
        opened(folder),
    ):
        pass
    file.write_bytes(bytes(len(content)))
    with pytest.raises(SourceDown, match="'lake' cannot be read"), opened(folder):
        pass
    with pytest.raises(UnreadableFile, match=file.name), opened(folder, own=True):
        pass
    file.write_bytes(content)

    def read_without_it() -> None:
        with opened(folder) as found:
            file.unlink()
            found.count()

    with pytest.raises(SourceDown, match=f"'{file.name}' of the Iceberg table 'visits' is not there"):
        read_without_it()
    with pytest.raises(SourceDown, match=f"'{file.name}' of the Iceberg table 'visits' is not there"), opened(folder):
        pass


def test_a_link_to_a_file_outside_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path / "lake", rows(1.0))
    folder = folder_of(table)
    (file,) = _files(folder)
    outside = file.rename(tmp_path / "outside.parquet")
    file.symlink_to(outside)
    with pytest.raises(UnusableData, match=f"'{file.name}', which is not in the folder"), opened(folder):
        pass
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SourceDown, match="no regular file"), opened(folder):
        pass


def test_files_of_other_programs_are_refused_by_their_columns(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    path = folder_of(table) / "data" / "added.parquet"
    pq.write_table(rows(2.0), path)
    table.add_files([path.as_uri()])
    with (
        pytest.raises(UnusableData, match=r"'y' has no number of its own in the file 'added\.parquet'"),
        opened(folder_of(table)),
    ):
        pass


@pytest.mark.parametrize(
    ("written_as", "reason"),
    [
        (
            lambda number: pa.field("n", pa.string(), metadata={"PARQUET:field_id": number}),
            "'n' has the type BYTE_ARRAY",
        ),
        (
            lambda number: pa.field("n", pa.struct([pa.field("x", pa.int32())]), metadata={"PARQUET:field_id": number}),
            "'n' has the type group",
        ),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_named_with_its_file(
    tmp_path: Path, written_as: Callable[[str], pa.Field], reason: str
) -> None:
    table = written(tmp_path, rows(1.0))
    (file,) = _files(folder_of(table))
    field = written_as("2")
    value = pa.array(["x"] if pa.types.is_string(field.type) else [{"x": 1}], field.type)
    pq.write_table(pa.table([value], schema=pa.schema([field])), file)
    _resized(table, file)
    with pytest.raises(UnusableData, match=f"{reason} in the file '{file.name}'"), opened(folder_of(table)):
        pass


def test_a_column_whose_value_is_in_the_metadata_alone_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    with table.update_spec() as update:
        update.add_identity("w")
    table.overwrite(rows(1.0))
    (file,) = (folder_of(table) / "data").glob("*/*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None).drop(["w"]), file)
    _resized(table, file)
    with pytest.raises(UnusableData, match=f"'{file.name}' has no column 'w'"), opened(folder_of(table)):
        pass


def _resized(table: Table, file: Path) -> None:
    """Fill a shorter file to its former size: Parquet has its footer at the end."""
    snapshot = iceberg_table(folder_of(table))
    with pytest.raises(SourceDown, match="bytes, and not") as raised:
        snapshot_files(snapshot)
    wanted = int(str(raised.value).split("and not ")[1].split(")")[0])
    content = file.read_bytes()
    assert len(content) <= wanted
    file.write_bytes(content[:4] + bytes(wanted - len(content)) + content[4:])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda metadata: metadata.update({"format-version": 3}), "the format version 3"),
        (lambda metadata: metadata.update({"properties": {"encryption.key-id": "k"}}), "encryption"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    folder = changed(written(tmp_path, rows(1.0)), change)
    with pytest.raises(UnusableData, match=f"'visits' has {reason}, which is not read here"), opened(folder):
        pass


def test_a_table_without_rows_says_so(tmp_path: Path) -> None:
    table = written(tmp_path)
    with pytest.raises(UnusableData, match="no rows"), opened(folder_of(table)):
        pass
    table.append(rows(1.0))
    table.delete("y = 1")
    with pytest.raises(UnusableData, match="no rows"), opened(folder_of(table)):
        pass
