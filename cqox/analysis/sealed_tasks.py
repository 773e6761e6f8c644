"""Sealed files in a worker: opened in memory for a task, and sealed before they reach the disk.

A task reads and writes files by their paths. For sealed ones these are links to nameless files, which hold the plain
text in memory; files of uploads larger than `MEMORY_BYTES` are nameless files in the folder for temporary files, as are
the other files of a worker that no memory holds.
"""

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from cqox.datasets.parquet_store import findings_file, messages_file, sidecar
from cqox.encryption import DataKey
from cqox.encryption.sealed_stream import SealingWriter, opened

__all__ = ["MEMORY_BYTES", "unsealed"]

MEMORY_BYTES = 256 * 2**20
"""The largest file that is held in memory while it is open."""

_TABLE = "table.parquet"
_BLOCK_BYTES = 2**20


@contextmanager
def unsealed(arguments: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield the arguments of a task with paths of plain text; what the task has written is sealed at the end.

    Args:
        arguments: with `sealed` and `seal`, as `cqox.storage.FileKeys` writes them, where files are sealed.

    Raises:
        SealBroken: a file was changed, cut off or moved.
        OSError: there is no room for a file.
    """
    changed = {name: value for name, value in arguments.items() if name not in ("sealed", "seal")}
    reads, writes = arguments.get("sealed"), arguments.get("seal")
    with ExitStack() as stack:
        size_bytes = 0
        if isinstance(reads, dict):
            path = Path(str(arguments["path"]))
            size_bytes = path.stat().st_size
            changed["path"] = str(_opened(path, reads, stack))
        if isinstance(writes, dict):
            folder = Path(str(arguments["folder"]))
            files = _made(stack, size_bytes, folder.parent)
            changed["folder"] = str(files.folder)
            yield changed
            key = DataKey(wrapped=_decoded(writes["wrapped"]), plain=_decoded(writes["key"]))
            for name, file in files.files.items():
                if file.seek(0, os.SEEK_END):
                    _seal(file, folder / name, key, f"{writes['context']}/{name}")
        else:
            yield changed


class _Links:
    """A folder of links to nameless files.

    Args:
        folder: the folder.
        stack: closes the files.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.files: dict[str, IO[bytes]] = {}
        self._stack = stack

    def new(self, name: str, size_bytes: int) -> IO[bytes]:
        """Return an empty nameless file with a link of this name."""
        file = self._stack.enter_context(_nameless(size_bytes))
        (self.folder / name).symlink_to(f"/proc/self/fd/{file.fileno()}")
        self.files[name] = file
        return file


def _opened(path: Path, sealed: Mapping[str, object], stack: ExitStack) -> Path:
    contexts, keys = sealed["contexts"], sealed["keys"]
    assert isinstance(contexts, dict)
    assert isinstance(keys, dict)
    known = {_decoded(wrapped): _decoded(key) for wrapped, key in keys.items()}
    links = _links(stack, path.parent)
    for name, context in contexts.items():
        source = path.with_name(str(name))
        file = links.new(str(name), source.stat().st_size)
        with source.open("rb") as stored:
            for block in opened(stored, known.__getitem__, str(context)):
                file.write(block)
        file.flush()
    for other in path.parent.glob(f"{path.name}*"):
        # What was written before encryption was switched on.
        if other.name not in contexts and other.is_file():
            (links.folder / other.name).symlink_to(other.absolute())
    return links.folder / path.name


def _made(stack: ExitStack, size_bytes: int, near: Path) -> _Links:
    links = _links(stack, near)
    table = Path(_TABLE)
    for path in (table, sidecar(table), messages_file(table), findings_file(table)):
        links.new(path.name, size_bytes)
    return links


def _links(stack: ExitStack, near: Path) -> _Links:
    # In the folders of its volume an engine removes what a killed worker leaves, unless the disk rejects it there.
    place = near if os.access(near, os.W_OK) else None
    return _Links(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".open-", dir=place))), stack)


def _nameless(size_bytes: int) -> IO[bytes]:
    if size_bytes > MEMORY_BYTES or not hasattr(os, "memfd_create"):
        return tempfile.TemporaryFile()
    return os.fdopen(os.memfd_create("cqox"), "w+b")


def _seal(file: IO[bytes], path: Path, key: DataKey, context: str) -> None:
    file.seek(0)
    writer = SealingWriter(path.open("xb"), key, context)
    try:
        while block := file.read(_BLOCK_BYTES):
            writer.write(block)
    except BaseException:
        writer.abandon()
        raise
    writer.close()


def _decoded(text: object) -> bytes:
    return base64.b64decode(str(text), validate=True)
