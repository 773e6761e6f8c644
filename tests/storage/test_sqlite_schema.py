"""Schema of the SQLite store: what an earlier release can use, and from when on it refuses the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore, sqlite_schema
from cqox.storage.facts_schema import FACTS_TABLES
from cqox.storage.rows import row_of
from cqox.storage.schema import FINISHED
from cqox.storage.sqlite_facts import insert_facts
from cqox.storage.sqlite_repair import replace_damaged
from cqox.storage.sqlite_schema import MIGRATIONS, applied, enter, finish, is_entered, migrate, status
from cqox.storage.tenant_ids import TenantKeys
from tests.storage.previous_release import KNOWN_STEPS, statements
from tests.storage.records import a_dataset, a_report, some_facts

pytestmark = pytest.mark.anyio

KNOWN = KNOWN_STEPS["sqlite"]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as made:
        yield made


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def as_before(connection: sqlite3.Connection, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the schema of an earlier version, which knew this many steps and recorded them in `user_version` alone."""
    with monkeypatch.context() as earlier:
        earlier.setattr(sqlite_schema, "MIGRATIONS", MIGRATIONS[:steps])
        earlier.setattr(sqlite_schema, "_KNOWN_TO_ALL", steps)
        migrate(connection)


def use_as_before(connection: sqlite3.Connection) -> None:
    for statement, rows in statements("sqlite"):
        found = connection.execute(statement).fetchall()
        assert rows in (None, len(found)), statement
    connection.commit()


def test_the_previous_release_goes_on_using_a_file_that_this_one_has_made_or_migrated(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_before(connection, KNOWN, monkeypatch)
    use_as_before(connection)
    assert migrate(connection) == len(MIGRATIONS) - KNOWN
    connection.execute("DELETE FROM reports")
    use_as_before(connection)
    assert version(connection) == KNOWN
    assert connection.execute("SELECT tenant_id FROM reports").fetchall() == [("default",)]
    with closing(sqlite3.connect(":memory:")) as fresh:
        migrate(fresh)
        use_as_before(fresh)
        assert version(fresh) == KNOWN


def test_what_the_previous_release_deletes_takes_its_facts_with_it(connection: sqlite3.Connection) -> None:
    migrate(connection)
    use_as_before(connection)
    identity = ("default", "a")
    insert_facts(connection, TenantKeys("default"), replace(some_facts(1), analysis_id="a"))
    for table in ("analysis_facts", "analysis_items"):
        query = f"SELECT count(*) > 0 FROM {table} WHERE (tenant_id, analysis_id) = (?, ?)"
        assert connection.execute(query, identity).fetchone() == (1,)
    connection.execute("DELETE FROM reports WHERE analysis_id = 'a'")
    for table in FACTS_TABLES:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_rows_of_the_previous_release_belong_to_the_first_tenant(
    tmp_path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_before(connection, KNOWN, monkeypatch)
    dataset = a_dataset("d")
    # The previous release knows no owner.
    names = ", ".join(name for name in dataset.__dataclass_fields__ if name != "owner")
    connection.execute(f"INSERT INTO datasets ({names}) VALUES ({', '.join('?' * 9)})", row_of(dataset)[:-1])
    connection.commit()
    async with SqliteStore.open(tmp_path / "results.sqlite") as store:
        assert list(await store.within("default").datasets()) == [dataset]
        assert list(await store.within("acme").datasets()) == []


@pytest.mark.parametrize("steps", [KNOWN + 1, len(MIGRATIONS)])
def test_a_file_of_a_version_between_two_releases_is_migrated_from_where_it_is(
    steps: int, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_before(connection, steps, monkeypatch)
    assert (version(connection), applied(connection)) == (steps, steps)
    assert migrate(connection) == len(MIGRATIONS) - steps
    assert (version(connection), applied(connection)) == (steps, len(MIGRATIONS))


def test_earlier_releases_refuse_the_file_once_it_can_hold_several_tenants(connection: sqlite3.Connection) -> None:
    assert finish(connection) == 1
    connection.commit()
    assert (version(connection), applied(connection)) == (FINISHED, len(MIGRATIONS))
    assert finish(connection) == 0
    connection.commit()
    assert migrate(connection) == 0
    indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert "reports_by_time" not in indexes
    assert "reports_of_tenant_by_time" in indexes
    assert all(step.applied_at is not None for step in status(connection))


def test_the_first_second_tenant_finishes_the_file(connection: sqlite3.Connection) -> None:
    migrate(connection)
    assert not is_entered(connection, "acme")
    enter(connection, "acme")
    connection.commit()
    assert is_entered(connection, "acme")
    assert not is_entered(connection, "other")
    enter(connection, "acme")
    connection.commit()
    assert [name for (name,) in connection.execute("SELECT tenant_id FROM tenants")] == ["acme", "default"]
    assert version(connection) == FINISHED


def test_what_a_newer_release_has_only_added_is_ignored_and_what_it_has_changed_is_refused(
    connection: sqlite3.Connection,
) -> None:
    migrate(connection)
    connection.execute("INSERT INTO schema_steps VALUES (?, 'later', '')", (len(MIGRATIONS) + 1,))
    connection.commit()
    assert migrate(connection) == 0
    connection.execute(f"PRAGMA user_version = {FINISHED + 1}")
    with pytest.raises(StoreUnavailable, match="newer version"):
        applied(connection)


def test_the_status_names_each_step_and_the_last_one_is_not_pending(connection: sqlite3.Connection) -> None:
    assert {step.applied_at for step in status(connection)} == {None}
    migrate(connection)
    *steps, last = status(connection)
    assert [step.number for step in steps] == list(range(1, len(MIGRATIONS) + 1))
    assert [step.applied_at for step in steps[:KNOWN]] == [""] * KNOWN
    assert all(str(step.applied_at).endswith("Z") for step in steps[KNOWN:])
    assert (last.finishes, last.applied_at) == (True, None)


async def test_a_repaired_file_of_several_tenants_keeps_their_rows_apart_and_is_still_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path) as store:
        for name in ("default", "acme"):
            await store.within(name).save(a_report(1))
        await store.within("acme").save(a_report(2))
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    with closing(sqlite3.connect(path)) as connection:
        assert version(connection) == FINISHED
    async with SqliteStore.open(path) as store:
        found = {name: len((await store.within(name).reports()).items) for name in ("default", "acme", "other")}
        assert found == {"default": 1, "acme": 2, "other": 0}


async def test_a_tenant_enters_again_after_the_file_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path) as store:
        await store.within("acme").save(a_report(1))
        for each in tmp_path.iterdir():  # noqa: ASYNC240
            each.unlink()
        assert await store.within("acme").load(a_report(1).analysis_id) is None
        await store.within("acme").save(a_report(1))
        assert [each.tenant_id for each in await store.tenants()] == ["acme", "default"]
    with closing(sqlite3.connect(path)) as connection:
        assert version(connection) == FINISHED
