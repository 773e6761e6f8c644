"""Exchange of two folders in one step, which Linux offers and the standard library does not."""

import ctypes
import errno
import os
from pathlib import Path

from cqox.fault_points import fault_point
from cqox.storage.file_operations import remove, sync

__all__ = ["complete_exchanges", "exchange"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_FORMER = ".former"
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places; who opens one of them finds either of them whole.

    On a file system, or a C library, without that operation the other one is missing for a moment; where the process is
    killed in it, `complete_exchanges` puts the first one there.

    Raises:
        OSError: one does not exist, or the disk rejects it.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        fault_point("disk.exchange", one, other)
        done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
        if done == 0:
            fault_point("disk.exchanged", one, other)
            return
        error = ctypes.get_errno()
        if error not in _NOT_SUPPORTED:
            raise OSError(error, os.strerror(error), str(one))
    spare = other.with_name(f"{other.name}{_FORMER}")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


def complete_exchanges(folder: Path) -> None:
    """Complete the exchanges of folders in this one whose process was killed; none may be under way meanwhile.

    Raises:
        OSError: the disk rejects it.
    """
    for spare in folder.glob(f"*{_FORMER}"):
        place = spare.with_name(spare.name.removesuffix(_FORMER))
        if place.exists():
            remove(spare)
        else:
            spare.rename(place)
            sync(folder)
