"""Bytes on disk that can be read more than once, and nameless files to put them in.

A scratch file has no name from the moment it is opened, so a process that is killed leaves nothing behind.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cqox.nameless_files import open_nameless

__all__ = ["BLOCK_BYTES", "Scratch", "Source"]

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that readers open by its path.

    Attributes:
        path: where to open it; readable as long as the scratch that made it is open.
        size: in bytes.
    """

    path: str
    size: int

    def head(self, size: int = BLOCK_BYTES) -> bytes:
        """The first bytes, at most `size`."""
        with open(self.path, "rb") as file:
            file.seek(0)
            return file.read(size)

    def blocks(self, *, skip: int = 0, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """All bytes from position `skip` on, a block at a time."""
        with open(self.path, "rb") as file:
            file.seek(skip)
            while block := file.read(block_bytes):
                yield block


class Scratch:
    """Owner of nameless temporary files; leaving the block frees them.

    Args:
        folder: the folder whose disk is used; the system's one for temporary files if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def open(self) -> IO[bytes]:
        """A new empty file, for writing."""
        return self._files.enter_context(open_nameless(self._folder, buffering=BLOCK_BYTES))

    def source(self, file: IO[bytes]) -> Source:
        """Return the content of a temporary file, for reading."""
        file.flush()
        size = file.tell()
        # Opening this path on macOS shares the position with `file`, so every reader has to find it at the start.
        file.seek(0)
        return Source(path=f"/dev/fd/{file.fileno()}", size=size)
