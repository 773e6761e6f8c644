"""Data set files: one folder for each data set, complete or not there at all.

    datasets/<id>/table.parquet, table.parquet.json     what a worker wrote, moved into place in one rename
    uploads/                                            files as clients send them
    incoming/<random>/                                  what is being made of them
    removed/<random>/                                   deleted while an analysis still read it
    figures/<analysis id>/<name>.svg                    drawn at their first GET

The paths are given out by `FileStore`; the bytes are written and read by worker processes.
"""

import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyio import CapacityLimiter, to_thread

from cqox.errors import NotFound

__all__ = ["FileStore"]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class FileStore:
    """The data directory of an engine.

    Args:
        root: the folder, created where there is none.

    Attributes:
        scratch: a folder for files on their way in.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._limiter = CapacityLimiter(8)
        self._readers: Counter[Path] = Counter()
        self._condemned: dict[Path, Path] = {}
        self.scratch = root / "uploads"
        for name in ("datasets", "uploads", "incoming", "removed", "figures"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def incoming(self) -> Path:
        """A new empty folder to write into; `keep` it or `drop` it."""
        folder = self._root / "incoming" / secrets.token_hex(12)
        folder.mkdir()
        return folder

    async def keep(self, folder: Path, dataset_id: str) -> None:
        """Make what is in an incoming folder the data set of this id, unless it is there already.

        The files are on the disk before the rename, so that a data set is complete or absent, also after a crash.
        """
        await to_thread.run_sync(self._keep, folder, self._place(dataset_id), limiter=self._limiter)

    async def drop(self, folder: Path) -> None:
        """Remove an incoming folder and what is in it."""
        await to_thread.run_sync(_remove, folder, limiter=self._limiter)

    def has(self, dataset_id: str) -> bool:
        """Whether the files of this data set are there."""
        return (self._place(dataset_id) / "table.parquet").exists()

    @contextmanager
    def reading(self, dataset_id: str) -> Iterator[Path]:
        """The path of the table, readable until the block is left even if the data set is deleted meanwhile.

        Raises:
            NotFound: the files are gone.
        """
        folder = self._place(dataset_id)
        if not (folder / "table.parquet").exists():
            raise NotFound(f"The files of data set '{dataset_id}' are no longer there; upload it again.")
        self._readers[folder] += 1
        try:
            yield folder / "table.parquet"
        finally:
            self._readers[folder] -= 1
            if not self._readers[folder]:
                del self._readers[folder]
                if folder in self._condemned:
                    _remove(self._retire(folder))
                    del self._condemned[folder]

    async def delete(self, dataset_id: str) -> None:
        """Remove the files of a data set; those that an analysis is reading go when it is done."""
        folder = self._place(dataset_id)
        if self._readers[folder]:
            self._condemned[folder] = folder
        elif folder.exists():
            await to_thread.run_sync(_remove, self._retire(folder), limiter=self._limiter)

    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """Where the drawn figure is kept, whether or not it has been drawn."""
        return self._root / "figures" / _checked(analysis_id) / f"{_checked(name)}.{_checked(suffix)}"

    async def read(self, path: Path) -> bytes | None:
        """The bytes of a file, None where there is none."""

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

        return await to_thread.run_sync(read, limiter=self._limiter)

    async def write(self, path: Path, content: bytes) -> None:
        """Put the bytes in place whole; a reader never sees a part of them."""

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
            scratch.write_bytes(content)
            scratch.replace(path)

        await to_thread.run_sync(write, limiter=self._limiter)

    def _place(self, dataset_id: str) -> Path:
        return self._root / "datasets" / _checked(dataset_id)

    def _keep(self, folder: Path, place: Path) -> None:
        for path in [*folder.iterdir(), folder]:
            _sync(path)
        self._condemned.pop(place, None)
        try:
            folder.rename(place)
        except OSError:
            if not (place / "table.parquet").exists():
                raise
            _remove(folder)
        _sync(place.parent)

    def _retire(self, folder: Path) -> Path:
        grave = self._root / "removed" / secrets.token_hex(12)
        folder.rename(grave)
        return grave


def _checked(part: str) -> str:
    if not _SAFE.fullmatch(part):
        raise NotFound(f"There is nothing under the name '{part[:80]}'.")
    return part


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
