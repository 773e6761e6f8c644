"""Repair of a damaged SQLite file: set it aside, and put one with all readable rows in its place."""

import json
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, Self, cast

from cqox.contract import counted
from cqox.storage.contracts import StoredReport
from cqox.storage.disk import exclusive_lock
from cqox.storage.file_operations import sync
from cqox.storage.rows import loaded
from cqox.storage.schema import FINISHED
from cqox.storage.sqlite_file import BUSY_SECONDS, File, code_of, file_at, marks
from cqox.storage.sqlite_schema import finish, migrate
from cqox.storage.tenant_ids import DEFAULT_TENANT, TenantKeys

__all__ = ["replace_damaged"]

_LOCK_SECONDS = 10.0
_ENDINGS = ("", "-wal", "-shm")
_SAVED = {"datasets": "data set", "jobs": "job", "reports": "report", "annotations": "annotation"}
_SAVED |= {"shares": "share link", "tenants": "tenant", "api_keys": "API key", "audit": "audit entry"}
_SAVED |= {"erasures": "erasure"}
"""The tables whose rows are copied, with what a row of each is; leases of computations expire anyway."""

_TYPES = {kind: (type(None), one) for kind, one in {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}.items()}
_COLUMNS = """SELECT '[' || name || ']', type, "notnull" FROM pragma_table_info(?)"""
_INDEXES = """
    SELECT 'INDEXED BY ' || list.name, info.name FROM pragma_index_list(?) list, pragma_index_info(list.name) info
    WHERE list.origin = 'c' AND NOT list.partial AND info.seqno = 0
"""
_ABSENT = {"[tenant_id]": f"'{DEFAULT_TENANT}'"}
_ANY = TenantKeys(DEFAULT_TENANT)
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
        if _is_of_several(damaged):
            finish(connection)
        for name, noun in _SAVED.items():
            table = _Table.of(connection, name)
            statement = f"INSERT OR IGNORE INTO {name} ({', '.join(table.types)}) VALUES ({marks(len(table.types))})"
            saved[noun] = connection.executemany(statement, _rows(damaged, table, until=until)).rowcount
        connection.commit()
    return saved


def _is_of_several(damaged: sqlite3.Connection) -> bool:
    """Return whether earlier releases refuse the file, since it may hold rows of several tenants."""
    with suppress(sqlite3.DatabaseError):
        return int(damaged.execute("PRAGMA user_version").fetchone()[0]) == FINISHED
    # Where that cannot be read, no earlier release may see what could be the rows of several.
    return True


def _rows(damaged: sqlite3.Connection, table: "_Table", *, until: float) -> Iterator[Sequence[object]]:
    query = f"SELECT {_columns_there(damaged, table)} FROM {table.name} NOT INDEXED WHERE {table.key} = ?"
    for key in _keys(damaged, table):
        if time.monotonic() > until:
            return
        # Row by row, from the root: a damaged page then hides only the rows in it.
        with suppress(sqlite3.DatabaseError):
            row = damaged.execute(query, (key,)).fetchone()
            if row is not None and _is_sound(table, row):
                yield row


def _columns_there(damaged: sqlite3.Connection, table: "_Table") -> str:
    """Return the columns to read. One that the damaged file lacks, since it was not migrated, has its first value."""
    there = set(table.types)
    with suppress(sqlite3.DatabaseError):
        there = {name for name, _, _ in damaged.execute(_COLUMNS, (table.name,))}
    return ", ".join(name if name in there else _ABSENT.get(name, "NULL") for name in table.types)


def _keys(damaged: sqlite3.Connection, table: "_Table") -> dict[str, None]:
    """Return the keys readable from the table or one of its indexes, in both directions up to a damaged page."""
    found = dict[str, None]()
    for source, order in (("NOT INDEXED", table.key), *table.indexes):
        for direction in ("ASC", "DESC"):
            query = f"SELECT {table.key} FROM {table.name} {source} ORDER BY {order} {direction}"
            with suppress(sqlite3.DatabaseError):
                found.update((key, None) for (key,) in damaged.execute(query) if isinstance(key, str))
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
        # The WAL first, also on the disk: it must not be applied to the new file.
        for ending in reversed(_ENDINGS):
            old, new = path.with_name(path.name + ending), path.with_name(name + ending)
            with suppress(FileNotFoundError):
                _set_aside(old, new, stays=not ending)
                moved.append((old, new))
        sync(path.parent)
        fresh.rename(path)
    except OSError:
        # Without its WAL the file would lack the latest writes.
        for old, new in reversed(moved):
            if old.exists():
                new.unlink()
            else:
                new.rename(old)
        raise
    sync(path.parent)
    return name


def _set_aside(old: Path, new: Path, *, stays: bool) -> None:
    """Give a file another name; one that stays keeps the old one too, so that a crash leaves a file in its place."""
    if stays:
        # Where the file system has no hard links it is missing for a moment.
        with suppress(OSError):
            os.link(old, new)
            return
    old.rename(new)


def _remove(fresh: Path) -> None:
    for ending in (*_ENDINGS, "-journal"):
        fresh.with_name(fresh.name + ending).unlink(missing_ok=True)


def _is_sound(table: "_Table", row: Sequence[object]) -> bool:
    """Return whether no damaged page has corrupted a row: its types fit, and so does its digest or its JSON object."""
    if not all(map(isinstance, row, table.types.values())):
        return False
    with suppress(ValueError):
        match table.name:
            case "reports":
                report = loaded(row[: len(StoredReport.__dataclass_fields__)], _ANY)
                return report is not None and report.is_intact
            case "datasets":
                return isinstance(json.loads(cast("bytes", row[list(table.types).index("[description]")])), dict)
            case _:
                return True
    return False


class _Table(NamedTuple):
    """A table of the new file: its key, the types of its columns, and its indexes with the column of their order."""

    name: str
    key: str
    types: Mapping[str, tuple[type, ...]]
    indexes: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, connection: sqlite3.Connection, name: str) -> Self:
        columns = connection.execute(_COLUMNS, (name,)).fetchall()
        types = {column: _TYPES[kind][needed:] for column, kind, needed in columns}
        return cls(name, columns[0][0], types, connection.execute(_INDEXES, (name,)).fetchall())
