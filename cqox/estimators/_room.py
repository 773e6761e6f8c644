"""Arrays of a whole sample, which go to a file where an analysis is larger than memory should hold.

A file-backed array is written through the page cache: the kernel keeps in memory what there is room for and takes it
back when it needs it, so that only the vectors in use count against the memory of the process. The file has no name
from the start, and is gone with the array or the process.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData

__all__ = ["in_files", "room"]

_SMALLEST = 2**24
"""Bytes below which a file is not worth its pages."""

_folder: ContextVar[Path | None] = ContextVar("cqox_room_folder", default=None)


@contextmanager
def in_files(folder: Path | None) -> Iterator[None]:
    """Within it, large arrays of `room` are backed by files in the folder; by memory where it is None."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def room(*shape: int) -> NDArray[np.float64]:
    """An uninitialised array for values of a whole sample.

    Raises:
        UnusableData: there is no space left for its file.
    """
    size = int(np.prod(shape)) * 8
    folder = _folder.get()
    if folder is None or size < _SMALLEST:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=folder, prefix="cqox-room-") as file:
        try:
            # Space that is not there must be missed here: a page that cannot be written later ends the process.
            os.posix_fallocate(file.fileno(), 0, size)
            pages = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise UnusableData(
                f"The analysis needs {size / 2**20:.0f} MiB more on the disk of the data directory, which has no space "
                f"left for it ({error.strerror})."
            ) from error
    return np.frombuffer(pages, dtype=np.float64).reshape(shape)
