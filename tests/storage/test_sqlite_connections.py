"""Connections to a file that is removed, replaced or damaged."""

from pathlib import Path

import anyio
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore
from cqox.storage.sqlite_file import check_sqlite
from tests.storage.bound import in_default
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio


def set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("results.sqlite.damaged-*"))


def remove(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


@pytest.mark.parametrize("alone", [False, True])
async def test_a_file_removed_under_the_store_is_created_again_and_later_writes_are_kept(
    alone: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
        assert store.epoch == 0
        if alone:
            path.unlink()
        else:
            remove(path)
        assert await store.save(a_report(2))
        assert store.epoch == 1
        assert await store.load(a_report(1).analysis_id) is None
        await store.ping()
    assert [message for message in caplog.messages if "was removed, moved or replaced" in message]
    async with in_default(SqliteStore.open, path) as again:
        assert await again.load(a_report(2).analysis_id) == a_report(2)


async def test_concurrent_calls_on_a_removed_file_all_use_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(store.save, a_report(number))
        remove(path)
        async with anyio.create_task_group() as group:
            for number in range(20, 60):
                group.start_soon(store.save, a_report(number))
        assert store.epoch == 1
        assert len((await store.reports(limit=100)).items) == 40


async def test_a_file_created_by_another_engine_is_used(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as one:
        await one.save(a_report(1))
        remove(path)
        async with in_default(SqliteStore.open, path) as other:
            await other.save(a_report(2))
            assert await one.load(a_report(2).analysis_id) == a_report(2)
            await one.save(a_report(3))
            assert await other.load(a_report(3).analysis_id) == a_report(3)


async def test_a_file_that_is_not_a_database_is_set_aside_only_with_repair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"\xff" * 16_384)
    check_sqlite(path)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with in_default(SqliteStore.open, path):
            pass
    assert path.read_bytes() == b"\xff" * 16_384
    async with in_default(SqliteStore.open, path, repair=True) as store:
        assert await store.save(a_report(1))
        assert store.epoch == 1
        await store.ping()
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == b"\xff" * 16_384
    assert any(aside.name in message for message in caplog.messages)


async def test_two_engines_that_start_on_a_damaged_file_repair_it_once(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"\xff" * 16_384)

    async def begin(number: int) -> None:
        async with in_default(SqliteStore.open, path, repair=True) as store:
            await store.save(a_report(number))

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(begin, number)
    assert len(set_aside(tmp_path)) == 1
    async with in_default(SqliteStore.open, path) as store:
        assert len((await store.reports()).items) == 3
