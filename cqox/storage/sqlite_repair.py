"""Repair of a damaged SQLite file: set it aside, and put one with all readable rows in its place."""

import json
import logging
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from cqox.contract import counted
from cqox.storage.disk import exclusive_lock
from cqox.storage.rows import DATASET, JOB, REPORT, loaded
from cqox.storage.sqlite_file import BUSY_SECONDS, File, code_of, file_at, migrate

__all__ = ["replace_damaged"]

_LOCK_SECONDS = 10.0
_ENDINGS = ("", "-wal", "-shm")
_logger = logging.getLogger("cqox.storage")


def replace_damaged(path: Path, damage: str, *, is_damaged: Callable[[File], bool], seconds: float) -> bool:
    """Set the file aside as `<name>.damaged-<time>` and replace it with one that has all readable rows.

    If several engines find the same damage, one of them repairs it. Connections to the old file detect that it is no
    longer at the path; none of them can write to it from the start of the copy until after the swap.

    Args:
        path: the file.
        damage: description of the damage by SQLite.
        is_damaged: returns whether the file of this identity is the damaged one; called under the exclusive lock.
        seconds: time limit of the copy; rows not read by then remain only in the file that is set aside.

    Returns:
        Whether this call repaired the file.

    Raises:
        OSError: the files cannot be renamed.
        sqlite3.Error: the new file cannot be written, or the write lock of the old one stays busy; nothing has changed.
    """
    with exclusive_lock(path.parent):
        there = file_at(path)
        if there is None or not is_damaged(there):
            return False
        # A fixed name: the leftover of an engine that crashed during a repair is overwritten.
        fresh = path.with_name(f"{path.name}.new")
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as damaged:
            try:
                locked = _locked(damaged)
                saved = _salvaged(damaged, fresh, until=time.monotonic() + seconds)
                aside = _swapped(path, fresh)
            finally:
                _remove(fresh)
            if locked:
                # Callers that wait for the write lock must time out before it is released: their writes would be lost.
                time.sleep(2 * BUSY_SECONDS)
    _logger.error(
        "The result store %s is damaged: %s. It was set aside as %s and replaced by a file with the rows that could be "
        "read within %g s: %s.",
        path,
        damage,
        aside,
        seconds,
        ", ".join(counted(number, table) for table, number in saved.items()),
    )
    return True


def _locked(damaged: sqlite3.Connection) -> bool:
    try:
        damaged.execute("BEGIN IMMEDIATE")
    except sqlite3.DatabaseError as error:
        # A transaction in progress would be reported as committed, but end up in the file that is set aside.
        if code_of(error) == sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _salvaged(damaged: sqlite3.Connection, fresh: Path, *, until: float) -> dict[str, int]:
    """Copy the readable rows of each table into the new file; return their numbers."""
    _remove(fresh)
    # The journal inherits the mode of its file, which must be owner-only while it is written.
    fresh.touch(mode=0o600)
    saved = dict[str, int]()
    with closing(sqlite3.connect(fresh)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(connection)
        for table in _TABLES:
            marks = ", ".join("?" * len(table.columns.split(",")))
            statement = f"INSERT OR IGNORE INTO {table.name} ({table.columns}) VALUES ({marks})"
            rows = _rows(damaged, table, until=until)
            saved[table.name.replace("datasets", "data sets").removesuffix("s")] = connection.executemany(
                statement, rows
            ).rowcount
        connection.commit()
    return saved


def _rows(damaged: sqlite3.Connection, table: "_Table", *, until: float) -> Iterator[Sequence[object]]:
    query = f"SELECT {table.columns} FROM {table.name} NOT INDEXED WHERE {table.key} = ?"
    for key in _keys(damaged, table):
        if time.monotonic() > until:
            return
        # Row by row, from the root: a damaged page then hides only the rows in it.
        with suppress(sqlite3.DatabaseError):
            row = damaged.execute(query, (key,)).fetchone()
            if row is not None and table.is_sound(row):
                yield row


def _keys(damaged: sqlite3.Connection, table: "_Table") -> dict[str, None]:
    """Return the keys readable from the table or one of its indexes, in both directions up to a damaged page."""
    found = dict[str, None]()
    for source, order in (("NOT INDEXED", table.key), *table.indexes):
        whole = True
        for direction in ("ASC", "DESC"):
            query = f"SELECT {table.key} FROM {table.name} {source} ORDER BY {order} {direction}"
            try:
                for (key,) in damaged.execute(query):
                    if isinstance(key, str):
                        found[key] = None
            except sqlite3.DatabaseError:
                whole = False
            if whole:
                return found
    return found


def _swapped(path: Path, fresh: Path) -> str:
    name = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    while path.with_name(name).exists():
        name += "-again"
    with suppress(OSError):  # some file systems have no modes
        fresh.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    moved: list[tuple[Path, Path]] = []
    try:
        # The WAL first: it must not be applied to the new file.
        for ending in reversed(_ENDINGS):
            old, new = path.with_name(path.name + ending), path.with_name(name + ending)
            with suppress(FileNotFoundError):
                old.rename(new)
                moved.append((old, new))
        fresh.rename(path)
    except OSError:
        # Without its WAL the file would lack the latest writes.
        for old, new in reversed(moved):
            new.rename(old)
        raise
    return name


def _remove(fresh: Path) -> None:
    for ending in (*_ENDINGS, "-journal"):
        fresh.with_name(fresh.name + ending).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One table, other sources of its keys, and a check for rows corrupted by a damaged page."""

    name: str
    key: str
    columns: str
    is_sound: Callable[[Sequence[object]], bool]
    indexes: Sequence[tuple[str, str]] = ()


def _is_report(row: Sequence[object]) -> bool:
    if not all(isinstance(part, str) for part in (*row[:4], row[-1])):
        return False
    found = isinstance(row[7], bytes) and loaded(row)
    return bool(found and found.is_intact)


def _is_dataset(row: Sequence[object]) -> bool:
    *texts, rows, columns, size_bytes, created_at, sample, description = row
    if not all(isinstance(part, str) for part in (*texts, created_at)) or not isinstance(description, bytes):
        return False
    if not all(isinstance(part, int) for part in (rows, columns, size_bytes, sample)):
        return False
    try:
        return isinstance(json.loads(description), dict)
    except ValueError:
        return False


def _is_job(row: Sequence[object]) -> bool:
    *values, owner, renewed_until = row
    texts = (*values[:4], owner)
    return all(isinstance(part, str) for part in texts) and isinstance(renewed_until, float)


_TABLES = (
    _Table(name="datasets", key="dataset_id", columns=DATASET, is_sound=_is_dataset),
    _Table(name="jobs", key="job_id", columns=f"{JOB}, owner, renewed_until", is_sound=_is_job),
    _Table(
        name="reports",
        key="analysis_id",
        columns=REPORT,
        is_sound=_is_report,
        indexes=(
            ("INDEXED BY reports_by_time", "created_at"),
            ("INDEXED BY reports_by_dataset", "dataset_id"),
        ),
    ),
)
