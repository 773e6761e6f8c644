from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from cqox.analysis.tending import JOB_KEPT_DAYS, retire_once, tend_once
from cqox.storage import FileStore, SqliteStore
from tests.storage.records import a_job

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "results.sqlite") as opened:
        yield opened


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")


async def test_jobs_are_kept_for_their_days_and_a_running_one_for_as_long_as_it_runs(store: SqliteStore) -> None:
    for name, days in (("old", JOB_KEPT_DAYS + 1), ("young", JOB_KEPT_DAYS - 1)):
        record = replace(a_job(name), status="succeeded", finished_at=days_ago(days))
        await store.put_job(record, owner="one", seconds=60)
    await store.put_job(replace(a_job("runs"), created_at=days_ago(1000)), owner="one", seconds=60)
    await retire_once(store)
    assert await store.job("old") is None
    assert await store.job("young") is not None
    found = await store.job("runs")
    assert found is not None
    assert found.status == "running"


async def test_the_jobs_of_an_engine_that_departed_are_settled_and_its_files_removed(
    store: SqliteStore, tmp_path: Path
) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines/gone").touch()
    files = FileStore(tmp_path)
    (tmp_path / "incoming/gone-1").mkdir(parents=True)
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    await tend_once(store, files)
    found = await store.job("j")
    assert found is not None
    assert found.status == "interrupted"
    assert not (tmp_path / "incoming/gone-1").exists()
    files.close()


async def test_a_volume_that_fails_is_left_for_the_next_time(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = FileStore(tmp_path)
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    # A folder cannot be opened for writing.
    (tmp_path / "engines/gone").mkdir()
    await tend_once(store, files)
    assert "could not be tended: [Errno" in caplog.text
    (tmp_path / "engines/gone").rmdir()
    (tmp_path / "engines/gone").touch()
    await tend_once(store, files)
    files.close()
    found = await store.job("j")
    assert found is not None
    assert found.status == "interrupted"


async def test_a_store_that_is_away_is_left_for_the_next_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from cqox.storage.postgres import PostgresStore

    files = FileStore(tmp_path)
    async with PostgresStore.open("postgresql://cqox@127.0.0.1:1/postgres") as away:
        await tend_once(away, files)
        await retire_once(away)
    files.close()
    assert "could not be tended" in caplog.text
    assert "could not be struck" in caplog.text


async def test_an_engine_that_departed_is_told_of_once_by_whoever_tends_at_the_same_time(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = FileStore(tmp_path)
    (tmp_path / "engines/gone").touch()
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(tend_once, store, files)
    files.close()
    told = [message for message in caplog.messages if "without a farewell" in message]
    assert told == ["The engine gone ended without a farewell; 1 of its jobs are interrupted."]
