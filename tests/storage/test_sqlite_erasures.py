"""Erasures in the SQLite file; the contract is in `test_erasures`."""

from pathlib import Path

import pytest

from cqox.storage import SqliteStore
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, an_erasure

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_erasures(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.put_erasure(an_erasure())
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.erasure(an_erasure().erasure_id) == an_erasure()


async def test_other_engines_are_told_that_everything_is_erased(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as one, in_default(SqliteStore.open, path) as other:
        await one.register(a_dataset("d"))
        before = other.deletions
        await one.erase_everything()
        assert other.deletions > before
