"""What the operating system says of a disk, in words for whoever has to make room on it or to mount it again."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage.private import private_folder

__all__ = [
    "LEAST_FREE_BYTES",
    "alone",
    "check_disk",
    "check_room",
    "is_disk_fault",
    "is_full",
    "unavailable",
    "usable_directory",
]

LEAST_FREE_BYTES = 64 * 2**20
"""Below this much space, or a twentieth of a small disk, the disk of a data directory is as good as full."""

_LEAST_FREE_SHARE = 20
_MAKE_ROOM = "Delete data sets or analyses, or make room on that disk."

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


def is_full(error: OSError) -> bool:
    """Whether there was no room on the disk."""
    return error.errno in _FULL


def is_disk_fault(error: OSError) -> bool:
    """Whether the disk is at fault, full or not to be written to, and not what was asked of it."""
    return error.errno in _FULL | _CLOSED or error.errno == errno.EIO


def unavailable(error: OSError) -> StoreUnavailable:
    """The failure of a file operation in the data directory, as a caller can act on it; no path is named."""
    said = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _FULL:
        return StorageFull(f"The disk of the data directory is full ({said}): nothing was kept. {_MAKE_ROOM}")
    if error.errno in _CLOSED:
        return StoreUnavailable(f"The data directory cannot be written to ({said}): nothing was kept.")
    if error.errno in _GONE:
        return StoreUnavailable(
            f"The data directory is gone, or is another one ({said}); its engine has to be started anew once it is "
            "back."
        )
    return StoreUnavailable(f"The data directory cannot be used ({said}).")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other engine on the volume is within it for the same folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_disk(folder: Path, reserve_bytes: int | None = None, *, ballast_bytes: int = 0) -> None:
    """Nothing, if files can be written into this folder and there is room for some.

    Args:
        folder: the folder.
        reserve_bytes: see `check_room`.
        ballast_bytes: the same.

    Raises:
        OSError: they cannot.
        StorageFull: there is hardly any room.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"?")
    check_room(folder, reserve_bytes, ballast_bytes=ballast_bytes)


def check_room(
    folder: Path, reserve_bytes: int | None = None, *, wanted_bytes: int = 0, ballast_bytes: int = 0
) -> None:
    """Nothing, if the disk of this folder would keep its reserve.

    Args:
        folder: the folder.
        reserve_bytes: what is left free for deletions and for the end of what has begun; `LEAST_FREE_BYTES` if absent.
            Up to that it is a twentieth of the disk at most, so that a small one can be used.
        wanted_bytes: what is about to be written.
        ballast_bytes: what the ballast lacks, which is not in the reserve.

    Raises:
        OSError: the folder is gone.
        StorageFull: it would not.
    """
    reserve = LEAST_FREE_BYTES if reserve_bytes is None else reserve_bytes
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    if reserve <= LEAST_FREE_BYTES:
        reserve = min(reserve, about.f_blocks * about.f_frsize // _LEAST_FREE_SHARE)
    ballast = ballast_bytes if reserve else 0
    if free - wanted_bytes < reserve + ballast:
        raise StorageFull(_without_room(free=free, wanted=wanted_bytes, reserve=reserve, ballast=ballast))


def _without_room(*, free: int, wanted: int, reserve: int, ballast: int) -> str:
    state = "has no room for that" if wanted else "is nearly full" if free else "is full"
    shares = [f"{_size(free)} are free" if free else "nothing is free"]
    if wanted:
        shares.append(f"{_size(wanted)} are to be written")
    if reserve:
        shares.append(f"{_size(reserve)} must stay free (CQOX_DISK_RESERVE_BYTES)")
    if ballast:
        shares.append(f"{_size(ballast)} are to be set aside for deletions")
    *first, last = shares
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"The disk of the data directory {state}: {listed}. {_MAKE_ROOM}"


def _size(size_bytes: int) -> str:
    """Return the size in the unit that shows it with one to three digits before the point."""
    size, unit = float(size_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1000:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}".replace(".0 ", " ")


def usable_directory(folder: Path, *, setting: str) -> None:
    """Nothing, if the folder is there, or could be made, and a process that starts on it has something to do.

    A full disk is no reason not to start: it can be read, and cleared. Nor is a folder that takes no writes where data
    sets are in it.

    Args:
        folder: the folder.
        setting: by which name another one is chosen.

    Raises:
        ValueError: it cannot be used, in one line.
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
            f"the data directory {folder} cannot be used ({said}); choose one that can be written to by {setting}"
        ) from error
