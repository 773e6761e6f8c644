"""Tables of Parquet or CSV files at a URL or in an object store: what is there, and a copy of it; blocking.

A copy is of one moment: each file is what the listing has said, and the listing is the same afterwards.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cqox.contract.messages import Message
from cqox.errors import SourceUnavailable
from cqox.file_sync import sync, sync_handle
from cqox.sources.address import kind_of, shown
from cqox.sources.objects import Bucket
from cqox.sources.part_files import Parts, parts_named
from cqox.sources.remote_file import RemoteFile, SourceChanged
from cqox.sources.urls import blocks_of_url, file_at, file_name

__all__ = ["RemoteTable", "listed", "may_be_table"]

_PARQUET, _TEXT = (".parquet", ".pq"), (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_MOST_NAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTable:
    """Files that are the parts of one table.

    Attributes:
        address: of all of them; it may hold a password.
        base: the folder in which they are, as a path there.
        files: in the order of their keys; at least one.
        parts: the same as paths there, with their format.
        is_folder: whether the address names a folder.
        suffixes: ends of the names of those files that are parts; None for all that may be.
    """

    address: str = field(repr=False)
    base: Path
    files: tuple[RemoteFile, ...]
    parts: Parts
    is_folder: bool
    suffixes: tuple[str, ...] | None = None

    @property
    def size_bytes(self) -> int | None:
        """Size of all files; None where that of one is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def snapshot(self) -> str | None:
        """A digest of names, sizes, entity tags and times; None where other rows might have the same."""
        if not all(file.is_identified for file in self.files):
            return None
        facts = [[file.key, file.size_bytes, file.e_tag, file.modified] for file in self.files]
        return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()

    def copies(self, folder: Path) -> Parts:
        """Return the files of a copy: each in a folder of its own, below those folders whose names have values.

        No other part of a key becomes part of a path.

        Args:
            folder: that of the copy.
        """
        made = []
        for number, path in enumerate(self.parts.files):
            values = [part for part in path.relative_to(self.base).parts[:-1] if "=" in part]
            made.append(folder.joinpath(f"{number:05}", *values, _name(path)))
        return Parts(base=folder, files=tuple(made), format=self.parts.format)

    def copying(self, folder: Path) -> Generator[int]:
        """Copy the files; yield the number of bytes of each block that has been written.

        Args:
            folder: that of the copy; it is there.

        Raises:
            SourceChanged: a file is no longer what it was.
            SourceUnavailable: the server fails.
            OSError: the disk does.
        """
        bucket = None if kind_of(self.address) == "url" else Bucket(self.address)
        for file, path in zip(self.files, self.copies(folder).files, strict=True):
            path.parent.mkdir(mode=0o700, parents=True)
            blocks = blocks_of_url(self.address, file) if bucket is None else bucket.blocks(file)
            written = 0
            with path.open("xb") as copy, closing(blocks):
                for block in blocks:
                    copy.write(block)
                    written += len(block)
                    yield len(block)
                copy.flush()
                sync_handle(copy.fileno())
            sync(path.parent)
            if file.size_bytes is not None and written != file.size_bytes:
                raise _changed(self.address)
        if bucket is not None:
            again = listed(self.address, suffixes=self.suffixes)
            if again is None or again.files != self.files:
                raise _changed(self.address)


def may_be_table(address: str) -> bool:
    """Return whether an address can be that of Parquet or CSV files, by its name alone."""
    if kind_of(address) == "objects":
        return True
    return kind_of(address) == "url" and _format(Path(file_name(address))) is not None


def listed(address: str, *, suffixes: tuple[str, ...] | None = None) -> RemoteTable | None:
    """Return the table at an address; None for one file of another kind.

    Args:
        address: `https://host/table.parquet`, or `s3://bucket/key` and the like, where what is no object is a folder.
        suffixes: ends of the names of those files that are parts; None for all that may be.

    Raises:
        SourceUnavailable: there is nothing, or the server fails.
        UnreadableFile: the files are no parts of one table, or a table format has a log of them.
        LimitExceeded: there are too many.
    """
    if kind_of(address) == "url":
        return _of_one(address, file_at(address), suffixes)
    bucket = Bucket(address)
    one = bucket.file()
    if one is not None:
        return _of_one(address, one, suffixes)
    by_path = {Path("/", file.key): file for file in bucket.files()}
    base = Path("/", bucket.key)
    wanted = parts_named(base, list(by_path), suffixes=suffixes)
    if wanted is None:
        raise SourceUnavailable(Message("sources.nothing-there", address=shown(address)))
    files = tuple(by_path[path] for path in wanted.files)
    return RemoteTable(address=address, base=base, files=files, parts=wanted, is_folder=True, suffixes=suffixes)


def _of_one(address: str, file: RemoteFile, suffixes: tuple[str, ...] | None) -> RemoteTable | None:
    path = Path("/", file.key)
    found = _format(path)
    if found is None or (suffixes is not None and not path.name.endswith(suffixes)):
        return None
    parts = Parts(base=path.parent, files=(path,), format=found)
    return RemoteTable(
        address=address, base=path.parent, files=(file,), parts=parts, is_folder=False, suffixes=suffixes
    )


def _format(path: Path) -> Literal["parquet", "text"] | None:
    name = path.name.lower()
    return "parquet" if name.endswith(_PARQUET) else "text" if name.endswith(_TEXT) else None


def _name(path: Path) -> str:
    """Return the name of a file, shortened to one that every disk takes."""
    name = path.name
    while len(name.encode(errors="surrogateescape")) > _MOST_NAME_BYTES:
        name = name[1:]
    return name


def _changed(address: str) -> SourceChanged:
    return SourceChanged(Message("sources.changed-elsewhere", address=shown(address)))
