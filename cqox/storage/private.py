"""Owner-only permissions in a data directory: folders of mode 0700 and files of 0600, independent of the umask.

The root of a data directory protects everything below it, so it is tightened first. The rest is walked later, by name
relative to an open folder, and changed through a descriptor, so that no other process can substitute a link. Symbolic
links are not followed. Files of other users and other volumes mounted below, such as that of a secret, stay as they
are.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import getLogger
from pathlib import Path

__all__ = ["private_folder", "private_opener", "tighten", "tighten_one"]

_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o7077
_MOUNTS = Path("/proc/self/mountinfo")
# For lookups in a folder without read permission.
_NAMES_ONLY = os.O_PATH if sys.platform == "linux" else 0
_MOST_DEPTH = 32
_YIELD_EVERY = 64
_logger = getLogger("cqox.storage")


def private_folder(folder: Path, *, parents: bool = False, exist_ok: bool = False) -> None:
    """Create a folder that only this user can enter, like `Path.mkdir`; an existing one keeps its mode."""
    folder.mkdir(_FOLDER, parents=parents, exist_ok=exist_ok)


def private_opener(path: str, flags: int) -> int:
    """Open a file that only this user can read, for `open(…, opener=private_opener)`."""
    return os.open(path, flags | os.O_CLOEXEC, _FILE)


def tighten_one(path: Path) -> None:
    """Remove the access of other users to one folder, file or socket; skip foreign files, links and missing paths."""
    with suppress(OSError), _opened(path.absolute().parent, flags=_NAMES_ONLY) as folder:
        _Walk(frozenset()).fix(path.name, folder, path.name)


def tighten(root: Path) -> None:
    """Remove the access of other users to everything in a data directory; log what could not be changed.

    Visits every file: call it in a thread. Never raises for what it finds.
    """
    root = Path(os.path.realpath(root))
    tighten_one(root)
    walk = _Walk(frozenset(_mounted_below(root)))
    with suppress(OSError), _opened(root) as top:
        walk.walk(top, "")
    for count, first, why in (
        (walk.foreign, walk.first_foreign, "another user owns them and must change them"),
        (walk.failed, walk.first_failed, "the file system does not support other modes"),
    ):
        if count:
            _logger.warning(
                "Modes in the data directory that permit access by other users: %d, such as that of '%s'; %s.",
                count,
                first,
                why,
            )


class _Walk:
    """One walk through a data directory.

    Attributes:
        foreign: number of files and folders of other users; `first_foreign` is the path of the first.
        failed: number of those that could not be changed; `first_failed` likewise.
    """

    def __init__(self, mounted: frozenset[str]) -> None:
        self._mounted = mounted
        self._user = os.geteuid()
        self.foreign = self.failed = 0
        self.first_foreign = self.first_failed = ""

    def walk(self, folder: int, place: str, depth: int = 0) -> None:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        for number, name in enumerate(names):
            if number % _YIELD_EVERY == 0:
                # Release the GIL, so that the event loop is not blocked.
                time.sleep(0)
            path = f"{place}/{name}" if place else name
            if path not in self._mounted:
                with suppress(OSError):  # removed meanwhile, or a folder without permission
                    if self.fix(name, folder, path) and depth < _MOST_DEPTH:
                        with _opened(name, within=folder, flags=os.O_NOFOLLOW) as below:
                            self.walk(below, path, depth + 1)

    def fix(self, name: str, folder: int, path: str) -> bool:
        """Tighten the entry of this name in the folder; return whether it is a folder itself."""
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(about.st_mode):
            return False
        if about.st_uid != self._user:
            self.foreign += 1
            self.first_foreign = self.first_foreign or path
        elif about.st_mode & _OTHERS:
            self._change(name, folder, path)
        return stat.S_ISDIR(about.st_mode)

    def _change(self, name: str, folder: int, path: str) -> None:
        try:
            _tightened(name, folder, self._user)
        except OSError:
            self.failed += 1
            self.first_failed = self.first_failed or path


def _tightened(name: str, folder: int, user: int) -> None:
    if sys.platform != "linux":
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        os.chmod(name, stat.S_IMODE(about.st_mode) & _FOLDER, dir_fd=folder, follow_symlinks=False)
        return
    # O_PATH opens sockets and pipes as well, does not block, and releases no lock when it is closed.
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        about = os.fstat(handle)
        if about.st_uid == user and not stat.S_ISLNK(about.st_mode):
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(about.st_mode) & _FOLDER)
    finally:
        os.close(handle)


@contextmanager
def _opened(folder: Path | str, *, within: int | None = None, flags: int = 0) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def _mounted_below(root: Path) -> Iterator[str]:
    """Yield the mount points of other volumes below the folder, relative to it."""
    with suppress(OSError):
        for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            # Whitespace in a path is written as octal escapes.
            place = line.split(" ")[4].replace(r"\040", " ").replace(r"\011", "\t").replace(r"\012", "\n")
            path = Path(place.replace(r"\134", "\\"))
            if path != root and path.is_relative_to(root):
                yield str(path.relative_to(root))
