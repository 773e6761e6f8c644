"""The metadata of an Iceberg table in a folder of this machine: which snapshot is the current one, and what it has.

Metadata are what a program outside has written. Paths in them are those of its folder, or are refused: a table that
was moved names its former place, and everything below that is looked for below the folder.
"""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import SourceDown, UnusableData

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata

__all__ = ["IcebergField", "IcebergTable", "has_iceberg_metadata", "iceberg_snapshot", "iceberg_table"]

_FOLDER, _HINT = "metadata", "version-hint.text"
_NAME = re.compile(r"(?:v(\d{1,9})|(\d{1,9})-[^/]*)(?:\.gz\.metadata\.json|\.metadata\.json(?:\.gz)?)")
_MOST_BYTES = 2**24
_VERSIONS = (1, 2)
_SNAPSHOT = re.compile(r"(-?\d+)(?:-schema-(-?\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergField:
    """A column of a table.

    Attributes:
        identity: the number by which files know it, whatever its name.
        name: the name.
        type: such as `long` or `decimal(9, 2)`; `struct`, `list` or `map` of nested columns.
    """

    identity: int
    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IcebergTable:
    """One snapshot of a table, in the columns of one schema.

    Attributes:
        folder: the folder, without links in its path.
        location: where the metadata say that the folder is; an address or a path.
        snapshot: what identifies the rows and their columns: the number of the snapshot, and that of the schema where
            it is not the one that the snapshot was written with.
        manifests: the path of the list of manifests, as the metadata have it.
        fields: the columns in their order.
        identities: for each partition specification the columns whose values are in the names of folders.
    """

    folder: Path
    location: str
    snapshot: str
    manifests: str
    fields: tuple[IcebergField, ...]
    identities: Mapping[int, tuple[int, ...]]

    def file(self, address: str) -> Path:
        """Return the path of a file that the metadata name, which is in the folder.

        Raises:
            UnusableData: it is not in the folder.
            SourceDown: it is not there.
        """
        return _inside(self.folder, self.named(address), shown=address.rpartition("/")[2])

    def named(self, address: str) -> Path:
        """Return where a file is that the metadata name, with the folder in the place of its former ones.

        Raises:
            UnusableData: it is not on this machine.
        """
        plain, location = _plain(address), _plain(self.location).rstrip("/")
        if plain.startswith(f"{location}/"):
            return self.folder / plain[len(location) :].lstrip("/")
        if not plain.startswith("/"):
            raise _outside(address.rpartition("/")[2])
        return Path(plain)


def has_iceberg_metadata(folder: Path) -> bool:
    """Return whether a folder is an Iceberg table. Blocking."""
    try:
        return any(_NAME.fullmatch(each.name) for each in (folder / _FOLDER).iterdir())
    except (OSError, ValueError):
        return False


def iceberg_snapshot(folder: Path) -> str:
    """Return what identifies the rows of the current snapshot. Blocking.

    Raises:
        SourceDown: there is no such table, or its metadata cannot be read.
        UnusableData: it has no rows yet, or what is not read here.
    """
    return iceberg_table(folder).snapshot


def iceberg_table(folder: Path, snapshot: str | None = None) -> IcebergTable:
    """Return a table. Blocking.

    Args:
        folder: of the table, with its `metadata`.
        snapshot: as `IcebergTable.snapshot` has it; the current one if None.

    Raises:
        SourceDown: there is no such table or snapshot, or its metadata cannot be read.
        UnusableData: it has no rows yet, or what is not read here.
    """
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.table.metadata import TableMetadataUtil

    try:
        real = folder.resolve(strict=True)
    except (OSError, ValueError) as error:
        raise _broken(folder.name, type(error).__name__) from error
    file = _current(real)
    content = _read(file, _MOST_BYTES)
    try:
        return _table(real, TableMetadataUtil.parse_raw(content.decode()), snapshot)
    except (ValidationError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(file.name, _reason(error)) from error


def _reason(error: Exception) -> str:
    """Return what is wrong with metadata, without their values."""
    from pydantic import ValidationError

    if not isinstance(error.__cause__, ValidationError):
        return str(error) if type(error) is ValueError else type(error).__name__
    first = error.__cause__.errors(include_url=False, include_input=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))


def _table(folder: Path, metadata: "TableMetadata", wanted: str | None) -> IcebergTable:
    _check_supported(folder, metadata)
    number, columns = _asked(wanted)
    if number is None:
        number = metadata.current_snapshot_id
    if number is None:
        raise UnusableData(Message("sources.iceberg-empty", table=folder.name), field="table")
    snapshot = next((each for each in metadata.snapshots if each.snapshot_id == number), None)
    if snapshot is None:
        raise SourceDown(Message("sources.iceberg-expired", table=folder.name, snapshot=str(number)))
    if columns is None:
        # Without a number, the columns that are asked for are those that the snapshot was written with.
        columns = metadata.current_schema_id if wanted is None else snapshot.schema_id
    own = "" if snapshot.schema_id == columns else f"-schema-{columns}"
    return IcebergTable(
        folder=folder,
        location=metadata.location,
        snapshot=f"{number}{own}",
        manifests=snapshot.manifest_list,
        fields=_fields(metadata, columns),
        identities=_identities(metadata),
    )


def _check_supported(folder: Path, metadata: "TableMetadata") -> None:
    if metadata.format_version not in _VERSIONS:
        raise _unsupported(folder, f"the format version {metadata.format_version}")
    if any(name.startswith("encryption.") for name in metadata.properties):
        raise _unsupported(folder, "encryption")


def _asked(snapshot: str | None) -> tuple[int | None, int | None]:
    found = _SNAPSHOT.fullmatch(snapshot) if snapshot is not None else None
    if found is None:
        return None, None
    return int(found[1]), None if found[2] is None else int(found[2])


def _fields(metadata: "TableMetadata", number: int | None) -> tuple[IcebergField, ...]:
    schema = next((each for each in metadata.schemas if each.schema_id == number), None)
    if schema is None:
        raise ValueError(f"there is no schema {number}")
    found = [
        # Of nested types, what is in them follows.
        IcebergField(identity=each.field_id, name=each.name, type=str(each.field_type).partition("<")[0])
        for each in schema.fields
    ]
    if len({each.identity for each in found}) < len(found) or len({each.name for each in found}) < len(found):
        raise ValueError("two columns have one id or one name")
    return tuple(found)


def _identities(metadata: "TableMetadata") -> Mapping[int, tuple[int, ...]]:
    from pyiceberg.transforms import IdentityTransform

    return {
        specification.spec_id: tuple(
            each.source_id for each in specification.fields if isinstance(each.transform, IdentityTransform)
        )
        for specification in metadata.partition_specs
    }


def _current(folder: Path) -> Path:
    """Return the metadata file that the hint names, or else that of the highest version."""
    try:
        names = sorted(each.name for each in (folder / _FOLDER).iterdir())
    except OSError as error:
        raise _broken(_FOLDER, type(error).__name__) from error
    versions: dict[int, list[str]] = {}
    for name in names:
        if found := _NAME.fullmatch(name):
            versions.setdefault(int(found[1] or found[2]), []).append(name)
    if not versions:
        raise _broken(_FOLDER, "no *.metadata.json")
    if _HINT in names:
        named = _hinted(folder, names)
    else:
        named = versions[max(versions)]
        if len(named) > 1:
            # One of them is of a write that was not committed, and nothing in the folder says which.
            raise _broken(named[0], f"'{named[1]}' has the same version")
    return _inside(folder, folder / _FOLDER / named[0], shown=named[0])


def _hinted(folder: Path, names: list[str]) -> list[str]:
    hint = _read(_inside(folder, folder / _FOLDER / _HINT, shown=_HINT), 1000).decode(errors="replace").strip()
    stem = f"v{hint}" if hint.isdecimal() else re.sub(r"\.metadata\.json(\.gz)?$", "", hint)
    wanted = [f"{stem}.metadata.json", f"{stem}.gz.metadata.json", f"{stem}.metadata.json.gz"]
    found = [name for name in wanted if name in names and _NAME.fullmatch(name)]
    if not found:
        raise _broken(_HINT, f"there is no version '{shortened(hint)}'")
    return found


def _inside(folder: Path, path: Path, *, shown: str) -> Path:
    """Return the path of a regular file without links, if it is in the folder.

    Raises:
        UnusableData: it is not in the folder.
        SourceDown: it is not there, or is no file.
    """
    name = shortened(shown)
    try:
        # Before anything else looks at it: `..` and links may lead anywhere.
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(folder):
            raise _outside(name)
        if not stat.S_ISREG(real.stat().st_mode):
            raise _broken(name, "no regular file")
    except FileNotFoundError:
        raise SourceDown(Message("sources.iceberg-gone", table=folder.name, file=name)) from None
    except (OSError, ValueError) as error:
        raise _broken(name, type(error).__name__) from error
    return real


def _read(file: Path, most: int) -> bytes:
    try:
        with gzip.open(file) if ".gz" in file.suffixes else file.open("rb") as opened:
            content = opened.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(file.name, type(error).__name__) from error
    if len(content) > most:
        raise _broken(file.name, f"> {most} bytes")
    return content


def _plain(address: str) -> str:
    """Return an address as a path if it is one of this machine: `file:/a`, `file:///a` and `/a` are one."""
    if address.lower().startswith("file:"):
        return "/" + address[len("file:") :].lstrip("/")
    return address


def _broken(file: str, reason: str) -> SourceDown:
    return SourceDown(Message("sources.iceberg-broken", file=shortened(file), reason=reason[:200]))


def _outside(file: str) -> UnusableData:
    return UnusableData(Message("sources.iceberg-outside", file=shortened(file)), field="table")


def _unsupported(folder: Path, what: str) -> UnusableData:
    return UnusableData(Message("sources.iceberg-unsupported", table=folder.name, what=what), field="table")
