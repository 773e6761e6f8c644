"""The files of one snapshot of an Iceberg table, from the manifests that its metadata name."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pyiceberg.avro.file import AvroFile
from pyiceberg.exceptions import ResolveError
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile
from pyiceberg.manifest import DataFile as Entry
from pyiceberg.manifest import (
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestFile,
    read_manifest_list,
)
from pyiceberg.typedef import Record
from zstandard import ZstdError

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import SourceDown, UnusableData
from cqox.sources import IcebergTable

__all__ = ["DataFile", "DeleteFile", "SnapshotFiles", "snapshot_files"]

_MOST_BYTES = 2**28
_MOST_FILES = 100_000
_DAMAGED = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, ResolveError, RuntimeError, SystemError,
    TypeError, ValueError, ZstdError, zlib.error,
)  # fmt: skip
"""Errors of pyiceberg for a file that is no manifest any more."""


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


class _Folder(FileIO):
    """The files of one table, which are all that its metadata can name."""

    def __init__(self, table: IcebergTable) -> None:
        super().__init__()
        self._table = table

    def new_input(self, location: str) -> "_File":
        return _File(location, self._table.file(location))

    def new_output(self, location: str) -> OutputFile:
        raise PermissionError(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise PermissionError(str(location))


class _File(InputFile):
    """A file of metadata, read whole and once."""

    def __init__(self, location: str, path: Path) -> None:
        super().__init__(location)
        try:
            with path.open("rb") as file:
                self.content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise _malformed(location, type(error).__name__) from error
        if len(self.content) > _MOST_BYTES:
            raise _malformed(location, f"> {_MOST_BYTES} bytes")

    def __len__(self) -> int:
        return len(self.content)

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> InputStream:
        return BytesIO(self.content)

    def check_whole(self) -> None:
        """Check that the file ends as an Avro file does: pyiceberg takes the records before a cut for all of them.

        Raises:
            SourceDown: it does not.
        """
        with AvroFile[Record](self) as opened:
            if not self.content.endswith(opened.header.sync):
                raise _malformed(self.location, "it is cut")


def _manifests(table: IcebergTable) -> Sequence[ManifestFile]:
    listed = _Folder(table).new_input(table.manifests)
    try:
        listed.check_whole()
        return list(read_manifest_list(listed))
    except _DAMAGED as error:
        raise _malformed(table.manifests, type(error).__name__) from error


def _entries(table: IcebergTable, manifest: ManifestFile) -> Sequence[ManifestEntry]:
    """Return what a manifest says of the files that are part of the snapshot."""
    address = manifest.manifest_path
    _check_plain(table, manifest.key_metadata)
    folder = _Folder(table)
    file = folder.new_input(address)
    if len(file) != manifest.manifest_length:
        raise _malformed(address, f"{len(file)} bytes, and not {manifest.manifest_length}")
    try:
        file.check_whole()
        return manifest.fetch_manifest_entry(folder)
    except _DAMAGED as error:
        raise _malformed(address, type(error).__name__) from error


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
