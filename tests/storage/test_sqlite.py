"""Faults of the SQLite file: removed, replaced, damaged."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import anyio
import pytest

from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage import SqliteStore, sqlite_file
from cqox.storage.sqlite_file import check_sqlite
from tests.storage.records import a_dataset, a_job, a_report

pytestmark = pytest.mark.anyio


def remove(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("results.sqlite.damaged-*"))


@pytest.mark.parametrize("alone", [False, True])
async def test_a_file_removed_under_the_store_is_created_again_and_later_writes_are_kept(
    alone: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path) as store:
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
    async with SqliteStore.open(path) as again:
        assert await again.load(a_report(2).analysis_id) == a_report(2)


async def test_concurrent_calls_on_a_removed_file_all_use_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path) as store:
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
    async with SqliteStore.open(path) as one:
        await one.save(a_report(1))
        remove(path)
        async with SqliteStore.open(path) as other:
            await other.save(a_report(2))
            assert await one.load(a_report(2).analysis_id) == a_report(2)
            await one.save(a_report(3))
            assert await other.load(a_report(3).analysis_id) == a_report(3)


async def test_a_store_without_its_directory_is_unavailable_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with SqliteStore.open(folder / "results.sqlite") as store:
        await store.save(a_report(1))
        shutil.rmtree(folder)
        with pytest.raises(StoreUnavailable):
            await store.save(a_report(2))
        with pytest.raises(StoreUnavailable):
            await store.ping()
        assert store.epoch == 1
        folder.mkdir()
        await store.register(a_dataset("a"))
        await store.ping()


async def test_a_file_that_is_not_a_database_is_set_aside_only_with_repair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"\xff" * 16_384)
    check_sqlite(path)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with SqliteStore.open(path):
            pass
    assert path.read_bytes() == b"\xff" * 16_384
    async with SqliteStore.open(path, repair=True) as store:
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
        async with SqliteStore.open(path, repair=True) as store:
            await store.save(a_report(number))

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(begin, number)
    assert len(set_aside(tmp_path)) == 1
    async with SqliteStore.open(path) as store:
        assert len((await store.reports()).items) == 3


async def test_damage_found_by_a_call_is_reported_by_ping(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path, connections=1) as store:
        await store.save(a_report(1))

        def meet(connection: sqlite3.Connection) -> None:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

        with pytest.raises(StoreUnavailable, match="malformed"):
            await store._call(meet)
        with pytest.raises(StoreUnavailable, match=r"results\.sqlite is damaged"):
            await store.ping()


def test_an_unusable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    check_sqlite(path)
    assert not path.exists()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailable, match="Run the newer version"):
        check_sqlite(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"results\.sqlite cannot be used: unable to open"):
        check_sqlite(path)


async def test_writes_are_durable_also_after_leases(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "results.sqlite", connections=1) as store:
        for _ in range(2):
            (level,) = await store._call(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
            assert level == 2
            assert await store.claim_turn("k", token="one", seconds=1)
            await store.release_turn("k", token="one")


async def test_a_page_of_jobs_is_read_in_index_order(tmp_path: Path) -> None:
    asked = list[str]()
    async with SqliteStore.open(tmp_path / "results.sqlite", connections=1) as store:
        await store._call(lambda connection: connection.set_trace_callback(asked.append))
        for before in (None, "2026-01-01|j"):
            asked.clear()
            await store.jobs(before=before)
            (query,) = [each for each in asked if "FROM jobs" in each]
            rows = await store._rows(f"EXPLAIN QUERY PLAN {query}")
            plan = " ".join(str(row[3]) for row in rows)
            assert "INDEX jobs_by_time" in plan, plan
            assert "TEMP B-TREE" not in plan, plan


async def test_an_older_file_gets_the_index_and_keeps_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.sqlite"
    with monkeypatch.context() as older:
        older.setattr(sqlite_file, "MIGRATIONS", sqlite_file.MIGRATIONS[:3])
        async with SqliteStore.open(path) as store:
            await store.put_job(a_job("j"), owner="one", seconds=60)
    async with SqliteStore.open(path) as store:
        assert [job.job_id for job in (await store.jobs()).items] == ["j"]
        names = await store._rows("SELECT name FROM sqlite_schema WHERE type = 'index'")
        assert ("jobs_by_time",) in [tuple(row) for row in names]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EACCES, StoreUnavailable)]
)
async def test_a_deletion_that_cannot_be_announced_is_store_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreUnavailable]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    async with SqliteStore.open(tmp_path / "results.sqlite") as store:
        await store.save(a_report(1))
        with monkeypatch.context() as broken:
            broken.setattr("cqox.storage.sqlite_retention.os.utime", failing)
            with pytest.raises(StoreUnavailable, match="could not be announced to other engines") as caught:
                await store.delete_reports([a_report(1).analysis_id])
            assert type(caught.value) is kind
        before = store.deletions
        await store.delete_reports([a_report(1).analysis_id])
        assert store.deletions > before
