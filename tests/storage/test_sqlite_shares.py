"""Share links in the SQLite file; the contract is in `test_shares`."""

from pathlib import Path

import pytest

from cqox.storage import SqliteStore
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import a_report, a_share

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_share_links(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
        await store.put_share(a_share(1, "a"))
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.share_of(a_share(1, "a").digest) == a_share(1, "a")


async def test_a_lookup_is_by_an_index(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        for column in ("digest", "analysis_id"):
            plan = await store._rows(f"EXPLAIN QUERY PLAN SELECT * FROM shares WHERE {column} = ?", "a")
            assert "USING INDEX shares_by" in str([tuple(row) for row in plan])
