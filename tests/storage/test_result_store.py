"""The contract of `ResultStore`, run on every backend."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import JobRecord, JobStatus, ResultStore, SqliteStore
from cqox.storage.postgres import PostgresStore
from tests.storage.records import a_dataset, a_job, a_report
from tests.waiting import until

pytestmark = pytest.mark.anyio
type Opening = Callable[[], AbstractAsyncContextManager[SqliteStore | PostgresStore]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("servers"))])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Return a function that opens the same store of the backend each time."""
    if request.param == "sqlite":
        return lambda: SqliteStore.open(tmp_path / "results.sqlite")
    url = request.getfixturevalue("postgres_server").fresh()
    return lambda: PostgresStore.open(url)


@pytest.fixture
async def store(open_store: Opening) -> AsyncIterator[ResultStore]:
    async with open_store() as opened:
        yield opened


async def test_a_saved_report_is_read_back_byte_for_byte(store: ResultStore) -> None:
    report = a_report(1, body=b'{"text":"\xe6\x97\xa5","zero":0}')
    assert await store.save(report) is True
    assert await store.load(report.analysis_id) == report


async def test_a_report_that_was_never_saved_is_none(store: ResultStore) -> None:
    assert await store.load("nothing") is None


async def test_the_first_report_of_an_id_is_kept(store: ResultStore) -> None:
    first, second = a_report(1), a_report(1, body=b'{"another":true}')
    assert await store.save(first) is True
    assert await store.save(second) is False
    assert await store.load(first.analysis_id) == first


async def test_exactly_one_of_many_concurrent_saves_of_one_id_inserts(store: ResultStore) -> None:
    inserted: list[bool] = []

    async def save() -> None:
        inserted.append(await store.save(a_report(1)))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(save)
    assert sorted(inserted) == [False] * 19 + [True]


async def test_pages_are_ordered_newest_first_and_complete(store: ResultStore) -> None:
    for number in range(7):
        await store.save(a_report(number, created_at=f"2026-01-01T00:00:0{number // 2}+00:00"))
    seen: list[str] = []
    before = None
    while True:
        page = await store.reports(limit=3, before=before)
        seen += [report.analysis_id for report in page.items]
        if (before := page.next) is None:
            break
    assert seen == [f"{number:032x}" for number in reversed(range(7))]


async def test_a_listing_can_be_filtered_by_data_set_and_omits_bodies(store: ResultStore) -> None:
    await store.save(a_report(1, dataset_id="a"))
    await store.save(a_report(2, dataset_id="b"))
    page = await store.reports(dataset_id="b")
    assert [report.analysis_id for report in page.items] == [f"{2:032x}"]
    assert (page.items[0].report, page.items[0].figures, page.next) == (b"", b"", None)


@pytest.mark.parametrize("invalid", ["\0", "a\0b", "\ud800"])
async def test_an_id_that_no_database_can_store_matches_no_row(store: ResultStore, invalid: str) -> None:
    for _ in range(6):
        assert await store.load(invalid) is None
        assert await store.dataset(invalid) is None
        assert await store.job(invalid) is None
        assert await store.forget(invalid) is False
        assert (await store.reports(dataset_id=invalid)).items == []
        assert (await store.reports(before=f"{invalid}|{invalid}")).items == []
    await store.ping()


async def test_a_registered_data_set_is_found_listed_and_forgotten(store: ResultStore) -> None:
    record = a_dataset("a")
    assert await store.register(record) == record
    assert await store.dataset("a") == record
    assert list(await store.datasets()) == [record]
    assert await store.forget("a") is True
    assert await store.forget("a") is False
    assert await store.dataset("a") is None


async def test_registering_a_data_set_again_keeps_the_first_row(store: ResultStore) -> None:
    first = await store.register(a_dataset("a"))
    again = await store.register(a_dataset("a", created_at="2027-01-01T00:00:00.000000+00:00"))
    assert again == first


async def test_a_sample_follows_the_code_that_makes_it(store: ResultStore) -> None:
    await store.register(a_dataset("test", sample=True))
    renewed = await store.register(replace(a_dataset("test", sample=True), digest="another"))
    assert renewed.digest == "another"


async def test_samples_are_listed_first_then_the_newest(store: ResultStore) -> None:
    await store.register(a_dataset("old", created_at="2026-01-01T00:00:00+00:00"))
    await store.register(a_dataset("new", created_at="2026-02-01T00:00:00+00:00"))
    await store.register(a_dataset("test", sample=True))
    assert [record.dataset_id for record in await store.datasets()] == ["test", "new", "old"]


async def test_acknowledged_writes_survive_a_reopen(open_store: Opening) -> None:
    async with open_store() as store:
        await store.save(a_report(5))
    async with open_store() as store:
        assert await store.load(f"{5:032x}") == a_report(5)


async def test_concurrent_opens_of_a_new_store_migrate_once(open_store: Opening) -> None:
    async def use() -> None:
        async with open_store() as store:
            await store.ping()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(use)
    async with open_store() as store:
        assert await store.migrate() == 0
        assert all(step.applied_at is not None for step in await store.migrations())


async def test_a_report_with_a_wrong_digest_is_not_returned(store: ResultStore) -> None:
    await store.save(replace(a_report(1), digest="0" * 32))
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.load(f"{1:032x}")


async def test_a_report_with_a_wrong_digest_is_replaced_by_a_save(store: ResultStore) -> None:
    await store.save(replace(a_report(1), digest="0" * 32))
    assert await store.save(a_report(1)) is True
    assert await store.load(f"{1:032x}") == a_report(1)
    assert await store.save(a_report(1)) is False


async def test_damaged_reports_do_not_open_the_circuit(store: ResultStore) -> None:
    await store.save(replace(a_report(1), digest="0" * 32))
    await store.save(a_report(2))
    for _ in range(8):
        with pytest.raises(StoreUnavailable, match="damaged"):
            await store.load(f"{1:032x}")
    assert await store.load(f"{2:032x}") == a_report(2)


@pytest.mark.parametrize("body", [b'"\\u0000"', b"no JSON", b"\xff\x00", b"1e999999"])
async def test_bytes_that_a_database_cannot_parse_as_json_are_stored_unchanged(store: ResultStore, body: bytes) -> None:
    assert await store.save(a_report(1, body=body)) is True
    assert await store.load(f"{1:032x}") == a_report(1, body=body)


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


def ended(name: str, at: str, status: JobStatus = "succeeded") -> JobRecord:
    return replace(a_job(name), status=status, finished_at=at)


async def test_a_single_job_of_an_engine_can_be_interrupted(store: ResultStore) -> None:
    for name, owner in (("a", "one"), ("b", "one"), ("c", "two")):
        await store.put_job(a_job(name), owner=owner, seconds=60)
    assert await store.interrupt_jobs("one", finished_at="2026-01-02", job_id="a") == 1
    assert await store.interrupt_jobs("one", finished_at="2026-01-02", job_id="c") == 0
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
        await store.put_job(ended(f"old{number}", "2026-01-01T00:00:00+00:00", status), owner="one", seconds=60)
    await store.put_job(ended("new", "2026-03-01T00:00:00+00:00"), owner="one", seconds=60)
    assert await store.retire_jobs(ended_before="2026-02-01", most=100, now="2026-03-02") == 4
    assert [await store.job(f"old{number}") for number in range(4)] == [None] * 4
    assert await store.job("new") == ended("new", "2026-03-01T00:00:00+00:00")
    assert await store.job("runs") == a_job("runs")
    assert await store.retire_jobs(ended_before="2027-01-01", most=0, now="2027-01-01") == 1
    assert await store.renew_jobs("one", seconds=60) == 2


async def test_the_latest_ended_jobs_are_kept_up_to_a_number(store: ResultStore) -> None:
    for number in range(6):
        await store.put_job(ended(f"j{number}", f"2026-01-0{number + 1}T00:00:00+00:00"), owner="one", seconds=60)
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


async def test_deleted_reports_are_gone_and_may_be_saved_again(store: ResultStore) -> None:
    for number in range(4):
        await store.save(a_report(number))
    ids = [a_report(number).analysis_id for number in range(5)]
    assert await store.stored(ids) == frozenset(ids[:4])
    assert sorted(await store.delete_reports([ids[1], ids[4], ids[2], "\0", "\ud800"])) == ids[1:3]
    assert await store.delete_reports(ids[1:3]) == []
    assert await store.load(ids[1]) is None
    assert [report.analysis_id for report in (await store.reports()).items] == [ids[3], ids[0]]
    assert await store.stored(ids) == {ids[0], ids[3]}
    assert await store.save(a_report(1)) is True
    assert await store.load(ids[1]) == a_report(1)
    assert await store.delete_reports([]) == []
    assert await store.stored([]) == frozenset()


async def test_concurrent_deletions_of_one_report_all_succeed(store: ResultStore) -> None:
    for number in range(20):
        await store.save(a_report(number))
    ids = [a_report(number).analysis_id for number in range(20)]
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(store.delete_reports, ids)
    assert await store.stored(ids) == frozenset()


async def test_reports_expire_oldest_first_unless_a_job_that_ended_later_refers_to_them(store: ResultStore) -> None:
    for number, day in enumerate((3, 1, 2, 9)):
        await store.save(a_report(number, created_at=f"2026-01-0{day}T00:00:00.000000+00:00"))
    ids = [a_report(number).analysis_id for number in range(4)]
    assert list(await store.expired_reports(before="2026-01-05", limit=2)) == [ids[1], ids[2]]
    late = replace(ended("late", "2026-01-06T00:00:00+00:00"), analysis_id=ids[1])
    early = replace(ended("early", "2026-01-04T00:00:00+00:00"), analysis_id=ids[2])
    for job in (late, early, a_job("runs")):
        await store.put_job(job, owner="one", seconds=60)
    assert list(await store.expired_reports(before="2026-01-05", limit=9)) == [ids[2], ids[0]]
    assert list(await store.expired_reports(before="2026-01-07", limit=9)) == [ids[1], ids[2], ids[0]]
    assert list(await store.expired_reports(before="2026-01-01", limit=9)) == []


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
    await store.put_job(ended("done", "2026-01-01"), owner="one", seconds=60)
    for name, gone in (("runs", False), ("lost", True), ("done", True), ("done", False), ("\0", False)):
        assert await store.delete_job(name) is gone
    assert [job.job_id for job in (await store.jobs()).items] == ["runs"]
    await store.put_job(a_job("done"), owner="one", seconds=60)
    assert await store.job("done") == a_job("done")


async def test_the_records_of_the_ended_jobs_of_a_data_set_are_deleted_together(store: ResultStore) -> None:
    for name, dataset_id in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        await store.put_job(replace(ended(name, "2026"), dataset_id=dataset_id), owner="one", seconds=60)
    await store.put_job(replace(a_job("runs"), dataset_id="a"), owner="one", seconds=60)
    assert await store.delete_jobs_of("a") == 2
    assert await store.delete_jobs_of("\0") == 0
    assert sorted(job.job_id for job in (await store.jobs()).items) == ["b1", "runs"]


async def test_a_full_disk_is_reported_permits_reads_and_recovers_once_space_is_freed(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "results.sqlite", connections=1) as store:
        await store.save(a_report(1))
        (pages,) = await store._call(lambda connection: connection.execute("PRAGMA page_count").fetchone())
        await store._call(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 2}"))
        for number in range(2, 10):
            with pytest.raises(StoreUnavailable, match="full"):
                await store.save(a_report(number, body=b'"' + b"x" * 100_000 + b'"'))
        assert await store.load(f"{1:032x}") == a_report(1)
        await store._call(lambda connection: connection.execute("PRAGMA max_page_count = 100000"))
        assert await store.save(a_report(2)) is True


async def test_a_file_that_is_not_a_database_is_store_unavailable(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with SqliteStore.open(tmp_path / "r.sqlite"):
            pass


async def test_many_cancellations_leave_every_connection_usable(store: ResultStore) -> None:
    rng, wrong = random.Random(5), list[object]()
    for number in range(8):
        await store.save(a_report(number))

    async def ask(worker: int) -> None:
        for turn in range(256):
            with anyio.move_on_after(rng.uniform(0.0, 0.005)):
                report = a_report((worker + turn) % 8)
                if (found := await store.load(report.analysis_id)) != report:
                    wrong.append(found)
                await store.save(a_report(8 + 256 * worker + turn))

    async with anyio.create_task_group() as group:
        for worker in range(8):
            group.start_soon(ask, worker)
    assert wrong == []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(store.ping)
        assert await store.load(f"{1:032x}") == a_report(1)
