"""Free space of a volume, for which originals of uploads and copies make way; blocking."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cqox.errors import StorageFull
from cqox.storage.ballast import Ballast
from cqox.storage.disk import check_disk, check_room

__all__ = ["Dispensable", "Room"]


class Dispensable(Protocol):
    """Files that can be had again."""

    def release(self, is_lacking: Callable[[int], bool]) -> None:
        """Remove the least recently used ones until the disk lacks no space.

        Args:
            is_lacking: returns whether a number of bytes must still be freed; nothing is removed where all of them
                together do not suffice.
        """
        ...


class Room:
    """The free space of a data directory.

    Args:
        root: the data directory.
        reserve_bytes: space to keep free on its disk; `LEAST_FREE_BYTES` if None.
        ballast: reserve for deletions on a full disk.
        dispensable: what is removed where the disk needs the space.
    """

    def __init__(self, root: Path, *, reserve_bytes: int | None, ballast: Ballast, dispensable: Dispensable) -> None:
        self._root = root
        self._reserve_bytes = reserve_bytes
        self._ballast = ballast
        self._dispensable = dispensable

    def check(self, wanted_bytes: int = 0) -> None:
        """Check that the disk keeps its reserve after a write of this size.

        Raises:
            OSError: the folder is missing.
            StorageFull: it does not.
        """
        lacking = self._ballast.lacking_bytes
        check_room(self._root, self._reserve_bytes, wanted_bytes=wanted_bytes, ballast_bytes=lacking)

    def check_disk(self, folder: Path) -> None:
        """Check that files can be written into this folder and that the disk has its reserve.

        Raises:
            OSError: the folder is not writable.
            StorageFull: free space is below the reserve.
        """
        check_disk(folder, self._reserve_bytes, ballast_bytes=self._ballast.lacking_bytes)

    def make(self, wanted_bytes: int = 0) -> None:
        """Check as `check` does, after removing what is dispensable if it is in the way.

        Raises:
            OSError: the folder is missing.
            StorageFull: the reserve would be used also without them.
        """
        try:
            self.check(wanted_bytes)
        except StorageFull:
            self._dispensable.release(lambda freed_bytes: self._lacks(wanted_bytes - freed_bytes))
            self.check(wanted_bytes)

    def _lacks(self, wanted_bytes: int) -> bool:
        try:
            self.check(wanted_bytes)
        except StorageFull:
            return True
        return False
