"""Computation leases in the SQLite store, on one connection."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cqox.storage import SqliteStore
from cqox.storage.sqlite_file import Connection
from cqox.storage.sqlite_schema import migrate
from cqox.storage.sqlite_turns import claim_turn, drop_ended_turns, release_turn
from cqox.storage.tenant_ids import DEFAULT_TENANT, TenantKeys
from tests.storage.bound import in_default

pytestmark = pytest.mark.anyio

KEYS = TenantKeys(DEFAULT_TENANT)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a new file with the schema."""
    made = sqlite3.connect(tmp_path / "results.sqlite", factory=Connection)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock forward by an hour."""
    now = time.time()
    monkeypatch.setattr("cqox.clock.wall_time", lambda: now + 3600)


def held(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT key, token FROM turns ORDER BY key").fetchall()


async def test_writes_are_durable_also_after_leases(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite", connections=1) as store:
        for _ in range(2):
            (level,) = await store._call(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
            assert level == 2
            assert await store.claim_turn("k", token="one", seconds=1)
            await store.release_turn("k", token="one")


def test_a_lease_has_one_holder_who_may_renew_and_release_it(connection: Connection) -> None:
    assert claim_turn(connection, KEYS, "k", "one", 60)
    assert claim_turn(connection, KEYS, "k", "one", 60)
    assert not claim_turn(connection, KEYS, "k", "two", 60)
    assert claim_turn(connection, KEYS, "other", "two", 60)
    release_turn(connection, KEYS, "k", "two")
    assert held(connection) == [("k", "one"), ("other", "two")]
    release_turn(connection, KEYS, "k", "one")
    assert claim_turn(connection, KEYS, "k", "two", 60)


def test_an_expired_lease_is_free_for_another(connection: Connection, request: pytest.FixtureRequest) -> None:
    assert claim_turn(connection, KEYS, "k", "one", 60)
    request.getfixturevalue("later")
    assert claim_turn(connection, KEYS, "k", "two", 60)
    assert not claim_turn(connection, KEYS, "k", "one", 60)


def test_a_lease_from_before_the_clock_was_set_back_is_free(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for ahead, free in ((50, False), (70, True), (7200, True)):
        monkeypatch.setattr("cqox.clock.wall_time", lambda ahead=ahead: now + ahead)
        assert claim_turn(connection, KEYS, f"k{ahead}", "of an engine that has ended", 60)
        monkeypatch.setattr("cqox.clock.wall_time", lambda: now)
        assert claim_turn(connection, KEYS, f"k{ahead}", "of another", 60) is free
        # Held as any other from then on.
        assert not claim_turn(connection, KEYS, f"k{ahead}", "third", 60)


def test_only_expired_leases_are_dropped(connection: Connection, request: pytest.FixtureRequest) -> None:
    claim_turn(connection, KEYS, "short", "one", 60)
    claim_turn(connection, KEYS, "long", "one", 7200)
    drop_ended_turns(connection, KEYS)
    assert len(held(connection)) == 2
    request.getfixturevalue("later")
    drop_ended_turns(connection, KEYS)
    assert held(connection) == [("long", "one")]


def test_a_connection_that_stays_less_durable_is_not_used_again(connection: Connection) -> None:
    def refuse(action: int, name: str | None, value: str | None, *_: object) -> int:
        refused = action == sqlite3.SQLITE_PRAGMA and name == "synchronous" and value == "FULL"
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    connection.set_authorizer(refuse)
    with pytest.raises(sqlite3.DatabaseError):
        claim_turn(connection, KEYS, "k", "one", 60)
    assert not connection.reusable
