"""Faults of a simulated disk: which operations it refuses, with which error, and how many of them."""

import errno
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cqox.chaos.simulation.disk.operations import CHANGES, READS

__all__ = ["DiskFault"]

_TAKES_ROOM = frozenset({"create", "exchange", "link", "make_folder", "rename", "symlink", "sync", "write"})
_KINDS = {
    errno.ENOSPC: _TAKES_ROOM,
    errno.EDQUOT: _TAKES_ROOM,
    errno.EROFS: CHANGES - {"sync"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFault:
    """A fault that lasts until it is healed.

    Attributes:
        error: number of the error, such as `errno.ENOSPC`.
        operations: the kinds of operations; those that meet this error on a real disk if None. Removals succeed on a
            full disk, and a read-only one reads.
        share: probability with which it refuses one, 0 to 1.
        path: pattern of relative paths, as in `fnmatch`.
    """

    error: int
    operations: frozenset[str] | None = None
    share: float = 1.0
    path: str = "*"

    def concerns(self, kind: str, path: str) -> bool:
        """Return whether it may refuse an operation of this kind.

        Args:
            kind: see `operations.Operation`.
            path: path relative to the disk.
        """
        kinds = _KINDS.get(self.error, CHANGES | READS) if self.operations is None else self.operations
        return kind in kinds and fnmatchcase(path, self.path)
