"""Jobs and computation leases in the contract of `ResultStore`, run on every backend."""

from dataclasses import replace

import anyio
import pytest

from cqox.storage import JobRecord, ResultStore
from tests.storage.conftest import Opening
from tests.storage.records import a_job, an_ended_job
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_a_job_is_returned_as_inserted_and_as_updated(store: ResultStore) -> None:
    assert await store.job("j") is None
    await store.put_job(a_job("j"), owner="one", seconds=60)
    assert await store.job("j") == a_job("j")
    ended = replace(a_job("j"), status="failed", finished_at="2026-01-01T00:00:01+00:00", problem=b'{"status":422}')
    await store.put_job(ended, owner="one", seconds=60)
    assert await store.job("j") == ended


async def test_a_final_status_is_not_overwritten_by_a_late_insert(store: ResultStore) -> None:
    ended = replace(a_job("j"), status="succeeded", finished_at="2026-01-01T00:00:01+00:00", analysis_id="a")
    await store.put_job(ended, owner="one", seconds=60)
    await store.put_job(a_job("j"), owner="one", seconds=60)
    assert await store.job("j") == ended


async def test_only_the_jobs_of_the_dead_engine_are_interrupted(store: ResultStore) -> None:
    for name, owner in (("mine", "one"), ("also", "one"), ("other", "two")):
        await store.put_job(a_job(name), owner=owner, seconds=60)
    await store.put_job(replace(a_job("also"), status="cancelled", finished_at="then"), owner="one", seconds=60)
    assert await store.interrupt_jobs("one", finished_at="now") == 1
    assert await store.job("mine") == replace(a_job("mine"), status="interrupted", finished_at="now")
    assert (await store.job("also")) == replace(a_job("also"), status="cancelled", finished_at="then")
    assert await store.job("other") == a_job("other")


async def test_a_job_with_an_expired_lease_is_interrupted_and_may_still_end(store: ResultStore) -> None:
    await store.put_job(a_job("j"), owner="one", seconds=-1)
    assert await store.job("j") == replace(a_job("j"), status="interrupted")
    assert await store.renew_jobs("one", seconds=60) == 1
    assert await store.job("j") == a_job("j")
    await store.interrupt_jobs("one", finished_at="now")
    assert await store.renew_jobs("one", seconds=60) == 0
    ended = replace(a_job("j"), status="succeeded", finished_at="later", analysis_id="a")
    await store.put_job(ended, owner="one", seconds=60)
    assert await store.job("j") == ended


async def test_a_single_job_of_an_engine_can_be_interrupted(store: ResultStore) -> None:
    for name, owner in (("a", "one"), ("b", "one"), ("c", "two")):
        await store.put_job(a_job(name), owner=owner, seconds=60)
    assert await store.interrupt_job("a", "one", finished_at="2026-01-02") is True
    assert await store.interrupt_job("c", "one", finished_at="2026-01-02") is False
    found = [await store.job(name) for name in "abc"]
    assert [job and job.status for job in found] == ["interrupted", "running", "running"]


async def test_a_computation_lease_has_one_holder_until_it_is_released(store: ResultStore) -> None:
    assert await store.claim_turn("k", token="one", seconds=60)
    assert await store.claim_turn("k", token="one", seconds=60)
    assert not await store.claim_turn("k", token="two", seconds=60)
    assert await store.claim_turn("other", token="two", seconds=60)
    await store.release_turn("k", token="two")
    assert not await store.claim_turn("k", token="two", seconds=60)
    await store.release_turn("k", token="one")
    assert await store.claim_turn("k", token="two", seconds=60)


async def test_a_computation_lease_that_is_not_renewed_expires_and_is_deleted(store: ResultStore) -> None:
    assert await store.claim_turn("j", token="dead", seconds=0.05)
    assert await store.claim_turn("k", token="dead", seconds=0.05)
    await until(lambda: store.claim_turn("k", token="two", seconds=60))
    assert not await store.claim_turn("k", token="dead", seconds=60)
    await store.retire_jobs(ended_before="2020-01-01", most=100, now="2026-01-01")
    statement = "SELECT key FROM turns"
    rows = await store._call(lambda connection: connection.execute(statement).fetchall())  # type: ignore[attr-defined]
    assert [tuple(row) for row in rows] == [("k",)]


async def test_one_of_many_concurrent_claims_gets_the_computation_lease(open_store: Opening) -> None:
    async with open_store() as one, open_store() as two:
        held = list[bool]()

        async def claim(number: int) -> None:
            held.append(await (one, two)[number % 2].claim_turn("k", token=str(number), seconds=60))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(claim, number)
    assert sorted(held) == [False] * 19 + [True]


async def test_jobs_that_ended_long_ago_are_deleted_and_running_jobs_stay(store: ResultStore) -> None:
    for name in ("runs", "also"):
        await store.put_job(a_job(name), owner="one", seconds=60)
    for number, status in enumerate(("succeeded", "failed", "cancelled", "interrupted")):
        await store.put_job(an_ended_job(f"old{number}", "2026-01-01T00:00:00+00:00", status), owner="one", seconds=60)
    await store.put_job(an_ended_job("new", "2026-03-01T00:00:00+00:00"), owner="one", seconds=60)
    assert await store.retire_jobs(ended_before="2026-02-01", most=100, now="2026-03-02") == 4
    assert [await store.job(f"old{number}") for number in range(4)] == [None] * 4
    assert await store.job("new") == an_ended_job("new", "2026-03-01T00:00:00+00:00")
    assert await store.job("runs") == a_job("runs")
    assert await store.retire_jobs(ended_before="2027-01-01", most=0, now="2027-01-01") == 1
    assert await store.renew_jobs("one", seconds=60) == 2


async def test_the_latest_ended_jobs_are_kept_up_to_a_number(store: ResultStore) -> None:
    for number in range(6):
        await store.put_job(
            an_ended_job(f"j{number}", f"2026-01-0{number + 1}T00:00:00+00:00"), owner="one", seconds=60
        )
    await store.put_job(a_job("runs"), owner="one", seconds=60)
    assert await store.retire_jobs(ended_before="2026-01-01", most=2, now="2026-02-01") == 4
    assert [await store.job(f"j{number}") is None for number in range(6)] == [True] * 4 + [False] * 2
    assert await store.job("runs") == a_job("runs")


async def test_a_job_abandoned_for_a_day_is_interrupted_now_and_deleted_later(
    store: ResultStore,
) -> None:
    await store.put_job(a_job("a"), owner="gone", seconds=-100_000)
    await store.put_job(a_job("late"), owner="away", seconds=-80_000)
    assert await store.retire_jobs(ended_before="2030-01-01", most=100, now="2030-06-01") == 0
    assert await store.job("a") == replace(a_job("a"), status="interrupted", finished_at="2030-06-01")
    assert await store.renew_jobs("away", seconds=60) == 1
    assert await store.job("late") == a_job("late")
    assert await store.retire_jobs(ended_before="2030-07-01", most=100, now="2030-08-01") == 1
    assert await store.job("a") is None


def begun(name: str, at: str, *, dataset_id: str = "d") -> JobRecord:
    return replace(a_job(name), created_at=at, dataset_id=dataset_id)


async def test_jobs_are_listed_newest_first_page_by_page_and_by_data_set_and_status(store: ResultStore) -> None:
    for number in range(5):
        job = begun(f"j{number}", f"2026-01-01T00:00:0{number // 2}+00:00", dataset_id="ab"[number % 2])
        await store.put_job(job, owner="one", seconds=60 if number else -60)
    done = replace(begun("j3", "2026-01-01T00:00:01+00:00", dataset_id="b"), status="failed", problem=b"{}")
    await store.put_job(done, owner="one", seconds=60)
    seen, before = list[JobRecord](), None
    while True:
        page = await store.jobs(limit=2, before=before)
        seen += page.items
        if (before := page.next) is None:
            break
    assert [job.job_id for job in seen] == ["j4", "j3", "j2", "j1", "j0"]
    assert [await store.job(job.job_id) for job in seen] == seen
    assert [job.status for job in seen] == ["running", "failed", "running", "running", "interrupted"]
    assert [job.job_id for job in (await store.jobs(dataset_id="b")).items] == ["j3", "j1"]
    assert [job.job_id for job in (await store.jobs(status="interrupted")).items] == ["j0"]
    assert [job.job_id for job in (await store.jobs(status="running", dataset_id="a")).items] == ["j4", "j2"]
    for nothing in ("\0", "\ud800", "x"):
        assert (await store.jobs(dataset_id=nothing)).items == []
    assert (await store.jobs(before="\0")).items == []


async def test_the_record_of_an_ended_job_can_be_deleted_and_its_id_reused(store: ResultStore) -> None:
    await store.put_job(a_job("runs"), owner="one", seconds=60)
    await store.put_job(a_job("lost"), owner="two", seconds=-60)
    await store.put_job(an_ended_job("done", "2026-01-01"), owner="one", seconds=60)
    for name, gone in (("runs", False), ("lost", True), ("done", True), ("done", False), ("\0", False)):
        assert await store.delete_job(name) is gone
    assert [job.job_id for job in (await store.jobs()).items] == ["runs"]
    await store.put_job(a_job("done"), owner="one", seconds=60)
    assert await store.job("done") == a_job("done")


async def test_the_records_of_the_ended_jobs_of_a_data_set_are_deleted_together(store: ResultStore) -> None:
    for name, dataset_id in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        await store.put_job(replace(an_ended_job(name, "2026"), dataset_id=dataset_id), owner="one", seconds=60)
    await store.put_job(replace(a_job("runs"), dataset_id="a"), owner="one", seconds=60)
    assert await store.delete_jobs_of("a") == 2
    assert await store.delete_jobs_of("\0") == 0
    assert sorted(job.job_id for job in (await store.jobs()).items) == ["b1", "runs"]
