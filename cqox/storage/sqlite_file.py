"""File of the SQLite store: its schema, its identity, and one call on a connection."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.private import private_opener, tighten_one

__all__ = [
    "BUSY_SECONDS",
    "LOST",
    "MIGRATIONS",
    "Connection",
    "File",
    "Use",
    "applied",
    "check_sqlite",
    "code_of",
    "damage_of",
    "file_at",
    "is_damage",
    "is_disk_fault",
    "marks",
    "migrate",
    "prepare",
    "private_file",
]

_DISK_FAULTS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
# Waiting for the write lock cannot be interrupted, so it is split into short waits.
BUSY_SECONDS = 0.1

MIGRATIONS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "reports, data sets and jobs",
        (
            """CREATE TABLE IF NOT EXISTS reports (
                analysis_id TEXT PRIMARY KEY,
                dataset_id TEXT NOT NULL,
                created_at TEXT NOT NULL,
                status TEXT NOT NULL,
                verdict TEXT,
                "primary" TEXT,
                estimate REAL,
                report BLOB NOT NULL,
                provenance BLOB NOT NULL,
                figures BLOB NOT NULL,
                digest TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX IF NOT EXISTS reports_by_time ON reports (created_at, analysis_id)",
            "CREATE INDEX IF NOT EXISTS reports_by_dataset ON reports (dataset_id, created_at, analysis_id)",
            """CREATE TABLE IF NOT EXISTS datasets (
                dataset_id TEXT PRIMARY KEY,
                digest TEXT NOT NULL,
                name TEXT NOT NULL,
                rows INTEGER NOT NULL,
                columns INTEGER NOT NULL,
                size_bytes INTEGER NOT NULL,
                created_at TEXT NOT NULL,
                sample INTEGER NOT NULL,
                description BLOB NOT NULL
            ) WITHOUT ROWID""",
            """CREATE TABLE jobs (
                job_id TEXT PRIMARY KEY,
                dataset_id TEXT NOT NULL,
                status TEXT NOT NULL,
                created_at TEXT NOT NULL,
                finished_at TEXT,
                analysis_id TEXT,
                problem BLOB,
                owner TEXT NOT NULL,
                renewed_until REAL NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX jobs_running ON jobs (owner) WHERE status = 'running'",
        ),
    ),
    (
        "jobs by when they ended",
        ("CREATE INDEX jobs_ended ON jobs (coalesce(finished_at, created_at), job_id) WHERE status <> 'running'",),
    ),
    (
        "turns to compute",
        (
            """CREATE TABLE turns (
                key TEXT PRIMARY KEY,
                token TEXT NOT NULL,
                held_until REAL NOT NULL
            ) WITHOUT ROWID""",
        ),
    ),
    ("jobs by when they began", ("CREATE INDEX jobs_by_time ON jobs (created_at, job_id)",)),
    (
        "questions and annotations of reports",
        (
            "ALTER TABLE reports ADD COLUMN outcome TEXT",
            "ALTER TABLE reports ADD COLUMN treatment TEXT",
            "ALTER TABLE reports ADD COLUMN headline TEXT",
            """CREATE TABLE annotations (
                analysis_id TEXT PRIMARY KEY,
                dataset_id TEXT NOT NULL,
                title TEXT,
                notes TEXT,
                updated_at TEXT NOT NULL,
                version TEXT NOT NULL,
                searched TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX annotations_by_dataset ON annotations (dataset_id)",
        ),
    ),
    (
        "share links",
        (
            """CREATE TABLE shares (
                share_id TEXT PRIMARY KEY,
                analysis_id TEXT NOT NULL,
                digest TEXT NOT NULL,
                created_at TEXT NOT NULL,
                expires_at TEXT NOT NULL,
                dataset_id TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE UNIQUE INDEX shares_by_digest ON shares (digest)",
            "CREATE INDEX shares_by_analysis ON shares (analysis_id)",
        ),
    ),
    # Covers the count of looks: in the table, the columns lie behind the report's body.
    ("reports by question", ("CREATE INDEX reports_by_question ON reports (dataset_id, outcome, treatment)",)),
    (
        "tenants and API keys",
        (
            """CREATE TABLE tenants (
                tenant_id TEXT PRIMARY KEY,
                name TEXT NOT NULL,
                created_at TEXT NOT NULL,
                erased_at TEXT
            ) WITHOUT ROWID""",
            """INSERT INTO tenants (tenant_id, name, created_at)
                VALUES ('default', 'default', strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'))""",
            """CREATE TABLE api_keys (
                key_id TEXT PRIMARY KEY,
                tenant_id TEXT NOT NULL,
                digest BLOB NOT NULL,
                name TEXT NOT NULL,
                roles TEXT NOT NULL,
                scopes TEXT,
                created_at TEXT NOT NULL,
                expires_at TEXT,
                last_used_on TEXT,
                revoked_at TEXT
            ) WITHOUT ROWID""",
            "CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id)",
        ),
    ),
)

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
                return work(connection)
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


def migrate(connection: sqlite3.Connection) -> int:
    done = 0
    while (number := applied(connection)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have migrated while this one waited for the lock.
        if applied(connection) == number:
            for statement in MIGRATIONS[number][1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            done += 1
        connection.commit()
    return done


def applied(connection: sqlite3.Connection) -> int:
    number = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if number > len(MIGRATIONS):
        raise StoreUnavailable(Message("storage.file-of-newer-version", found=number, known=len(MIGRATIONS)))
    return number
