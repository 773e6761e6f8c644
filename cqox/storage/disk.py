"""Disk errors and free space, translated into errors that an operator can act on."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cqox.contract.messages import Message
from cqox.errors import StorageFull, StoreUnavailable
from cqox.nameless_files import open_nameless
from cqox.storage.private import private_folder

__all__ = [
    "LEAST_FREE_BYTES",
    "check_disk",
    "check_room",
    "exclusive_lock",
    "is_disk_fault",
    "is_full",
    "unavailable",
    "usable_directory",
]

LEAST_FREE_BYTES = 64 * 2**20
"""The disk of a data directory counts as full below this much free space, or below a twentieth of a small disk."""

_LEAST_FREE_SHARE = 20

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


def is_full(error: OSError) -> bool:
    """Return whether the error is that the disk is full."""
    return error.errno in _FULL


def is_disk_fault(error: OSError) -> bool:
    """Return whether the disk is at fault (full, read-only or failing) rather than the request."""
    return error.errno in _FULL | _CLOSED or error.errno == errno.EIO


def unavailable(error: OSError) -> StoreUnavailable:
    """Translate a failed file operation in the data directory into an error without paths."""
    said = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _FULL:
        return StorageFull(Message("storage.disk-full", reason=said))
    if error.errno in _CLOSED:
        return StoreUnavailable(Message("storage.directory-not-writable", reason=said))
    if error.errno in _GONE:
        return StoreUnavailable(Message("storage.directory-missing", reason=said))
    return StoreUnavailable(Message("storage.directory-unusable", reason=said))


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a folder across all engines on the volume."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_disk(folder: Path, reserve_bytes: int | None = None, *, ballast_bytes: int = 0) -> None:
    """Check that files can be written into this folder and that space is left.

    Args:
        folder: the folder.
        reserve_bytes: see `check_room`.
        ballast_bytes: see `check_room`.

    Raises:
        OSError: the folder is not writable.
        StorageFull: free space is below the reserve.
    """
    with open_nameless(folder) as probe:
        probe.write(b"?")
    check_room(folder, reserve_bytes, ballast_bytes=ballast_bytes)


def check_room(
    folder: Path, reserve_bytes: int | None = None, *, wanted_bytes: int = 0, ballast_bytes: int = 0
) -> None:
    """Check that the disk of this folder keeps its reserve after a write.

    Args:
        folder: the folder.
        reserve_bytes: space that stays free for deletions and for running work; `LEAST_FREE_BYTES` if None, but at
            most a twentieth of the disk, so that a small one can be used.
        wanted_bytes: size of the planned write.
        ballast_bytes: missing part of the ballast, which the reserve does not include.

    Raises:
        OSError: the folder is missing.
        StorageFull: the reserve would be used.
    """
    reserve = LEAST_FREE_BYTES if reserve_bytes is None else reserve_bytes
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    if reserve <= LEAST_FREE_BYTES:
        reserve = min(reserve, about.f_blocks * about.f_frsize // _LEAST_FREE_SHARE)
    ballast = ballast_bytes if reserve else 0
    if free - wanted_bytes < reserve + ballast:
        raise StorageFull(_shortage(free=free, wanted=wanted_bytes, reserve=reserve, ballast=ballast))


def _shortage(*, free: int, wanted: int, reserve: int, ballast: int) -> Message:
    shares = [Message("storage.bytes-free", size=_size(free)) if free else Message("storage.nothing-free")]
    if wanted:
        shares.append(Message("storage.bytes-to-write", size=_size(wanted)))
    if reserve:
        shares.append(Message("storage.bytes-reserved", size=_size(reserve)))
    if ballast:
        shares.append(Message("storage.bytes-for-deletions", size=_size(ballast)))
    if wanted:
        return Message("storage.disk-has-no-space-for-that", shares=shares)
    return Message("storage.disk-nearly-full", shares=shares) if free else Message("storage.disk-at-end", shares=shares)


def _size(size_bytes: int) -> str:
    """Format a size in the unit that gives one to three digits before the decimal point."""
    size, unit = float(size_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1000:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}".replace(".0 ", " ")


def usable_directory(folder: Path, *, setting: str) -> None:
    """Check that the folder exists or can be created, and that a process can serve from it.

    A full disk does not prevent a start: its data can be read and deleted. Neither does a read-only folder that
    contains data sets.

    Args:
        folder: the folder.
        setting: name of the setting that chooses another folder.

    Raises:
        ValueError: it cannot be used; the message is one line.
    """
    try:
        private_folder(folder, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if not os.access(folder, os.W_OK) and not (folder / "datasets").is_dir():
            raise OSError(errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES, "")
    except OSError as error:
        if error.errno in _FULL:
            return
        said = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ValueError(
            f"the data directory {folder} cannot be used ({said}); choose a writable one with {setting}"
        ) from error
