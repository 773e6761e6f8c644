"""A reserve file on the disk of a data directory, so that deletions are possible on a full disk.

Deletions need space too: a database logs what it removes, and opens files to do so. When the disk is full the ballast
is removed; it is restored once there is space again. Engines on one volume share one ballast file.
"""

import os
from contextlib import suppress
from logging import getLogger
from pathlib import Path

__all__ = ["BALLAST_BYTES", "Ballast"]

BALLAST_BYTES = 2**20
_ROOM_FOR_IT_BYTES = 4 * BALLAST_BYTES
_logger = getLogger("cqox.storage")


class Ballast:
    """The ballast of one data directory.

    Args:
        folder: the directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    @property
    def lacking_bytes(self) -> int:
        """Space that must be free in addition to any reserve before the ballast can be restored, in bytes."""
        return 0 if self._path.exists() else BALLAST_BYTES

    def drop(self) -> bool:
        """Remove the ballast file; return whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _logger.warning("The disk of the data directory is full: the space reserved for deletions is used now.")
        return True

    def restore(self) -> None:
        """Create the ballast file unless it exists or free space is short.

        Raises:
            OSError: the disk rejects writes.
        """
        if self._path.exists():
            return
        about = os.statvfs(self._path.parent)
        if about.f_bavail * about.f_frsize < _ROOM_FOR_IT_BYTES:
            return
        # One name for all engines: two that write it at once leave a file that serves as well, and one that is killed
        # leaves nothing that stays.
        scratch = self._path.with_name(f".{self._path.name}.part")
        try:
            # Random bytes: a file system that compresses or deduplicates would reserve no space for zeros.
            scratch.write_bytes(os.urandom(BALLAST_BYTES))
            with suppress(FileNotFoundError):
                scratch.replace(self._path)
        except OSError:
            with suppress(OSError):
                scratch.unlink()
            raise
