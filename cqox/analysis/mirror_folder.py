"""A folder of a mirror: held by those who use it, removed by those who find it unused."""

import os
import shutil
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from threading import Lock

from cqox import randomness

__all__ = ["Hold", "remove_unused"]


class Hold:
    """A shared lock of a folder, which nobody removes meanwhile; the end of the process releases it.

    Attributes:
        folder: the folder; the holder sets it where it renames the folder.
    """

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle: int | None = handle
        self._guard = Lock()

    @classmethod
    def of(cls, folder: Path) -> "Hold | None":
        """Hold a folder; None where there is none, or it is being removed."""
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with suppress(OSError):
            flock(handle, LOCK_SH | LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                return cls(folder, handle)
        os.close(handle)
        return None

    def release(self) -> None:
        """Release the lock; nothing happens the second time."""
        with self._guard:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


def remove_unused(folder: Path) -> bool:
    """Remove a folder that nobody holds; return whether it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        flock(handle, LOCK_EX | LOCK_NB)
        # Under another name first, so that no part of it is ever found for the whole.
        hidden = folder.with_name(f".{randomness.token_hex(8)}")
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    except OSError:
        return not folder.exists()
    finally:
        os.close(handle)
    return True
