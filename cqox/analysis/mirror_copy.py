"""One copy of a table that lies elsewhere, made in steps so that its progress shows and a cancellation ends it."""

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event, Lock
from time import monotonic

from cqox import randomness
from cqox.analysis.mirror_folder import Hold, remove_unused
from cqox.file_sync import sync
from cqox.sources import RemoteTable
from cqox.storage import unavailable

__all__ = ["MirrorCopy"]

_STEP_SECONDS = 0.25


class MirrorCopy:
    """A copy in the making; blocking. It is whole under its name, or it is not there.

    Args:
        table: what to copy.
        root: the folder of copies; it is there.
        name: returns the name of the copy, given its size in bytes.
        check: called with the number of bytes so far; what it raises ends the copy.

    Attributes:
        copied_bytes: what has been written so far.
    """

    def __init__(
        self, table: RemoteTable, root: Path, *, name: Callable[[int], str], check: Callable[[int], None]
    ) -> None:
        self._table = table
        self._root = root
        self._made = root / f".{randomness.token_hex(8)}"
        self._name = name
        self._check = check
        self._blocks: Generator[int] | None = None
        self._hold: Hold | None = None
        self.copied_bytes = 0
        self._guard = Lock()
        self._stopped = Event()
        self._is_busy = False

    def step(self) -> Hold | None:
        """Copy for a quarter of a second; return the hold of the whole copy once it is there.

        Raises:
            SourceUnavailable: the server fails, or the files were changed.
            StoreUnavailable: the disk fails.
        """
        with self._guard:
            if self._stopped.is_set():
                return None
            self._is_busy = True
        is_whole = False
        try:
            is_whole = self._advance()
        except OSError as error:
            raise unavailable(error) from error
        finally:
            with self._guard:
                self._is_busy = False
                is_stopped = self._stopped.is_set()
            if is_stopped:
                self._clean()
        return self._hold if is_whole else None

    def stop(self) -> None:
        """End the copy and remove what is unfinished: at once, or as soon as a step in another thread ends."""
        with self._guard:
            self._stopped.set()
            is_busy = self._is_busy
        if not is_busy:
            self._clean()

    def _advance(self) -> bool:
        """Copy for a while; return whether the copy is whole."""
        if self._blocks is None:
            self._made.mkdir(mode=0o700)
            self._hold = Hold.of(self._made)
            self._blocks = self._table.copying(self._made)
        end = monotonic() + _STEP_SECONDS
        for count in self._blocks:
            self.copied_bytes += count
            self._check(self.copied_bytes)
            if self._stopped.is_set() or monotonic() >= end:
                return False
        self._put_in_place()
        return True

    def _put_in_place(self) -> None:
        assert self._hold is not None
        sync(self._made)
        place = self._root / self._name(self.copied_bytes)
        try:
            self._made.rename(place)
        except OSError:
            # Another process on this disk was faster.
            theirs = Hold.of(place)
            if theirs is None:
                raise
            self._hold.release()
            self._hold = theirs
            shutil.rmtree(self._made, ignore_errors=True)
        else:
            self._made = place
        self._hold.folder = place

    def _clean(self) -> None:
        if self._blocks is not None:
            self._blocks.close()
        if self._hold is not None:
            self._hold.release()
        # A stop may come while the whole copy is put in its place, which nobody will use now.
        remove_unused(self._made)
