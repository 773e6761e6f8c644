"""Connections to PostgreSQL for statements that sum: one transaction that only reads, and every option of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

    type Connection = psycopg.Connection[tuple[object, ...]]

__all__ = ["CONNECT_SECONDS", "limit_statements", "reading_connection", "server_name"]

CONNECT_SECONDS = 10
"""For a connection, and for the cancellation of a statement, which is one more."""

_PARAMETERS = {
    # Of moments; the date of one is that of UTC, for every client.
    "TimeZone": "UTC",
    # Of rows as text.
    "DateStyle": "ISO",
    "bytea_output": "hex",
    # Statements are sent as UTF-8.
    "client_encoding": "UTF8",
    # Of a client that is gone, the server would otherwise learn when it answers; versions before 14 cannot.
    "client_connection_check_interval": "1s",
    # A pause between two passes is no reason to lose the snapshot.
    "idle_in_transaction_session_timeout": "0",
}


def reading_connection(address: str, *, statement_seconds: float | None = None) -> "Connection":
    """Connect; all statements see the rows of one moment, that of the first, and can write nothing.

    Args:
        address: a URL or a connection string of libpq.
        statement_seconds: after which the server ends a statement; None where `limit_statements` says it.

    Raises:
        ModuleNotFoundError: psycopg is not installed.
        psycopg.Error: there is no server, or it refuses.
    """
    import psycopg

    connection = psycopg.connect(
        address, connect_timeout=CONNECT_SECONDS, autocommit=True,
        # Of a server that is gone without a word, a thread would wait for hours.
        keepalives=1, keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
    )  # fmt: skip
    try:
        for parameter, value in _PARAMETERS.items():
            found = "select set_config(%s, %s, false) from pg_settings where name = %s"
            connection.execute(found, [parameter, value, parameter])
        if statement_seconds is not None:
            limit_statements(connection, statement_seconds)
        # From here on: the snapshot is of the first statement.
        connection.autocommit = False
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    except BaseException:
        connection.close()
        raise
    return connection


def limit_statements(connection: "Connection", seconds: float) -> None:
    """Have the server end each statement from here on after this time.

    Raises:
        psycopg.Error: the server refuses.
    """
    # No time at all would be no limit.
    limit = f"{max(round(1000 * seconds), 1)}ms"
    connection.execute("select set_config('statement_timeout', %s, false)", [limit])


def server_name(connection: "Connection") -> str:
    """Return the server and its version, for provenance."""
    version = connection.info.server_version
    return f"postgresql {version // 10_000}.{version % 10_000}"
