"""The contract of `AuditStore`, run on every backend."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import psycopg
import pytest

from cqox.security import ChainBroken, verified_chain
from cqox.storage import AuditFilter, ResultStore, SqliteStore
from cqox.storage.postgres import PostgresStore
from tests.servers import Postgres
from tests.storage.bound import in_default
from tests.storage.conftest import Opening
from tests.storage.records import an_event

pytestmark = pytest.mark.anyio


async def numbers(store: ResultStore, **given: str | None) -> list[int]:
    return [entry.seq for entry in (await store.audit(wanted=AuditFilter(**given))).items]


async def test_entries_are_chained_in_the_order_in_which_they_are_appended(store: ResultStore) -> None:
    assert await store.audit_head() is None
    assert await store.append_audit([]) == 0
    assert await store.append_audit([an_event(2), an_event(1)]) == 2
    assert await store.append_audit([an_event(3)]) == 1
    entries = await store.audit_after(0, limit=9)
    assert [(entry.seq, entry.request_id) for entry in entries] == [(1, "r2"), (2, "r1"), (3, "r3")]
    assert verified_chain("default", entries).digest == entries[-1].digest
    assert await store.audit_head() == entries[-1]
    assert list(await store.audit_after(1, limit=1)) == [entries[1]]


async def test_an_event_is_appended_once(store: ResultStore) -> None:
    await store.append_audit([an_event(1)])
    assert await store.append_audit([an_event(1), an_event(2), an_event(2)]) == 1
    assert await numbers(store) == [2, 1]


async def test_an_event_of_another_tenant_is_refused(store: ResultStore) -> None:
    with pytest.raises(ValueError, match="own tenant"):
        await store.append_audit([an_event(1, "acme")])


async def test_engines_that_append_at_once_leave_one_chain_without_gaps(open_store: Opening) -> None:
    async with open_store() as one, open_store() as other, anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon((one, other)[number % 2].append_audit, [an_event(number), an_event(100 + number)])
    async with open_store() as store:
        entries = await store.audit_after(0, limit=99)
        assert [entry.seq for entry in entries] == list(range(1, 61))
        assert verified_chain("default", entries).seq == 60


async def test_each_tenant_has_a_chain_of_its_own(open_store: Opening) -> None:
    async with open_store() as store:
        acme = store.within("acme")
        for number in range(3):
            await store.append_audit([an_event(number)])
            await acme.append_audit([an_event(number, "acme")])
        assert await numbers(acme) == await numbers(store) == [3, 2, 1]
        assert verified_chain("acme", await acme.audit_after(0, limit=9)).seq == 3


async def test_listings_are_filtered_and_paged(store: ResultStore) -> None:
    await store.append_audit([an_event(number, subject=f"key:{number % 2}") for number in range(6)])
    await store.append_audit([an_event(9, thing="analysis:x")])
    assert await numbers(store, subject="key:1") == [6, 4, 2]
    assert await numbers(store, object="analysis:x") == [7]
    assert await numbers(store, action="nothing") == []
    assert await numbers(store, since=an_event(2).at, until=an_event(4).at) == [4, 3]
    assert await numbers(store, subject="\0") == await numbers(store, object="\ud800") == []
    page = await store.audit(limit=3)
    assert [entry.seq for entry in page.items] == [7, 6, 5]
    assert page.next == f"{an_event(4).at}|5"
    assert [entry.seq for entry in (await store.audit(limit=4, before=5)).items] == [4, 3, 2, 1]
    assert (await store.audit(limit=7)).next is None


async def test_the_log_survives_a_reopen_and_an_erasure_of_everything(open_store: Opening) -> None:
    async with open_store() as store:
        await store.append_audit([an_event(1)])
        assert await store.erase_everything() == 0
    async with open_store() as store:
        await store.append_audit([an_event(2)])
        assert verified_chain("default", await store.audit_after(0, limit=9)).seq == 2


CHANGES = (
    "UPDATE audit SET subject = 'key:other' WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 2",
    "DELETE FROM audit",
)
WITHOUT_TRIGGERS: Sequence[tuple[str, str]] = (
    ("UPDATE audit SET subject = 'key:other' WHERE seq = 2", "altered"),
    ("UPDATE audit SET outcome = 'failed' WHERE seq = 2", "altered"),
    ("DELETE FROM audit WHERE seq = 2", "removed"),
    ("UPDATE audit SET seq = 9 WHERE seq = 2", "removed"),
)


@pytest.mark.parametrize("change", CHANGES)
async def test_sqlite_refuses_changes_of_entries(tmp_path: Path, change: str) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r") as store:
        await store.append_audit([an_event(number) for number in range(3)])
    with (
        closing(sqlite3.connect(tmp_path / "r")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="never changed"),
    ):
        connection.execute(change)


@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize("change", [*CHANGES, "TRUNCATE audit"])
async def test_postgres_refuses_changes_of_entries(postgres_server: Postgres, change: str) -> None:
    url = postgres_server.fresh()
    async with in_default(PostgresStore.open, url) as store:
        await store.append_audit([an_event(number) for number in range(3)])
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="never changed"):
        connection.execute(change)


@pytest.mark.parametrize(("change", "how"), WITHOUT_TRIGGERS)
async def test_a_change_around_the_triggers_is_found_at_its_entry(tmp_path: Path, change: str, how: str) -> None:
    async with in_default(SqliteStore.open, tmp_path / "r") as store:
        await store.append_audit([an_event(number) for number in range(4)])
    with closing(sqlite3.connect(tmp_path / "r")) as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute(change)
        connection.commit()
    async with in_default(SqliteStore.open, tmp_path / "r") as store:
        with pytest.raises(ChainBroken) as broken:
            verified_chain("default", await store.audit_after(0, limit=9))
        assert (broken.value.seq, broken.value.how) == (2, how)
