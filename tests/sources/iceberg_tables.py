"""Iceberg tables that pyiceberg writes, and changes to their metadata that it would not make."""

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    read_manifest_list,
    write_manifest_list,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField, StringType

__all__ = ["catalog", "changed", "folder_of", "metadata_file", "positions", "rows", "with_deletes", "written"]


def catalog(folder: Path) -> SqlCatalog:
    """Return a catalog of tables that are below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = SqlCatalog("test", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=folder.as_uri())
    made.create_namespace("db")
    # Nothing else closes its connections.
    weakref.finalize(made, made.engine.dispose)
    return made


def rows(*values: float, word: str = "a") -> pa.Table:
    return pa.table(
        {"y": list(values), "n": pa.array([int(value) for value in values], pa.int32()), "w": [word] * len(values)}
    )


def written(folder: Path, *appended: pa.Table, **properties: str) -> Table:
    """Return a table `db/visits` with some rows, each in a snapshot of its own."""
    table = catalog(folder).create_table("db.visits", schema=(appended or [rows(1.0)])[0].schema, properties=properties)
    for each in appended:
        table.append(each)
    return table


def folder_of(table: Table) -> Path:
    return Path(table.location().removeprefix("file://"))


def metadata_file(table: Table) -> Path:
    return Path(table.metadata_location.removeprefix("file://"))


def changed(table: Table, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the metadata file of a table, and return the table's folder."""
    path = metadata_file(table)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return folder_of(table)


class _Deletes(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES


def positions(*rows: tuple[str | None, int | None]) -> pa.Table:
    """Return what a file of deleted rows has: addresses of data files, and positions in them."""
    schema = pa.schema(
        [
            pa.field("file_path", pa.string(), metadata={"PARQUET:field_id": "2147483546"}),
            pa.field("pos", pa.int64(), metadata={"PARQUET:field_id": "2147483545"}),
        ]
    )
    return pa.table([[path for path, _ in rows], [place for _, place in rows]], schema=schema)


def with_deletes(
    table: Table,
    content: DataFileContent,
    listed: pa.Table | None = None,
    *,
    name: str = "deletes",
    sequence: int = 1,
    count: int | None = None,
) -> Path:
    """Add a file of deleted rows to the current snapshot, as writers that merge on read do.

    Args:
        table: the table.
        content: what the file lists.
        listed: its rows; without them there is no such file.
        name: of the file.
        sequence: the number of its write.
        count: the number of rows that the metadata say.
    """
    snapshot = table.current_snapshot()
    assert snapshot is not None
    path = f"{table.location()}/data/{name}.parquet"
    file = folder_of(table) / "data" / f"{name}.parquet"
    if listed is not None:
        pq.write_table(listed, file)
    rows = 1 if listed is None else listed.num_rows
    entry = ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED, snapshot_id=snapshot.snapshot_id, sequence_number=sequence,
        file_sequence_number=sequence,
        data_file=DataFile.from_args(
            content=content, file_path=path, file_format="PARQUET", partition=[],
            record_count=rows if count is None else count, file_size_in_bytes=file.stat().st_size if listed else 1,
            equality_ids=[1] if content == DataFileContent.EQUALITY_DELETES else None,
        ),
    )  # fmt: skip
    schema = Schema(NestedField(1, "y", StringType(), required=False))
    output = table.io.new_output(f"{table.location()}/metadata/{name}-m0.avro")
    with _Deletes(PartitionSpec(), schema, output, snapshot.snapshot_id, "deflate") as writer:
        writer.add_entry(entry)
    files = [*read_manifest_list(table.io.new_input(_manifest_list(table))), writer.to_manifest_file()]
    target = table.io.new_output(f"{table.location()}/metadata/with-{name}.avro")
    with write_manifest_list(2, target, snapshot.snapshot_id, None, sequence, "zstandard") as listed:
        listed.add_manifests(files)

    def named(metadata: dict[str, Any]) -> None:
        metadata["snapshots"][-1]["manifest-list"] = target.location

    changed(table, named)
    return file


def _manifest_list(table: Table) -> str:
    return str(json.loads(metadata_file(table).read_text())["snapshots"][-1]["manifest-list"])
