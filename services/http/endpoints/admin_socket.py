"""The file of an admin socket: created for its owner only, never taken from a live process, removed on exit.

`admin_server` serves it.
"""

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cqox.errors import CqoxError

__all__ = ["AdminSocket", "AdminSocketUnusable", "open_admin_socket"]

# `sun_path` of Linux has 108 bytes, the last of which is zero.
_MOST_PATH_BYTES = 107
_MOST_NAMES = 9
_BACKLOG = 16
_MODE = 0o600
_LOCK_TRIES = 100
_LOCK_PAUSE_SECONDS = 0.01


class AdminSocketUnusable(CqoxError):
    """No admin socket can be created at the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSocket:
    """A listening unix socket and its file.

    Attributes:
        listening: the socket.
        path: its file.
        note: why it has another name than requested; empty where it has that name.
        identity: device and inode of the file.
    """

    listening: socket.socket
    path: Path
    note: str
    identity: tuple[int, int]

    def close(self) -> None:
        """Stop listening, and remove the file unless it was replaced."""
        with suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self.identity:
                self.path.unlink()
        self.listening.close()


def open_admin_socket(wanted: Path, *, data_dir: Path | None = None) -> AdminSocket:
    """Create a socket that listens at this path, or at `…-2` and so on where another process uses it.

    The file is created with mode 0600.

    Args:
        wanted: the path.
        data_dir: the only folder that is created where it is missing, with mode 0700: any other may be a typing error.

    Raises:
        AdminSocketUnusable: no socket can be created there.
    """
    reasons: list[str] = []
    try:
        if wanted.parent == data_dir:
            wanted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _exclusive_lock(wanted.parent):
            for number in range(1, _MOST_NAMES + 1):
                path = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
                _check_length(path)
                reason = _make_free(path)
                if not reason:
                    return _listen(path, note=reasons[0] if reasons else "")
                reasons.append(f"{path} {reason}")
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{wanted.parent} is no folder"
        elif isinstance(error, FileNotFoundError):
            reason = f"there is no folder {wanted.parent}, and only the data directory is created"
        raise AdminSocketUnusable(_unusable(wanted, reason)) from error
    raise AdminSocketUnusable(_unusable(wanted, reasons[0]))


def _unusable(path: Path, reason: str) -> str:
    return f"There is no admin socket at {path} ({reason}); choose another path by CQOX_ADMIN_SOCKET"


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > _MOST_PATH_BYTES:
        raise AdminSocketUnusable(
            _unusable(path, f"its path has {length} bytes, and that of a socket has {_MOST_PATH_BYTES} at most")
        )


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder, so that no other process creates a socket there.

    After a timeout the block runs without the lock, which another program may hold for long.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_LOCK_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_PAUSE_SECONDS)
        yield
    finally:
        os.close(handle)


def _make_free(path: Path) -> str:
    """Remove the socket of a dead process; return why the path stays occupied, empty where it is free."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return ""
    if not stat.S_ISSOCK(found.st_mode):
        return "is a file and no socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            # No process listens any more.
            try:
                path.unlink(missing_ok=True)
            except PermissionError:
                return "is that of another user"
            return ""
        except OSError as error:
            return f"cannot be asked: {error.strerror or error}"
    return "belongs to another process that runs"


def _listen(path: Path, *, note: str) -> AdminSocket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # On Linux the file inherits the mode of the socket; changing the umask would affect all threads.
        with suppress(OSError):
            os.fchmod(one.fileno(), _MODE)
        one.bind(str(path))
        found = os.lstat(path)
        if stat.S_IMODE(found.st_mode) != _MODE:
            path.chmod(_MODE)
        one.listen(_BACKLOG)
        one.setblocking(False)
    except OSError:
        one.close()
        raise
    return AdminSocket(listening=one, path=path, note=note, identity=(found.st_dev, found.st_ino))
