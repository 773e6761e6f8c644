"""Arrays of a whole sample, backed by memory or, for analyses larger than memory, by unlinked temporary files.

A file-backed array is written through the page cache, which the kernel reclaims under memory pressure. Row passes drop
the pages that they have read, so that resident memory holds the vectors in use and a few blocks. The file never has a
name in the directory and disappears with the array or the process.
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

from cqox.contract.messages import Message
from cqox.errors import UnusableData

__all__ = ["drop_pages", "empty", "in_files", "spill"]

_SMALLEST = 2**21
"""Bytes below which an array stays in memory."""

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_folder: ContextVar[Path | None] = ContextVar("cqox_array_folder", default=None)


@contextmanager
def in_files(folder: Path | None) -> Iterator[None]:
    """Back large arrays of `empty` by files in the folder inside the context; by memory where it is None."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def empty(*shape: int) -> NDArray[np.float64]:
    """Return an uninitialised array for values of a whole sample.

    Raises:
        UnusableData: the disk has no space for its file.
    """
    size = int(np.prod(shape)) * 8
    folder = _folder.get()
    if folder is None or size < _SMALLEST:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=folder, prefix="cqox-array-") as file:
        try:
            # Reserve the space here: a page fault without disk space would kill the process with SIGBUS.
            os.posix_fallocate(file.fileno(), 0, size)
            pages = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise UnusableData(Message("numerics.disk-full", mebibytes=size / 2**20, reason=error.strerror)) from error
    _mapped.add(pages)
    return np.frombuffer(pages, dtype=np.float64).reshape(shape)


def spill[Scalar: np.generic](values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return the values if they are in memory, else a copy in a file: for vectors that outlive the current
    computation."""
    if _folder.get() is None or values.nbytes < _SMALLEST:
        return values
    kept = empty(-(-values.nbytes // 8)).view(values.dtype)[: values.size].reshape(values.shape)
    kept[...] = values
    drop_pages()
    return kept


def drop_pages() -> None:
    """Drop the resident pages of every file-backed array; later reads and writes come from the page cache."""
    for pages in list(_mapped):
        pages.madvise(mmap.MADV_DONTNEED)
