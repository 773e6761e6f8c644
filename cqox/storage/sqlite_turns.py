"""Computation leases in the SQLite store: which engine on the volume computes which report.

A lease has no value after a power failure, so its writes are not flushed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from cqox import clock
from cqox.storage.sqlite_file import Connection
from cqox.storage.tenant_ids import TenantKeys

__all__ = ["claim_turn", "drop_ended_turns", "release_turn"]


def claim_turn(connection: sqlite3.Connection, keys: TenantKeys, key: str, token: str, seconds: float) -> bool:
    """Acquire or renew the lease; return whether the token holds it now.

    A lease that ends much later than one that is acquired now is from before the clock was set back. An engine that
    still lives renews it; one that has ended would otherwise hold it until the clock is there again.
    """
    now = clock.wall_time()
    with _not_durable(connection):
        return (
            connection.execute(
                "INSERT INTO turns (tenant_id, key, token, held_until) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET token = excluded.token, held_until = excluded.held_until "
                "WHERE turns.tenant_id = excluded.tenant_id "
                "AND (turns.token = excluded.token OR turns.held_until NOT BETWEEN ? AND ?)",
                (keys.tenant_id, keys.stored(key), token, now + seconds, now, now + 2 * seconds),
            ).rowcount
            == 1
        )


def release_turn(connection: sqlite3.Connection, keys: TenantKeys, key: str, token: str) -> None:
    """Release the lease if the token holds it."""
    with _not_durable(connection):
        statement = "DELETE FROM turns WHERE tenant_id = ? AND key = ? AND token = ?"
        connection.execute(statement, (keys.tenant_id, keys.stored(key), token))


def drop_ended_turns(connection: sqlite3.Connection, keys: TenantKeys) -> None:
    """Delete the expired leases of a tenant."""
    connection.execute("DELETE FROM turns WHERE tenant_id = ? AND held_until < ?", (keys.tenant_id, clock.wall_time()))


@contextmanager
def _not_durable(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        # Committed in this block: the synchronous level cannot be changed in a transaction.
        with connection:
            yield
    finally:
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            # Later writes on this connection must be durable.
            if isinstance(connection, Connection):
                connection.reusable = False
            raise
