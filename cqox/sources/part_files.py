"""Files that are the parts of one table: those of a folder, or those that a pattern names.

What other programs leave between them is no part: hidden files, `_SUCCESS`, `_temporary`. The names of folders such as
`year=2024` are one more column of the rows below them. Whatever else may have rows is read or refused: links without a
target, links to folders, pipes, and folders that cannot be listed.
"""

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from cqox.contract import shortened
from cqox.contract.messages import Message
from cqox.errors import UnreadableFile
from cqox.sources.iceberg import has_iceberg_metadata
from cqox.sources.patterns import matches, not_listed

__all__ = ["Parts", "below", "check_distinct", "partitions", "parts_named", "parts_of", "table_format"]

_PARQUET = (".parquet", ".pq")
_COLUMNAR = (*_PARQUET, ".arrow", ".feather", ".ipc")
_TEXT = (".csv", ".tsv", ".txt")
_COMPRESSED = ".gz"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}
"""Folders of table formats whose logs say which files count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one table.

    Attributes:
        base: the folder in which all of them are.
        files: absolute, in the order of their paths; at least one.
        format: `columnar` where not all of these are Parquet files.
    """

    base: Path
    files: tuple[Path, ...]
    format: Literal["parquet", "columnar", "text"]

    @property
    def compressed(self) -> Path | None:
        """The first text that is compressed; None without one."""
        return next((file for file in self.files if file.suffix.lower() == _COMPRESSED), None)

    @property
    def is_joinable(self) -> bool:
        """True if the parts can be joined to one file."""
        return self.format != "text" or not (self.compressed or self.partitions)

    def check_joinable(self) -> None:
        """Check that the parts can be joined to one file.

        Raises:
            UnreadableFile: text that is compressed or that has partitions cannot.
        """
        if not self.is_joinable:
            file = self.compressed or self.files[0]
            raise UnreadableFile(Message("sources.only-in-place", file=file.name), field="data")

    @property
    def partitions(self) -> Mapping[str, tuple[str | None, ...]]:
        """Name to value for each file of the columns that are in the names of folders."""
        return partitions(self.base, self.files)


def parts_of(path: Path) -> Parts | None:
    """Return the parts that a folder has or a pattern such as `data/part-*.parquet` names; None for one file.

    `**` in a pattern stands for any folders; a folder that it names gives its files. A file whose name reads like a
    pattern is that file. Blocking.

    Raises:
        UnreadableFile: there are no parts, they are of several formats, a table format has a log of them, two of them
            are one file, a folder that a pattern leads into cannot be listed, or there is what `below` refuses.
    """
    path = path.absolute()
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError):
        # A name that is too long, say: the reader of files says what is wrong with it.
        return None
    if is_folder:
        _check_log(path)
        return _distinct(_parts(path, below(path)))
    if is_there or not glob.has_magic(str(path)):
        return None
    plain = next(place for place, part in enumerate(path.parts) if glob.has_magic(part))
    base = Path(*path.parts[:plain])
    named = matches(base, path.parts[plain:], is_hidden=lambda each: _is_hidden(each, base))
    for each in named:
        _check_log(each)
    found = {file for each in named for file in (_below(each, base) if each.is_dir() else [each])}
    files = sorted(file for file in found if _is_part(file, base))
    if not files:
        raise UnreadableFile(Message("sources.no-match", pattern=shortened(str(path))))
    return _distinct(_parts(base, files))


def _distinct(parts: Parts) -> Parts:
    check_distinct(parts.files)
    return parts


def parts_named(base: Path, paths: Sequence[Path], *, suffixes: tuple[str, ...] | None = None) -> Parts | None:
    """Return the parts among files of which the names alone are known, by the rules of folders.

    Args:
        base: the folder in which all of them are.
        paths: the files.
        suffixes: ends of the names of those files that are parts; None for all that may be.

    Returns:
        The parts; None where no file of another kind is there either.

    Raises:
        UnreadableFile: there are no parts, they are of several formats, or a table format has a log of them.
    """
    names = [path.relative_to(base).parts for path in paths]
    log = next((name for parts in names for name in _LOGS if name in parts[:-1]), None)
    is_iceberg = any(parts[:-1] == ("metadata",) and parts[-1].endswith(".metadata.json") for parts in names)
    if log is not None:
        raise _table_format(base, _LOGS[log])
    if is_iceberg:
        raise UnreadableFile(Message("sources.iceberg-elsewhere", folder=base.name), field="data")
    found = sorted(path for path in paths if not _is_hidden(path, base))
    if suffixes is not None:
        found = [path for path in found if path.name.endswith(suffixes)]
    return _parts(base, found) if found else None


def below(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders that are no other program's, in the order of their paths.

    Raises:
        UnreadableFile: a folder cannot be listed, or has a link without a target, a link to a folder, a pipe or a
            device.
    """
    return sorted(_below(folder, folder))


def _below(folder: Path, base: Path) -> Iterator[Path]:
    for place, folders, files in folder.walk(on_error=_not_listed):
        # Here a link to a folder is one of the files.
        folders[:] = [each for each in folders if not _is_hidden(place / each, base)]
        yield from (path for each in files if not _is_hidden(path := place / each, base) and _is_part(path, base))


def _not_listed(error: OSError) -> None:
    raise not_listed(Path(error.filename), error) from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _is_part(path: Path, base: Path) -> bool:
    """Return whether a path is that of a file; False where it was removed meanwhile.

    Raises:
        UnreadableFile: it is a link without a target, a link to a folder, a pipe or a device.
    """
    shown = shortened(str(path.relative_to(base)))
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if not path.is_symlink() and isinstance(error, FileNotFoundError):
            return False
        refused = Message("analysis.unreadable-file", path=shown, reason=_reason(error))
        if path.is_symlink():
            refused = Message("sources.dangling-link", file=shown, folder=base.name, reason=_reason(error))
        raise UnreadableFile(refused, field="data") from error
    if stat.S_ISDIR(mode):
        raise UnreadableFile(Message("sources.folder-link", file=shown, folder=base.name), field="data")
    if not stat.S_ISREG(mode):
        raise UnreadableFile(Message("sources.no-regular-file", path=shown), field="data")
    return True


def check_distinct(files: Sequence[Path]) -> None:
    """Check that no two paths lead to one file, whose rows would count twice. Blocking.

    Raises:
        UnreadableFile: two do, by a link.
    """
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(os.path.realpath(file), file)
        if other is not file:
            raise UnreadableFile(
                Message("sources.one-file", one=shortened(str(other)), other=shortened(str(file))), field="data"
            )


def partitions(base: Path, files: Sequence[Path]) -> Mapping[str, tuple[str | None, ...]]:
    """Return name to value for each file of the columns that are in the names of folders, None where there is none."""
    found = [dict(_named(file.relative_to(base).parts[:-1])) for file in files]
    names = dict.fromkeys(name for each in found for name in each)
    return {name: tuple(each.get(name) for each in found) for name in names}


def _named(folders: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    for folder in folders:
        name, found, value = folder.partition("=")
        if found and name:
            yield unquote(name), None if value in ("", _NO_VALUE) else unquote(value)


def _is_hidden(path: Path, base: Path) -> bool:
    # As Spark and Arrow have it: `_month=1` is a partition.
    parts = path.relative_to(base).parts
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts)


def _parts(base: Path, found: Sequence[Path]) -> Parts:
    columnar = [path for path in found if path.suffix.lower() in _COLUMNAR]
    text = [path for path in found if _plain_suffix(path) in _TEXT]
    if not columnar and not text:
        raise UnreadableFile(Message("datasets.folder-without-tables", formats=[*_COLUMNAR, *_TEXT]))
    if columnar and text:
        raise UnreadableFile(Message("datasets.folder-of-formats", one=columnar[0].name, other=text[0].name))
    is_parquet = all(path.suffix.lower() in _PARQUET for path in columnar)
    return Parts(
        base=base, files=tuple(columnar or text), format="text" if text else "parquet" if is_parquet else "columnar"
    )


def _plain_suffix(path: Path) -> str:
    """Return the suffix of a file, of a compressed one that before `.gz`."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() == _COMPRESSED else path.suffix.lower()


def table_format(folder: Path) -> str | None:
    """Return the name of the table format whose log says which files of a folder count; None without one."""
    named = next((name for log, name in _LOGS.items() if (folder / log).is_dir()), None)
    return "Iceberg" if named is None and has_iceberg_metadata(folder) else named


def _check_log(folder: Path) -> None:
    named = table_format(folder)
    if named == "Iceberg":
        raise UnreadableFile(Message("sources.iceberg-only-in-place", folder=folder.name), field="data")
    if named is not None:
        raise _table_format(folder, named)


def _table_format(folder: Path, name: str) -> UnreadableFile:
    return UnreadableFile(Message("sources.table-format", folder=folder.name, format=name))
