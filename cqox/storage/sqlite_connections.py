"""The connections of the SQLite store: to the file that has the name now, whatever happens to it meanwhile."""

import logging
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from cqox.errors import StoreUnavailable
from cqox.storage.blocking import Threads
from cqox.storage.sqlite_file import (
    BUSY_SECONDS,
    LOST,
    Connection,
    File,
    Use,
    check_sqlite,
    damage_of,
    file_at,
    is_damage,
    migrate,
)
from cqox.storage.sqlite_repair import replace_damaged

__all__ = ["Connections"]

_READ_DAMAGED_SECONDS = 60.0
# A disk that goes on failing must not be filled with copies of what it has spoilt.
_NEXT_REPAIR_SECONDS = 10.0
_NEXT_TRY_SECONDS = 60.0
_logger = logging.getLogger("cqox.storage")


class Connections:
    """The connections to one file, and the threads that use them.

    Args:
        path: the file.
        size: how many calls run at once.
        seconds: the limit of one call.
        anew: whether a damaged file is set aside, and another one begun.

    Attributes:
        damage: what is wrong with the file, where a call has found it damaged and it could not be replaced.
    """

    def __init__(self, path: Path, *, size: int, seconds: float, anew: bool) -> None:
        self._path = path
        self._seconds = seconds
        self._anew = anew
        self._repair_at = 0.0
        self._threads = Threads("sqlite", size)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._lock = Lock()
        self._file: File | None = None
        self._losses = 0
        self.damage = ""

    def close(self) -> None:
        """Close every connection; nothing may be running."""
        self._threads.close()
        while not self._idle.empty():
            self._idle.get().close()

    @property
    def epoch(self) -> int:
        """How often what was kept has been lost with its file, which is looked at now."""
        # Where a call holds the lock it looks for itself.
        if self._lock.acquire(blocking=False):
            try:
                if self._file not in (None, LOST, file_at(self._path)):
                    self._file = LOST
                    self._tell_of_loss()
            finally:
                self._lock.release()
        return self._losses

    async def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, called in a thread with a connection to the file that has the name now."""
        use = self._use()
        try:
            return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)
        except sqlite3.DatabaseError as error:
            if not self._anew or not is_damage(error):
                raise
            if not await self._threads.run(partial(self._repair, use.file, error), interrupt=_nothing):
                raise
        use = self._use()
        return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)

    def _use(self) -> Use:
        return Use(self._idle, self._connect, self._is_current, seconds=self._seconds)

    def _connect(self) -> Connection:
        while True:
            connection = self._connected()
            if connection is not None:
                return connection

    def _connected(self) -> Connection | None:
        """A new connection; None where the file was replaced while it was made."""
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False, factory=Connection)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.file = file_at(self._path)
            if connection.file is None:
                raise sqlite3.OperationalError("the file was removed while it was opened")
            with self._lock:
                if connection.file != file_at(self._path):
                    connection.close()
                    return None
                if self._file is not None and self._file != connection.file:
                    if self._file != LOST:
                        self._tell_of_loss()
                    # There is nothing in a new file. Under the lock, so that nobody meets it half made.
                    migrate(connection)
                self._file = connection.file
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_current(self, connection: Connection) -> bool:
        """Whether the file that it is connected to still has its name."""
        if connection.file == file_at(self._path):
            return True
        with self._lock:
            # Not what tells the file from others: once it is closed, that may be given to the next one.
            if self._file == connection.file:
                self._file = LOST
                self._tell_of_loss()
        return False

    def _tell_of_loss(self) -> None:
        self._losses += 1
        self.damage = ""
        _logger.error(
            "The file %s was removed, moved or replaced: the reports, data sets and jobs that were in it are kept no "
            "longer, where they are not in the one that has the name now.",
            self._path,
        )

    def _repair(self, seen: File | None, damage: sqlite3.DatabaseError) -> bool:
        """Replace the file that a call has found damaged; whether the call may be made again."""
        # Nobody connects meanwhile, nor asks whether a connection is still good.
        with self._lock:
            if self._file == seen and time.monotonic() < self._repair_at:
                return False
            try:
                done = replace_damaged(
                    self._path,
                    damage_of(damage),
                    is_damaged=partial(self._is_damaged, seen),
                    seconds=_READ_DAMAGED_SECONDS,
                )
            except (OSError, sqlite3.Error) as error:
                self._repair_at = time.monotonic() + _NEXT_TRY_SECONDS
                _logger.error("The result store %s is damaged, and cannot be replaced: %s", self._path, error)
                return False
            if done:
                self._file, self.damage = file_at(self._path), ""
                self._losses += 1
                self._repair_at = time.monotonic() + _NEXT_REPAIR_SECONDS
        return True

    def _is_damaged(self, seen: File | None, there: File) -> bool:
        if seen is not None:
            return seen == there
        # It could not even be opened, and another engine may have been first since then.
        try:
            check_sqlite(self._path, damaged=False)
        except StoreUnavailable as error:
            return is_damage(error.__cause__)
        return False


async def _nothing() -> None:
    """What has begun to replace a file goes on to its end."""
