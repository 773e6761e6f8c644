"""Tenants and API keys in the SQLite file; the contract is in `test_identities`."""

from pathlib import Path

import pytest

from cqox.storage import SqliteStore
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import a_key, a_tenant

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_tenants_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.put_tenant(a_tenant("acme"))
        await store.put_key(a_key("k"))
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert [each.tenant_id for each in await store.tenants()] == ["acme", "default"]
        assert await store.key("k") == a_key("k")
