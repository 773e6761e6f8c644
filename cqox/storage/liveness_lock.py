"""Whether a process that announced itself on a volume still lives, as every process on that volume can see.

The kernel keeps a lock on a file for as long as the process lives, however it ends. Nobody has to renew anything.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cqox.storage.private import private_folder

__all__ = ["Presence"]


class Presence:
    """One announced life; it ends with `close`, or with the process.

    Args:
        folder: where all announce themselves; created where there is none.
        owner: the name of this life, which was never used; a random one if empty.

    Attributes:
        owner: the name of this life, never used twice.
    """

    def __init__(self, folder: Path, owner: str = "") -> None:
        private_folder(folder, parents=True, exist_ok=True)
        self._folder = folder
        self.owner = owner or secrets.token_hex(8)
        self._path = folder / self.owner
        # Locked before it gets its name, so that nobody ever sees it unlocked.
        scratch = folder / f".{self.owner}"
        self._handle = os.open(scratch, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            scratch.rename(self._path)
        except OSError:
            os.close(self._handle)
            raise

    def close(self) -> None:
        """End it, leaving nothing behind."""
        if self._handle >= 0:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._handle)
            self._handle = -1

    def lives(self, owner: str) -> bool:
        """Whether the life of this name goes on; False for a name that nobody here has announced."""
        return not self._is_dead(owner) and (self._folder / owner).exists()

    def known(self) -> frozenset[str]:
        """Every life that was announced, ended or not, and is not buried."""
        return frozenset(path.name.removeprefix(".") for path in self._folder.iterdir())

    def departed(self) -> Iterator[str]:
        """The lives that ended without `close`, each until `bury`."""
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith(".") and self._is_dead(path.name):
                yield path.name

    def bury(self, owner: str) -> bool:
        """Forget a departed life; whether nobody else has."""
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
