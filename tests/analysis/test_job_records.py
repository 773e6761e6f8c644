"""Jobs are recorded before they begin, and their ends however long the store is away."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.analysis.job_records import JobRecords
from cqox.errors import StoreUnavailable
from cqox.storage import JobRecord, SqliteStore
from tests.storage.bound import in_default
from tests.storage.records import a_job
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio
ME = "me"


class Moody(SqliteStore):
    """A store that can be away, lose its answers after it has done the work, or never answer."""

    away = False
    deaf = False
    silent = False

    async def put_job(self, job: JobRecord, *, owner: str, seconds: float) -> None:
        if self.away:
            raise StoreUnavailable("away") from ConnectionRefusedError()
        await super().put_job(job, owner=owner, seconds=seconds)
        if self.silent:
            await anyio.sleep_forever()
        if self.deaf:
            raise StoreUnavailable("the answer was lost")

    async def interrupt_job(self, job_id: str, owner: str, *, finished_at: str) -> bool:
        if self.away or self.deaf:
            raise StoreUnavailable("away")
        return await super().interrupt_job(job_id, owner, finished_at=finished_at)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Moody]:
    async with in_default(Moody.open, tmp_path / "results.sqlite") as opened:
        yield opened


def done(name: str) -> JobRecord:
    return replace(a_job(name), status="succeeded", finished_at="2026-01-01T00:00:00.000000+00:00", analysis_id="a")


async def status(store: Moody, job_id: str) -> str | None:
    found = await store.job(job_id)
    return None if found is None else found.status


async def test_a_job_that_cannot_be_recorded_is_refused_and_is_nowhere(store: Moody) -> None:
    records = JobRecords(store, ME)
    store.away = True
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("j"))
    store.away = False
    assert not records.is_waiting("j")
    await records.settle()
    assert await status(store, "j") is None


async def test_a_job_whose_recording_may_have_been_carried_out_does_not_stay_running(store: Moody) -> None:
    records = JobRecords(store, ME)
    store.deaf = True
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("j"))
    assert await status(store, "j") == "running"
    assert records.is_waiting("j")
    await records.settle()
    store.deaf = False
    await records.settle()
    assert await status(store, "j") == "interrupted"
    assert not records.is_waiting("j")


async def test_asking_again_while_the_store_is_away_does_not_forget_what_the_first_recording_may_have_left(
    store: Moody,
) -> None:
    records = JobRecords(store, ME)
    store.deaf = True
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("a"))
    store.deaf, store.away = False, True
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("a"))
    assert records.is_waiting("a")
    store.away = False
    await records.settle()
    assert await status(store, "a") == "interrupted"


async def test_asking_again_while_the_store_is_away_does_not_forget_an_end_that_waits(store: Moody) -> None:
    records = JobRecords(store, ME)
    await records.begin(a_job("a"))
    store.away = True
    await records.end(done("a"))
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("a"))
    store.away = False
    await records.settle()
    assert await status(store, "a") == "succeeded"


async def test_a_client_that_leaves_while_its_job_is_recorded_leaves_no_running_one(store: Moody) -> None:
    records = JobRecords(store, ME)
    store.silent = True
    with anyio.move_on_after(0.2) as left:
        await records.begin(a_job("j"))
    assert left.cancelled_caught
    store.silent = False
    await records.settle()
    assert await status(store, "j") == "interrupted"


async def test_a_store_that_does_not_answer_in_time_is_one_that_is_away(store: Moody) -> None:
    records = JobRecords(store, ME, seconds=0.1)
    store.silent = True
    with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(StoreUnavailable, match=r"within 0\.1 s"):
        await records.begin(a_job("j"))
    assert records.is_waiting("j")


async def test_a_job_that_is_recorded_at_last_is_no_longer_one_that_never_began(store: Moody) -> None:
    records = JobRecords(store, ME)
    store.deaf = True
    with pytest.raises(StoreUnavailable):
        await records.begin(a_job("j"))
    store.deaf = False
    await records.begin(a_job("j"))
    await records.settle()
    assert await status(store, "j") == "running"


async def test_an_end_that_cannot_be_recorded_is_recorded_once_the_store_is_back(store: Moody) -> None:
    records = JobRecords(store, ME)
    await records.begin(a_job("j"))
    store.away = True
    await records.end(done("j"))
    assert records.is_waiting("j")
    await records.settle()
    assert await status(store, "j") == "running"
    store.away = False
    await records.settle()
    assert await status(store, "j") == "succeeded"
    assert not records.is_waiting("j")


async def test_an_end_stands_above_a_lease_that_ran_out_meanwhile(store: Moody) -> None:
    records = JobRecords(store, ME)
    await records.begin(a_job("j"))
    store.away = True
    await records.end(done("j"))
    store.away = False
    await store.interrupt_jobs(ME, finished_at="2026-01-02T00:00:00.000000+00:00")
    await records.settle()
    assert await status(store, "j") == "succeeded"


async def test_what_waits_for_the_store_is_bounded_and_what_is_dropped_is_logged(
    store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    records = JobRecords(store, ME, most=3)
    store.away = True
    for number in range(5):
        await records.end(done(f"j{number}"))
    assert [records.is_waiting(f"j{number}") for number in range(5)] == [False, False, True, True, True]
    assert sum("will not be recorded" in message for message in caplog.messages) == 2


async def test_of_those_who_ask_for_one_job_at_once_one_decides_at_a_time(store: Moody) -> None:
    records, inside, most = JobRecords(store, ME), list[int](), list[int]()

    async def decide(job_id: str | None) -> None:
        async with records.exclusive(job_id):
            inside.append(1)
            most.append(len(inside))
            await anyio.wait_all_tasks_blocked()
            inside.pop()

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(decide, "j")
    assert most == [1] * 5
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(decide, None)
    assert max(most) == 5
    assert not records._locks
