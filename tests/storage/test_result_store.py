"""The contract of `ResultStore`, run on every backend."""

import random
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import ResultStore, SqliteStore
from tests.storage.bound import in_default
from tests.storage.conftest import Opening
from tests.storage.records import a_dataset, a_job, a_report, an_ended_job
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio


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

    with anyio.fail_after(PATIENCE_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(use)
    async with open_store() as store:
        assert await store.migrate() == 0
        assert all(step.applied_at is not None or step.finishes for step in await store.migrations())


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
    late = replace(an_ended_job("late", "2026-01-06T00:00:00+00:00"), analysis_id=ids[1])
    early = replace(an_ended_job("early", "2026-01-04T00:00:00+00:00"), analysis_id=ids[2])
    for job in (late, early, a_job("runs")):
        await store.put_job(job, owner="one", seconds=60)
    assert list(await store.expired_reports(before="2026-01-05", limit=9)) == [ids[2], ids[0]]
    assert list(await store.expired_reports(before="2026-01-07", limit=9)) == [ids[1], ids[2], ids[0]]
    assert list(await store.expired_reports(before="2026-01-01", limit=9)) == []


async def test_a_full_disk_is_reported_permits_reads_and_recovers_once_space_is_freed(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite", connections=1) as store:
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
        async with in_default(SqliteStore.open, tmp_path / "r.sqlite"):
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
    with anyio.fail_after(PATIENCE_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(store.ping)
        assert await store.load(f"{1:032x}") == a_report(1)
