"""Erasures in the SQLite file; the contract is in `test_erasures`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore, sqlite_erasures
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report, an_erasure

pytestmark = pytest.mark.anyio


def files_with(folder: Path, content: bytes) -> list[str]:
    return [each.name for each in folder.iterdir() if content in each.read_bytes()]


async def test_a_repair_keeps_erasures(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.put_erasure(an_erasure())
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.erasure(an_erasure().erasure_id) == an_erasure()


async def test_other_engines_are_notified_that_everything_is_erased(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as one, in_default(SqliteStore.open, path) as other:
        await one.register(a_dataset("d"))
        before = other.deletions
        await one.erase_everything()
        assert other.deletions > before


async def test_a_scrub_leaves_no_deleted_byte_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        for number in range(20):
            await store.save(a_report(number, body=b"planted" * 5_000))
        await store.erase_everything()
        await store.scrub()
        assert files_with(tmp_path, b"planted") == []
        assert path.with_name("results.sqlite-wal").stat().st_size == 0


async def test_a_scrub_waits_for_a_reader_and_says_so_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_erasures, "_ATTEMPTS", 3)
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM reports").fetchone()
            await store.erase_everything()
            with pytest.raises(StoreUnavailable, match="write-ahead log"):
                await store.scrub()
        await store.scrub()
