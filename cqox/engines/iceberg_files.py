"""The files of one snapshot of an Iceberg table, from the manifests that its metadata name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    MANIFEST_LIST_FILE_SCHEMAS,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    PartitionFieldSummary,
)
from pyiceberg.manifest import DataFile as Entry

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.engines.iceberg_avro import DAMAGED, avro_records
from cqox.errors import SourceDown, UnusableData
from cqox.sources import IcebergTable

__all__ = ["DataFile", "DeleteFile", "SnapshotFiles", "snapshot_files"]

_MOST_BYTES = 2**28
_MOST_FILES = 100_000
_VERSION: Final = 2
"""The format of the records that are read: those of format 1 are the same, with fields left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of a snapshot.

    Attributes:
        path: in the folder of the table, without links.
        named: as the metadata have it.
        specification: the number of the partition specification that it was written with.
        sequence: the number of the write that has added it.
    """

    path: Path
    named: Path
    specification: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFile:
    """A file of paths and positions of rows that are deleted, in data files of the same or an earlier write.

    Attributes:
        path: in the folder of the table, without links.
        rows: the number of positions.
        sequence: the number of the write that has added it.
    """

    path: Path
    rows: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFiles:
    """The files of a snapshot, in the order of its manifests."""

    data: tuple[DataFile, ...]
    deletes: tuple[DeleteFile, ...]


def snapshot_files(table: IcebergTable) -> SnapshotFiles:
    """Return the files of a snapshot.

    Raises:
        SourceDown: a manifest or a file is not there any more, or is not what the metadata say.
        UnusableData: rows were deleted by their values, a file is encrypted or no Parquet, or is not in the folder of
            the table.
    """
    data: list[DataFile] = []
    deletes: list[DeleteFile] = []
    for manifest in _manifests(table):
        for entry in _entries(table, manifest):
            file, sequence = entry.data_file, entry.sequence_number
            if sequence is None:
                raise _malformed(manifest.manifest_path, "a file without a sequence number")
            if manifest.content == ManifestContent.DATA and file.content == DataFileContent.DATA:
                found, named = _file(table, file), table.named(file.file_path)
                data.append(
                    DataFile(path=found, named=named, specification=manifest.partition_spec_id, sequence=sequence)
                )
            elif manifest.content == ManifestContent.DELETES and file.content == DataFileContent.POSITION_DELETES:
                deletes.append(DeleteFile(path=_file(table, file), rows=file.record_count, sequence=sequence))
            else:
                raise _deletes(table, file)
            if len(data) + len(deletes) > _MOST_FILES:
                raise _unsupported(table, f"more than {_MOST_FILES} files")
    for paths in ([each.path for each in data], [each.path for each in deletes]):
        if len(set(paths)) < len(paths):
            raise _malformed(table.manifests, "a file twice")
    return SnapshotFiles(data=tuple(data), deletes=tuple(deletes))


def _content(table: IcebergTable, address: str) -> bytes:
    """Return a file of metadata, which is in the folder of the table."""
    try:
        with table.file(address).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _malformed(address, type(error).__name__) from error
    if len(content) > _MOST_BYTES:
        raise _malformed(address, f"> {_MOST_BYTES} bytes")
    return content


def _manifests(table: IcebergTable) -> Sequence[ManifestFile]:
    content = _content(table, table.manifests)
    try:
        return avro_records(
            content,
            MANIFEST_LIST_FILE_SCHEMAS[_VERSION],
            ManifestFile,
            nested={508: PartitionFieldSummary},
            enums={517: ManifestContent},
        )
    except DAMAGED as error:
        raise _malformed(table.manifests, _reason(error)) from error


def _entries(table: IcebergTable, manifest: ManifestFile) -> Sequence[ManifestEntry]:
    """Return what a manifest says of the files that are part of the snapshot."""
    address = manifest.manifest_path
    _check_plain(table, manifest.key_metadata)
    content = _content(table, address)
    if len(content) != manifest.manifest_length:
        raise _malformed(address, f"{len(content)} bytes, and not {manifest.manifest_length}")
    try:
        found = avro_records(
            content,
            MANIFEST_ENTRY_SCHEMAS[_VERSION],
            ManifestEntry,
            nested={2: Entry},
            enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
        )
    except DAMAGED as error:
        raise _malformed(address, _reason(error)) from error
    kept = [entry for entry in found if entry.status != ManifestEntryStatus.DELETED]
    added, existing = manifest.added_files_count, manifest.existing_files_count
    # Lists of format 1 need not have these counts.
    if added is not None and existing is not None and len(kept) != added + existing:
        raise _malformed(address, f"{len(kept)} files, and not {added + existing}")
    for entry in kept:
        # The number of a new file is that of the write, which its manifest cannot know yet.
        inherits = manifest.sequence_number == 0 or entry.status == ManifestEntryStatus.ADDED
        if entry.sequence_number is None and inherits:
            entry.sequence_number = manifest.sequence_number
    return kept


def _reason(error: BaseException) -> str:
    return str(error) if type(error) in (ValueError, EOFError) and error.args else type(error).__name__


def _file(table: IcebergTable, entry: Entry) -> Path:
    _check_plain(table, entry.key_metadata)
    if entry.file_format != FileFormat.PARQUET:
        raise _unsupported(table, f"files of the format {entry.file_format.value}")
    path = table.file(entry.file_path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _malformed(entry.file_path, type(error).__name__) from error
    if size != entry.file_size_in_bytes:
        raise _malformed(entry.file_path, f"{size} bytes, and not {entry.file_size_in_bytes}")
    return path


def _deletes(table: IcebergTable, entry: Entry) -> UnusableData:
    name = shortened(entry.file_path.rpartition("/")[2])
    return UnusableData(Message("sources.iceberg-deletes", table=table.folder.name, file=name), field="table")


def _check_plain(table: IcebergTable, key: bytes | None) -> None:
    if key is not None:
        raise _unsupported(table, "encryption")


def _malformed(file: str, reason: str) -> SourceDown:
    return SourceDown(Message("sources.iceberg-broken", file=shortened(file.rpartition("/")[2]), reason=reason[:200]))


def _unsupported(table: IcebergTable, what: str) -> UnusableData:
    return UnusableData(Message("sources.iceberg-unsupported", table=table.folder.name, what=what), field="table")
