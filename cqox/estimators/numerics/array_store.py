"""Arrays of a whole sample, which go to a file where an analysis is larger than memory should hold.

A file-backed array is written through the page cache, which the kernel gives away when it needs memory. Row passes let
go of the pages that they have been over, so that what a process holds is the vectors in use and a few blocks. The file
has no name from the start, and is gone with the array or the process.
"""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cqox.errors import UnusableData

__all__ = ["in_files", "let_go", "room", "settled"]

_SMALLEST = 2**21
"""Bytes below which a file is not worth its pages."""

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
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
    _mapped.add(pages)
    return np.frombuffer(pages, dtype=np.float64).reshape(shape)


def settled[Scalar: np.generic](values: NDArray[Scalar]) -> NDArray[Scalar]:
    """The values themselves in memory, else a copy in a file: for vectors that are kept while others are computed."""
    if _folder.get() is None or values.nbytes < _SMALLEST:
        return values
    kept = room(-(-values.nbytes // 8)).view(values.dtype)[: values.size].reshape(values.shape)
    kept[...] = values
    let_go()
    return kept


def let_go() -> None:
    """Unmap the pages of every file-backed array; what is read or written next comes back from the page cache."""
    for pages in list(_mapped):
        pages.madvise(mmap.MADV_DONTNEED)
