"""Connections of the SQLite store to the file at its path, also after the file is removed or replaced."""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from urllib.parse import quote

from cqox import clock
from cqox.errors import StoreUnavailable
from cqox.storage.ballast import Ballast
from cqox.storage.blocking import Threads
from cqox.storage.sqlite_file import (
    BUSY_SECONDS,
    LOST,
    Connection,
    File,
    Use,
    check_sqlite,
    code_of,
    damage_of,
    file_at,
    is_damage,
    is_disk_fault,
    prepare,
    private_file,
)
from cqox.storage.sqlite_repair import replace_damaged
from cqox.storage.sqlite_schema import applied, migrate

__all__ = ["Connections"]

_READ_DAMAGED_SECONDS = 60.0
# A failing disk must not be filled with copies of damaged files.
_NEXT_REPAIR_SECONDS = 10.0
_NEXT_TRY_SECONDS = 60.0
_ROOM_TO_OPEN_BYTES = 2**18
_logger = logging.getLogger("cqox.storage")


class Connections:
    """Connections to one file, and the threads that use them.

    Args:
        path: the file.
        size: maximum number of concurrent calls.
        seconds: timeout of one call.
        repair: whether a damaged file is set aside and replaced.
        ballast: reserve space to use on a full disk.

    Attributes:
        behind: whether schema migrations are pending; the first connection that can write applies them.
        damage: description of the damage, if a call found the file damaged and it could not be replaced.
        unwritten: error of the last failed write; empty after a successful one.
        entered: tenants that are registered in the file, each with the number of losses at that time.
    """

    def __init__(self, path: Path, *, size: int, seconds: float, repair: bool, ballast: Ballast | None) -> None:
        self._path = path
        self._seconds = seconds
        self._may_repair = repair
        self._ballast = ballast
        self._repair_at = 0.0
        self._threads = Threads("sqlite", size)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._lock = Lock()
        self._file: File | None = None
        self._losses = 0
        self.damage = ""
        self.unwritten = ""
        self.behind = False
        self.entered = set[tuple[int, str]]()

    def close(self) -> None:
        """Close every connection; no call may be running."""
        self._threads.close()
        while not self._idle.empty():
            self._idle.get().close()

    @property
    def epoch(self) -> int:
        """Number of times the stored data has been lost with its file; checks the file now."""
        # A call that holds the lock checks by itself.
        if self._lock.acquire(blocking=False):
            try:
                if self._file not in (None, LOST, file_at(self._path)):
                    self._file = LOST
                    self._log_loss()
            finally:
                self._lock.release()
        return self._losses

    @property
    def losses(self) -> int:
        """Number of times that calls have found the stored data lost; checks nothing."""
        return self._losses

    async def run[T](self, work: Callable[[sqlite3.Connection], T], *, essential: bool = False) -> T:
        """Run `work` in a thread with a connection to the file at the path and return its result.

        Args:
            work: the database operations; may be called twice.
            essential: whether the call may use the ballast, as a deletion does.
        """
        use = self._use()
        try:
            return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)
        except sqlite3.DatabaseError as error:
            if is_damage(error) and self._may_repair:
                if not await self._threads.run(partial(self._repair, use.file, error), interrupt=_finish_repair):
                    raise
            elif not is_disk_fault(error) or not (essential or use.file is None):
                raise
            elif not await self._threads.run(partial(self._make_room, error), interrupt=_finish_repair):
                if use.file is not None:
                    raise
                return await self._read_only(work, error)
        use = self._use()
        try:
            return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)
        except sqlite3.OperationalError as error:
            if use.file is not None or not is_disk_fault(error):
                raise
            return await self._read_only(work, error)

    def is_full(self, error: BaseException) -> bool:
        """Return whether the file cannot be used because the disk is full."""
        if code_of(error) == sqlite3.SQLITE_FULL:
            return True
        try:
            about = os.statvfs(self._path.parent)
        except OSError:
            return False
        # Errors of the WAL index (the -shm file) do not report their cause.
        no_room = about.f_bavail * about.f_frsize < _ROOM_TO_OPEN_BYTES and not about.f_flag & os.ST_RDONLY
        return no_room and code_of(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)

    def _make_room(self, error: sqlite3.DatabaseError) -> bool:
        if not self.is_full(error):
            return False
        if self._ballast is not None and self._ballast.drop():
            return True
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection:
                # A checkpoint writes the WAL to the file and truncates it.
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
        except sqlite3.Error:
            return False

    async def _read_only[T](self, work: Callable[[sqlite3.Connection], T], opening: sqlite3.DatabaseError) -> T:
        """Run `work` on a connection that never writes to the disk, closed afterwards; return its result.

        Raises:
            sqlite3.Error: the error of opening the file, if `work` has to write.
        """
        use = Use(SimpleQueue(), lambda: self._connected_read_only(opening), lambda _: True, seconds=self._seconds)
        try:
            return await self._threads.run(partial(use.run, work), interrupt=use.interrupt)
        except sqlite3.OperationalError as error:
            if code_of(error) == sqlite3.SQLITE_READONLY:
                raise opening from error
            raise

    def _connected_read_only(self, opening: sqlite3.DatabaseError) -> Connection:
        log = self._path.with_name(f"{self._path.name}-wal")
        modes = ["mode=ro"]
        # Read in place: complete if the WAL is empty, since no connection can write.
        if not log.exists() or not log.stat().st_size:
            modes.append("mode=ro&immutable=1")
        for mode in modes:
            uri = f"file:{quote(str(self._path))}?{mode}"
            try:
                connection = sqlite3.connect(
                    uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, factory=Connection
                )
            except sqlite3.OperationalError:
                continue
            try:
                applied(connection)
            except BaseException as error:
                connection.close()
                if isinstance(error, sqlite3.OperationalError):
                    continue
                raise
            connection.reusable = False
            connection.file = file_at(self._path)
            return connection
        raise opening

    def _use(self) -> Use:
        return Use(self._idle, self._connect, self._is_current, seconds=self._seconds)

    def _connect(self) -> Connection:
        while True:
            connection = self._connected()
            if connection is not None:
                return connection

    def _connected(self) -> Connection | None:
        """Open a connection; return None if the file was replaced meanwhile."""
        connection = sqlite3.connect(
            private_file(self._path), timeout=BUSY_SECONDS, check_same_thread=False, factory=Connection
        )
        try:
            prepare(connection)
            # A connection opened on a read-only disk stays read-only.
            connection.reusable = os.access(self._path, os.W_OK)
            connection.file = file_at(self._path)
            if connection.file is None:
                raise sqlite3.OperationalError("the file was removed while it was opened")
            with self._lock:
                if connection.file != file_at(self._path):
                    connection.close()
                    return None
                if self._file not in (None, LOST, connection.file):
                    self._log_loss()
                if self.behind or self._file not in (None, connection.file):
                    # The file is new and empty. Migrated under the lock, so that no call sees it without a schema.
                    migrate(connection)
                    self.behind = False
                self._file = connection.file
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_current(self, connection: Connection) -> bool:
        """Return whether the file of the connection is still at the path."""
        if connection.file == file_at(self._path):
            return True
        with self._lock:
            # Not the device and inode: they may be reused once the file is closed.
            if self._file == connection.file:
                self._file = LOST
                self._log_loss()
        return False

    def _log_loss(self) -> None:
        self._losses += 1
        self.damage = ""
        _logger.error(
            "The file %s was removed, moved or replaced: its reports, data sets and jobs are lost, unless the file now "
            "at this path contains them.",
            self._path,
        )

    def _repair(self, seen: File | None, damage: sqlite3.DatabaseError) -> bool:
        """Replace a damaged file; return whether the call may be retried."""
        # The lock blocks new connections and checks of existing ones meanwhile.
        with self._lock:
            if self._file == seen and clock.monotonic() < self._repair_at:
                return False
            try:
                done = replace_damaged(
                    self._path,
                    damage_of(damage),
                    is_damaged=partial(self._is_damaged, seen),
                    seconds=_READ_DAMAGED_SECONDS,
                )
            except (OSError, sqlite3.Error) as error:
                self._repair_at = clock.monotonic() + _NEXT_TRY_SECONDS
                _logger.error("The result store %s is damaged, and cannot be replaced: %s", self._path, error)
                return False
            if done:
                self._file, self.damage = file_at(self._path), ""
                self._losses += 1
                self._repair_at = clock.monotonic() + _NEXT_REPAIR_SECONDS
        return True

    def _is_damaged(self, seen: File | None, there: File) -> bool:
        if seen is not None:
            return seen == there
        # The file could not be opened, and another engine may have repaired it since.
        try:
            check_sqlite(self._path, damaged=False)
        except StoreUnavailable as error:
            return is_damage(error.__cause__)
        return False


async def _finish_repair() -> None:
    """Do nothing: a repair that has begun is completed even if the caller is cancelled."""
