"""Temporary files without a name, which end with their process.

Those of `tempfile` take a name of its own generator where the system gives none: in a simulation every name must come
from the seed.
"""

import os
from pathlib import Path
from typing import BinaryIO

from cqox import randomness

__all__ = ["open_nameless"]

_FLAGS = os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def open_nameless(folder: Path, *, buffering: int = -1) -> BinaryIO:
    """Open a new empty file in a folder, for writing and reading in binary; its space is free once it is closed.

    Args:
        folder: the folder.
        buffering: size of the buffer, as of `open`.

    Raises:
        OSError: the folder takes no file.
    """
    handle = _without_name(folder)
    if handle is None:
        path = folder / f"tmp{randomness.token_hex(8)}"
        handle = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.unlink(path)
        except BaseException:
            os.close(handle)
            raise
    return os.fdopen(handle, "w+b", buffering=buffering)


def _without_name(folder: Path) -> int | None:
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        return os.open(folder, os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE, 0o600)
    except OSError:
        # Not every file system has them; whatever else is wrong meets the named file as well.
        return None
