"""Liveness of the processes on a volume, by a file lock that each of them holds.

The kernel releases the lock when the process exits, in any way. No heartbeat is needed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cqox import randomness
from cqox.storage.private import private_folder

__all__ = ["LivenessLock"]


class LivenessLock:
    """Liveness lock of one process, held until `close` or the exit of the process.

    Args:
        folder: folder of the lock files; created if missing.
        owner: unique name of this process, never used before; random if empty.

    Attributes:
        owner: unique name of this process.
    """

    def __init__(self, folder: Path, owner: str = "") -> None:
        private_folder(folder, parents=True, exist_ok=True)
        self._folder = folder
        self.owner = owner or randomness.token_hex(8)
        self._path = folder / self.owner
        # Locked before the rename, so that no process ever sees it unlocked.
        scratch = folder / f".{self.owner}"
        self._handle = os.open(scratch, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            scratch.rename(self._path)
        except OSError:
            os.close(self._handle)
            raise

    def close(self) -> None:
        """Release the lock and remove its file."""
        if self._handle >= 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._handle)
            self._handle = -1

    def is_alive(self, owner: str) -> bool:
        """Return whether a process holds the lock of this name; False for an unknown name."""
        return not self._is_dead(owner) and (self._folder / owner).exists()

    def known(self) -> frozenset[str]:
        """Return every owner with a lock file, dead ones included."""
        return frozenset(path.name.removeprefix(".") for path in self._folder.iterdir())

    def dead_owners(self) -> Iterator[str]:
        """Yield the owners that exited without `close`, each until `forget`."""
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith(".") and self._is_dead(path.name):
                yield path.name

    def forget(self, owner: str) -> bool:
        """Remove the lock file of a dead owner; return False if another process did."""
        try:
            (self._folder / owner).unlink()
        except FileNotFoundError:
            return False
        return True

    def _is_dead(self, owner: str) -> bool:
        try:
            handle = os.open(self._folder / owner, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            return False
        finally:
            os.close(handle)
