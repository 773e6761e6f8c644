"""The audit log in the SQLite file; the contract is in `test_audit`."""

from pathlib import Path

import pytest

from cqox.security import verified_chain
from cqox.storage import SqliteStore
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import an_event

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_the_log_and_its_triggers(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.append_audit([an_event(number) for number in range(3)])
        await store.within("acme").append_audit([an_event(1, "acme")])
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert verified_chain("default", await store.audit_after(0, limit=9)).seq == 3
        assert await store.within("acme").audit_head() is not None
        triggers = await store._rows(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit' ORDER BY 1"
        )
        assert [str(row[0]) for row in triggers] == ["audit_no_delete", "audit_no_update"]


async def test_a_page_is_read_by_an_index(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        plan = await store._rows(
            "EXPLAIN QUERY PLAN SELECT * FROM audit WHERE tenant_id = 'a' ORDER BY seq DESC LIMIT 9"
        )
        assert "INDEX audit_of_tenant" in str([tuple(row) for row in plan])
