"""Space that is kept back on the disk of a data directory, so that a full one can be cleared.

To delete takes room too: a database writes down what it removes, and opens files to do so. Where the disk is full the
ballast goes, and comes back once there is room again. Of engines on one volume it is one file.
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
        """What has to be free beside any reserve, so that the ballast can be taken."""
        return 0 if self._path.exists() else BALLAST_BYTES

    def drop(self) -> bool:
        """Free the space; whether there was any to free."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _logger.warning("The disk of the data directory is full: the space kept back for deletions is used now.")
        return True

    def restore(self) -> None:
        """Take the space where it is not taken and there is plenty.

        Raises:
            OSError: the disk takes no writes.
        """
        if self._path.exists():
            return
        about = os.statvfs(self._path.parent)
        if about.f_bavail * about.f_frsize < _ROOM_FOR_IT_BYTES:
            return
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            # Random, as a file system that compresses or shares blocks would keep no space for zeros.
            scratch.write_bytes(os.urandom(BALLAST_BYTES))
            scratch.replace(self._path)
        except OSError:
            with suppress(OSError):
                scratch.unlink()
            raise
