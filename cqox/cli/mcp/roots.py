"""The folders whose files a client may name."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from cqox.contract import near_words
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, NotFound

__all__ = ["SUFFIXES", "Roots"]

SUFFIXES = frozenset(
    {
        ".arrow", ".csv", ".feather", ".gz", ".ipc", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".tsv", ".txt",
        ".xls", ".xlsb", ".xlsm", ".xlsx", ".zip", ".zst",
    }
)  # fmt: skip
"""Suffixes of files that may hold a table; any other file can be named all the same."""

_MOST_LISTED = 200
_MOST_VISITED = 20_000
_DEEPEST = 6


class Roots:
    """The allowed folders. No path leads out of them, also not by a symbolic link.

    Args:
        folders: existing folders.

    Raises:
        InvalidRequest: one of them is no folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise InvalidRequest(Message("terminal.no-such-folder", folder=str(folder)))
        self._folders = [folder.resolve() for folder in folders]

    @property
    def folders(self) -> Sequence[Path]:
        """The folders without symbolic links."""
        return self._folders

    def file(self, path: str) -> Path:
        """Return the file that a client names, without symbolic links.

        Args:
            path: relative to the folders, the first of them that has it, or absolute.

        Raises:
            InvalidRequest: it lies outside of the folders, or is no regular file.
            NotFound: there is none; `choices` are files of a similar name.
        """
        found = self._within(path)
        if not found.exists():
            listed = [each for each, _ in self._files(self._folders)]
            raise NotFound(Message("mcp.no-such-file", path=path), field="path", choices=near_words(path, listed))
        if not found.is_file():
            raise InvalidRequest(Message("mcp.no-file", path=path), field="path")
        return found

    def listing(self, folder: str) -> dict[str, JsonValue]:
        """Return the files of a folder and its subfolders that may hold a table.

        Args:
            folder: relative or absolute; all folders if empty.

        Raises:
            InvalidRequest: it lies outside of the folders, or is no folder.
        """
        within = [self._within(folder, field="folder")] if folder else self._folders
        for each in within:
            if not each.is_dir():
                raise InvalidRequest(Message("terminal.no-such-folder", folder=folder), field="folder")
        listed = list[JsonValue]()
        for name, path in self._files(within):
            if len(listed) == _MOST_LISTED:
                return {"files": listed, "more": True}
            about = path.stat()
            modified = datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="seconds")
            listed.append({"path": name, "size_bytes": about.st_size, "modified": modified})
        return {"files": listed, "more": False}

    def _within(self, path: str, *, field: str = "path") -> Path:
        try:
            candidates = [(folder / path).resolve() for folder in self._folders]
        except (OSError, RuntimeError, ValueError):
            candidates = []
        inside = [each for each in candidates if any(each.is_relative_to(folder) for folder in self._folders)]
        if not inside:
            raise InvalidRequest(
                Message("mcp.outside", path=path, folders=[str(folder) for folder in self._folders]), field=field
            )
        return next((each for each in inside if each.exists()), inside[0])

    def _files(self, folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
        """Yield name and path of each table, the name as `file` takes it; hidden files and links are left out."""
        visited = 0
        for folder in folders:
            base = len(folder.parts)
            for place, names, files in os.walk(folder):
                names[:] = sorted(name for name in names if not name.startswith("."))
                if len(Path(place).parts) - base >= _DEEPEST:
                    names.clear()
                for file in sorted(files):
                    visited += 1
                    if visited > _MOST_VISITED:
                        return
                    path = Path(place) / file
                    if not file.startswith(".") and path.suffix.lower() in SUFFIXES and not path.is_symlink():
                        yield self._name(path), path

    def _name(self, path: Path) -> str:
        single = self._folders[0] if len(self._folders) == 1 else None
        return str(path.relative_to(single)) if single is not None else str(path)
