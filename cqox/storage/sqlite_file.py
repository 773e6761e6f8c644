"""File of the SQLite store: its identity, and one call on a connection."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage.private import private_opener, tighten_one
from cqox.storage.sqlite_schema import applied

__all__ = [
    "BUSY_SECONDS",
    "LOST",
    "Connection",
    "File",
    "Use",
    "check_sqlite",
    "code_of",
    "damage_of",
    "file_at",
    "is_damage",
    "is_disk_fault",
    "marks",
    "prepare",
    "private_file",
]

_DISK_FAULTS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
# Waiting for the write lock cannot be interrupted, so it is split into short waits.
BUSY_SECONDS = 0.1

type File = tuple[int, int]
"""Identity of a file: device and inode."""


LOST: File = (0, 0)


class Connection(sqlite3.Connection):
    """A connection with the identity of its file, and whether another call may use it."""

    file: File | None = None
    reusable: bool = True


def file_at(path: Path) -> File | None:
    """Return the identity of the file at this path; None if there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def private_file(path: Path) -> Path:
    """Create the file with owner-only permissions, or tighten an existing one before its WAL is created."""
    # An existing file is not opened: closing it would release the POSIX locks of all connections of this process.
    with suppress(OSError):
        os.close(private_opener(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    for ending in ("", "-wal", "-shm"):
        tighten_one(path.with_name(path.name + ending))
    return path


def code_of(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_damage(error: BaseException | None) -> bool:
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _is_no_text(error)


def is_disk_fault(error: BaseException | None) -> bool:
    """Return whether the disk of the file is full, read-only or failing."""
    return code_of(error) in _DISK_FAULTS


def damage_of(error: BaseException) -> str:
    """Describe the damage of the file, without any of its content."""
    return Message("storage.text-is-not-utf8") if _is_no_text(error) else str(error)


def _is_no_text(error: BaseException | None) -> bool:
    # Raised by Python itself: it has no error code and quotes the bytes.
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode to UTF-8")


def check_sqlite(path: Path, *, damaged: bool = True) -> None:
    """Check that the file is missing, or a database of a known schema.

    Args:
        path: the file.
        damaged: whether to accept a damaged file, or one that is no database.

    Raises:
        StoreUnavailable: it cannot be opened, or a newer version wrote it.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            applied(connection)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except StoreUnavailable as error:
        raise StoreUnavailable(
            Message("storage.sqlite-unusable-because", path=str(path), reason=error.args[0])
        ) from error
    except sqlite3.Error as error:
        busy = code_of(error) == sqlite3.SQLITE_BUSY
        # A file that a full or read-only disk keeps from opening may still be readable.
        closed = is_disk_fault(error) and path.is_file() and os.access(path, os.R_OK)
        if not busy and not closed and not (damaged and is_damage(error)):
            raise StoreUnavailable(Message("storage.sqlite-unusable", path=str(path), reason=str(error))) from error


class Use:
    """One call on one connection, which another thread may interrupt.

    While an interrupt is in progress the connection cannot be handed to another call.

    Attributes:
        file: identity of the connection's file; None before there is a connection.
    """

    def __init__(
        self,
        idle: SimpleQueue[Connection],
        connect: Callable[[], Connection],
        is_current: Callable[[Connection], bool],
        *,
        seconds: float,
    ) -> None:
        self._idle = idle
        self._connect = connect
        self._is_current = is_current
        self._ends_at = time.monotonic() + seconds
        self._lock = Lock()
        self._cancelled = False
        self._connection: Connection | None = None
        self.file: File | None = None

    def run[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        while True:
            try:
                return self._attempt(work)
            except sqlite3.OperationalError as error:
                busy = code_of(error) == sqlite3.SQLITE_BUSY
                if not busy or self._cancelled or time.monotonic() > self._ends_at:
                    raise

    def _attempt[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._idle.get_nowait()
            if not self._is_current(connection):
                connection.close()
                connection = self._connect()
        except Empty:
            connection = self._connect()
        with self._lock:
            self._connection = connection
        self.file = connection.file
        try:
            with connection:
                fault_point("sqlite.call")
                result = work(connection)
            fault_point("sqlite.committed")
            return result
        except sqlite3.OperationalError as error:
            # Another connection may succeed.
            if is_disk_fault(error) and code_of(error) != sqlite3.SQLITE_FULL:
                connection.reusable = False
            raise
        finally:
            with self._lock:
                self._connection = None
            if connection.reusable:
                self._idle.put(connection)
            else:
                connection.close()

    async def interrupt(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._connection is not None:
                self._connection.interrupt()


def marks(count: int) -> str:
    """Return that many placeholders of a statement, separated by commas."""
    return ", ".join("?" * count)


def prepare(connection: sqlite3.Connection) -> None:
    """Set how the connection writes. A new file can return pages to the disk, which has to be set while it is empty."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
