from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import anyio
import pytest
from trio.testing import MockClock

from cqox.analysis.job_leases import maintain, maintain_once
from cqox.storage import FileStore, ResultStore, SqliteStore
from tests.storage.bound import files_in, in_default
from tests.storage.records import a_job

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as opened:
        yield opened


async def test_the_jobs_of_an_engine_that_departed_are_settled_and_its_files_removed(
    store: SqliteStore, tmp_path: Path
) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines/gone").touch()
    files = files_in(tmp_path).directory
    (tmp_path / "incoming/gone-1").mkdir(parents=True)
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    await maintain_once(store, files)
    found = await store.job("j")
    assert found is not None
    assert found.status == "interrupted"
    assert not (tmp_path / "incoming/gone-1").exists()
    files.close()


async def test_a_volume_that_fails_is_left_for_the_next_time(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = files_in(tmp_path).directory
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    # A folder cannot be opened for writing.
    (tmp_path / "engines/gone").mkdir()
    await maintain_once(store, files)
    assert "Maintaining the job leases failed: [Errno" in caplog.text
    (tmp_path / "engines/gone").rmdir()
    (tmp_path / "engines/gone").touch()
    await maintain_once(store, files)
    files.close()
    found = await store.job("j")
    assert found is not None
    assert found.status == "interrupted"


async def test_a_store_that_is_away_is_left_for_the_next_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from cqox.storage.postgres import PostgresStore

    files = files_in(tmp_path).directory
    async with in_default(PostgresStore.open, "postgresql://cqox@127.0.0.1:1/postgres") as away:
        await maintain_once(away, files)
    files.close()
    assert "Maintaining the job leases failed" in caplog.text


async def test_a_dead_engine_is_reported_once_by_engines_that_check_at_the_same_time(
    store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = files_in(tmp_path).directory
    (tmp_path / "engines/gone").touch()
    await store.put_job(a_job("j"), owner="gone", seconds=3600)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(maintain_once, store, files)
    files.close()
    messages = [message for message in caplog.messages if "without releasing its lease" in message]
    assert messages == ["The engine gone exited without releasing its lease; 1 of its jobs are interrupted."]


class Idle:
    """Stands where a store and a volume are that have nothing to settle."""

    owner = "one"

    def __init__(self) -> None:
        self.reclaiming = anyio.Lock()

    async def ping(self) -> None:
        pass

    async def renew_jobs(self, owner: str, *, seconds: float) -> int:
        return 0

    def dead_owners(self) -> list[str]:
        return []


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_chores_are_done_each_time_and_what_is_old_is_deleted_once_an_hour(anyio_backend: object) -> None:
    done = list[str]()

    async def chore() -> None:
        done.append("chore")

    async def expire() -> None:
        done.append("expire")

    idle = Idle()
    with anyio.move_on_after(2 * 3600 + 60):
        await maintain(cast("ResultStore", idle), cast("FileStore", idle), chore, expire=expire)
    assert done.count("expire") == 3
    assert done.count("chore") > 100 * done.count("expire")
