"""Schema of the SQLite store: ordered steps, and the one after which earlier releases refuse the file.

`user_version` says what a release needs to know to use the file. It rises with the first steps, which every release
knows, and with the last one (`finish`); steps in between only add what the previous release can ignore, so that it
goes on working on the file, and are recorded in `schema_steps`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.facts_schema import FACTS_TABLES, sqlite_statements
from cqox.storage.schema import FINISHED, FINISHING, MigrationStatus

__all__ = ["MIGRATIONS", "TENANT_TABLES", "applied", "enter", "finish", "is_entered", "migrate", "status"]

_KNOWN_TO_ALL = 4
"""Number of steps that every release that may use the file knows."""

_FIRST_TENANT_TABLES: Mapping[str, str] = {
    "reports": "analysis_id",
    "datasets": "dataset_id",
    "jobs": "job_id",
    "turns": "key",
    "annotations": "analysis_id",
    "shares": "share_id",
}
"""Those that were there before tenants were."""

TENANT_TABLES: Mapping[str, str] = {
    **_FIRST_TENANT_TABLES,
    "audit": "entry_id",
    "erasures": "erasure_id",
    **FACTS_TABLES,
}
"""The tables whose rows belong to a tenant, with the column of their key."""

_SUPERSEDED = ("reports_by_time", "reports_by_dataset", "reports_by_question", "jobs_by_time")
"""Indexes without the tenant, which an earlier release may name."""

_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"


def _of_tenant(key: str) -> str:
    """Return the column of the tenant, with the check that the key of its row begins with it."""
    return (
        "tenant_id TEXT NOT NULL DEFAULT 'default' CHECK (CASE tenant_id "
        f"WHEN 'default' THEN instr({key}, '/') = 0 "
        f"ELSE substr({key}, 1, length(tenant_id) + 1) = tenant_id || '/' END)"
    )


def _with_tenant(table: str, key: str) -> str:
    """Return the statement that adds the tenant to the rows of a table."""
    return f"ALTER TABLE {table} ADD COLUMN {_of_tenant(key)}"


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
    (
        "tenants of rows",
        (
            *(_with_tenant(table, key) for table, key in _FIRST_TENANT_TABLES.items()),
            # Covers what is looked up by id alone: in the table, the column lies behind the report's body.
            "CREATE INDEX reports_of_tenant ON reports (tenant_id, analysis_id)",
            "CREATE INDEX reports_of_tenant_by_time ON reports (tenant_id, created_at, analysis_id)",
            "CREATE INDEX reports_of_dataset ON reports (tenant_id, dataset_id, created_at, analysis_id)",
            "CREATE INDEX reports_of_question ON reports (tenant_id, dataset_id, outcome, treatment)",
            "CREATE INDEX jobs_of_tenant ON jobs (tenant_id, created_at, job_id)",
        ),
    ),
    (
        "audit log and erasures",
        (
            f"""CREATE TABLE IF NOT EXISTS audit (
                entry_id TEXT PRIMARY KEY,
                {_of_tenant("entry_id")},
                seq INTEGER NOT NULL,
                event_id TEXT NOT NULL,
                at TEXT NOT NULL,
                subject TEXT NOT NULL,
                kind TEXT NOT NULL,
                action TEXT NOT NULL,
                object TEXT NOT NULL,
                outcome TEXT NOT NULL,
                request_id TEXT NOT NULL,
                previous TEXT NOT NULL,
                digest TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE UNIQUE INDEX IF NOT EXISTS audit_of_tenant ON audit (tenant_id, seq)",
            "CREATE UNIQUE INDEX IF NOT EXISTS audit_by_event ON audit (tenant_id, event_id)",
            *(
                f"""CREATE TRIGGER IF NOT EXISTS audit_no_{change.lower()} BEFORE {change} ON audit
                BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END"""
                for change in ("UPDATE", "DELETE")
            ),
            f"""CREATE TABLE IF NOT EXISTS erasures (
                erasure_id TEXT PRIMARY KEY,
                {_of_tenant("erasure_id")},
                what TEXT NOT NULL,
                object_id TEXT NOT NULL,
                requested_by TEXT NOT NULL,
                requested_at TEXT NOT NULL,
                finished_at TEXT,
                receipt BLOB NOT NULL
            ) WITHOUT ROWID""",
        ),
    ),
    (
        "owners of data sets and retention of tenants",
        (
            "ALTER TABLE datasets ADD COLUMN owner TEXT",
            *(f"ALTER TABLE tenants ADD COLUMN keep_{what}_days REAL" for what in ("reports", "datasets", "jobs")),
        ),
    ),
    ("facts about reports", sqlite_statements(_of_tenant("analysis_id"))),
)
"""Ordered steps. A released one never changes, and a new one only adds what the previous release can ignore."""


def migrate(connection: sqlite3.Connection) -> int:
    """Apply the pending steps; return their number. Safe to call concurrently."""
    done = 0
    while (number := applied(connection)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have migrated while this one waited for the lock.
        if applied(connection) == number:
            name, statements = MIGRATIONS[number]
            for statement in statements:
                connection.execute(statement)
            _record(connection, number + 1, name)
            done += 1
        connection.commit()
    return done


def finish(connection: sqlite3.Connection) -> int:
    """Apply the step after which earlier releases refuse the file; return 0 where it was applied before."""
    migrate(connection)
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) == FINISHED:
        return 0
    for index in _SUPERSEDED:
        connection.execute(f"DROP INDEX IF EXISTS {index}")
    _steps(connection)
    connection.execute(f"INSERT INTO schema_steps VALUES (?, ?, {_NOW})", (FINISHED, FINISHING))
    connection.execute(f"PRAGMA user_version = {FINISHED}")
    return 1


def is_entered(connection: sqlite3.Connection, tenant_id: str) -> bool:
    """Return whether `enter` has nothing to do."""
    query = "SELECT 1 FROM tenants WHERE tenant_id = ?"
    return _version(connection) == FINISHED and connection.execute(query, (tenant_id,)).fetchone() is not None


def enter(connection: sqlite3.Connection, tenant_id: str) -> None:
    """Register a tenant unless it is registered; after that, earlier releases refuse the file."""
    finish(connection)
    connection.execute(
        "INSERT INTO tenants (tenant_id, name, created_at) "
        "VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')) ON CONFLICT DO NOTHING",
        (tenant_id, tenant_id),
    )


def status(connection: sqlite3.Connection) -> Sequence[MigrationStatus]:
    """Return every step that this code knows, and when it was applied where that is recorded."""
    done, times = applied(connection), dict[int, str]()
    with suppress(sqlite3.OperationalError):
        times.update(connection.execute("SELECT number, applied_at FROM schema_steps").fetchall())
    steps = [
        MigrationStatus(number=number, name=name, applied_at=times.get(number, "") if number <= done else None)
        for number, (name, _) in enumerate(MIGRATIONS, start=1)
    ]
    return [*steps, MigrationStatus(number=FINISHED, name=FINISHING, applied_at=times.get(FINISHED), finishes=True)]


def applied(connection: sqlite3.Connection) -> int:
    """Return the number of steps that were applied, in order.

    Raises:
        StoreUnavailable: a newer release wrote the file, and this one cannot use it.
    """
    version = _version(connection)
    if version > len(MIGRATIONS) and version != FINISHED:
        raise StoreUnavailable(Message("storage.file-of-newer-version", found=version, known=len(MIGRATIONS)))
    done = set(range(1, version + 1)) if version != FINISHED else set[int]()
    if version:
        query = "SELECT name FROM sqlite_schema WHERE name = 'schema_steps'"
        if connection.execute(query).fetchone() is not None:
            done.update(number for (number,) in connection.execute("SELECT number FROM schema_steps"))
    number = 0
    while number + 1 in done:
        number += 1
    return number


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _record(connection: sqlite3.Connection, number: int, name: str) -> None:
    version = _version(connection)
    if number <= _KNOWN_TO_ALL:
        connection.execute(f"PRAGMA user_version = {number}")
        return
    # A file that a version between two releases made may have a higher one, which says the same.
    assert version >= _KNOWN_TO_ALL
    _steps(connection)
    connection.execute(f"INSERT OR IGNORE INTO schema_steps VALUES (?, ?, {_NOW})", (number, name))


def _steps(connection: sqlite3.Connection) -> None:
    """Create the table of steps, with those before it."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_steps "
        "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)"
    )
    version = _version(connection)
    earlier = range(1, version + 1) if version != FINISHED else ()
    connection.executemany(
        "INSERT OR IGNORE INTO schema_steps VALUES (?, ?, '')", [(each, MIGRATIONS[each - 1][0]) for each in earlier]
    )
