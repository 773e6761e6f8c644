"""Tables that stay where they are: a database or a folder that the operator names, read by sums."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cqox.contract.messages import Message
from cqox.errors import SourceDown, UnreadableFile
from cqox.sources.iceberg import iceberg_snapshot
from cqox.sources.part_files import below, check_distinct, partitions, table_format

__all__ = [
    "Place",
    "files_changed",
    "files_of",
    "folder_of",
    "partitions_of",
    "remote_address",
    "snapshot_of",
    "suffixes_of",
]

_SUFFIXES: Mapping[str, tuple[str, ...]] = {"parquet": (".parquet",), "csv": (".csv", ".csv.gz"), "iceberg": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source whose tables are summed where they are.

    Attributes:
        name: its name in requests.
        kind: a PostgreSQL server, or a folder of Parquet or CSV files or of Iceberg tables.
        address: of the server, or of a folder that is not on the engine's disk; it may hold a password.
        folder: the folder; each table is a file or a folder in it, of Iceberg a folder.
        tables: the tables that requests may name.
        key: a column that identifies each row, from which folds and the sample are made; None without one.
        as_of: the snapshot that the operator states; None where the tables may change at any time.
        tenants: tenants that may read it; None for all.
        most_concurrent: number of requests that read it at once.
        meaning: one sentence for people.
        types: kinds of columns of CSV files, by name: `whole`, `real`, `word`, `day` or `moment`.
        files: the files of the one table, where a caller of the library has named them; each is in the folder.
        own: whether a caller of the library has named the files or the address.
    """

    name: str
    kind: Literal["postgres", "parquet", "csv", "iceberg"]
    address: str = field(default="", repr=False)
    folder: Path = Path()
    tables: tuple[str, ...]
    key: str | None = None
    as_of: str | None = None
    tenants: frozenset[str] | None = None
    most_concurrent: int = 2
    meaning: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    own: bool = False

    @property
    def is_remote(self) -> bool:
        """True if its files are at a URL or in an object store."""
        return self.kind != "postgres" and bool(self.address)


def files_of(place: Place, table: str) -> list[Path]:
    """Return the files of a table of a folder, in the order of their names.

    Raises:
        SourceDown: there are none, a table format has a log of those that count, two of them are one file, or there
            is a link without a target, a link to a folder, or a folder that cannot be listed.
    """
    if place.files:
        return list(place.files)
    path = _path_of(place, table)
    if (named := table_format(path)) is not None:
        raise SourceDown(Message("sources.place-format", source=place.name, table=table, format=named))
    try:
        if path.is_file():
            return [path]
        found = [each for each in below(path) if each.name.endswith(_SUFFIXES[place.kind])] if path.is_dir() else []
        check_distinct(found)
    except UnreadableFile as error:
        raise SourceDown(Message("sources.place-files", source=place.name, table=table, reason=error.detail)) from error
    except (OSError, ValueError):
        found = []
    if not found:
        raise SourceDown(Message("sources.no-files", source=place.name, table=table))
    return found


def folder_of(place: Place, table: str) -> Path:
    """Return the folder of an Iceberg table. Blocking.

    Raises:
        SourceDown: it is not in the folder of the source.
    """
    if place.own:
        return place.folder
    path = _path_of(place, table)
    try:
        is_inside = path.resolve(strict=True).is_relative_to(place.folder.resolve(strict=True))
    except (OSError, ValueError):
        is_inside = False
    if not is_inside:
        raise SourceDown(Message("sources.no-files", source=place.name, table=table))
    return path


def partitions_of(place: Place, table: str, files: Sequence[Path]) -> Mapping[str, tuple[str | None, ...]]:
    """Return name to value for each file of the columns of a table that are in the names of its folders.

    Args:
        place: a folder.
        table: one of its tables.
        files: its files.
    """
    if place.files:
        return partitions(place.folder, files)
    path = _path_of(place, table)
    return {} if path in files else partitions(path, files)


def remote_address(place: Place, table: str) -> str:
    """Return the address of a table whose files are not on the engine's disk."""
    # Without tables, the address is that of one, which has the name of the source.
    if place.own or place.tables == (place.name,):
        return place.address
    return f"{place.address.rstrip('/')}/{table}"


def suffixes_of(place: Place) -> tuple[str, ...] | None:
    """Return how the names of the files of an operator's tables end; None for a caller's own, of any format."""
    return None if place.own else _SUFFIXES[place.kind]


def _path_of(place: Place, table: str) -> Path:
    # Without tables, the folder is one, which has the name of the source.
    return place.folder if table == place.name and not (place.folder / table).exists() else place.folder / table


def snapshot_of(place: Place, table: str) -> str | None:
    """Return what identifies the rows of a table; None where nothing does, so that no result may be used again.

    A stated `as_of` does, and so do the names, sizes and times of files, and the number of an Iceberg snapshot.
    Blocking.

    Raises:
        SourceDown: a folder or the metadata of a table cannot be read.
        UnusableData: an Iceberg table has no rows yet, or what is not read here.
    """
    if place.as_of is not None:
        return place.as_of
    if place.kind == "postgres":
        return None
    if place.kind == "iceberg":
        return iceberg_snapshot(folder_of(place, table))
    return _digest(files_of(place, table), place, table)


def files_changed(place: Place, table: str) -> SourceDown:
    """Return the error of files of a table that were changed while they were read."""
    if place.own:
        return SourceDown(Message("sources.own-changed", table=table))
    return SourceDown(Message("sources.changed", source=place.name, table=table), retry_after=1.0)


def _digest(files: Sequence[Path], place: Place, table: str) -> str:
    try:
        facts = [[str(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            # It was there when the files were listed.
            raise files_changed(place, table) from error
        raise SourceDown(Message("sources.down", source=place.name, reason=type(error).__name__)) from error
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
