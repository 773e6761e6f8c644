"""Deletion on request and by age."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from cqox.analysis.bounds import RetentionPeriods
from cqox.analysis.datasets import Datasets
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.results import Results
from cqox.analysis.retention import Expired, Retention
from cqox.analysis.workers import WorkerPool
from cqox.errors import InvalidRequest, NotFound, StorageFull, StoreUnavailable
from cqox.storage import DatasetRecord, FileStore, JobRecord, SqliteStore, TenantRetention
from tests.storage.bound import a_cache, files_in, in_default
from tests.storage.records import a_dataset, a_job, a_report, a_share, an_annotation

pytestmark = pytest.mark.anyio


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")


def ended(name: str, days: float, **changes: object) -> JobRecord:
    record = replace(a_job(name), status="succeeded", created_at=days_ago(days), finished_at=days_ago(days))
    return replace(record, **cast("Mapping[str, str]", changes))


@dataclass
class House:
    """An engine's stores, without an engine."""

    root: Path
    store: SqliteStore
    files: FileStore
    results: Results
    retention: Retention

    async def report(self, number: int, days: float = 0.0, *, dataset_id: str = "d") -> str:
        report = a_report(number, created_at=days_ago(days), dataset_id=dataset_id)
        await self.results.keep(report)
        await self.files.write_figure(self.files.figure(report.analysis_id, "forest", "svg"), b"<svg/>")
        return report.analysis_id

    async def dataset(self, name: str, days: float = 0.0, *, used: float | None = None, sample: bool = False) -> None:
        record = a_dataset(name, created_at=days_ago(days), sample=sample)
        await self.add_files(record)
        await self.store.register(record)
        at = time.time() - 86_400 * (days if used is None else used)
        os.utime(self.root / "datasets" / name, (at, at))

    async def add_files(self, record: DatasetRecord) -> None:
        folder = self.files.incoming()
        (folder / "table.parquet").write_bytes(b"table")
        await self.files.keep(folder, record)

    async def there(self) -> tuple[list[str], list[str], list[str], list[str]]:
        reports = [report.analysis_id for report in (await self.store.reports()).items]
        jobs = [job.job_id for job in (await self.store.jobs()).items]
        datasets = [record.dataset_id for record in await self.store.datasets()]
        return sorted(reports), sorted(datasets), sorted(jobs), list(await self.files.drawn())


@asynccontextmanager
async def house(root: Path, keep: RetentionPeriods | None = None) -> AsyncIterator[House]:
    files = files_in(root)
    async with in_default(SqliteStore.open, root / "results.sqlite") as store:
        results = Results(store, a_cache())
        pool = cast("WorkerPool", None)
        datasets = Datasets(pool=pool, store=store, files=files, quarantine=Quarantine(), limits={}, samples=False)
        retention = Retention(
            store=store, results=results, files=files, datasets=datasets, keep=keep or RetentionPeriods()
        )
        yield House(root=root, store=store, files=files, results=results, retention=retention)
    files.directory.close()


async def test_annotations_go_with_their_reports_and_those_of_lost_reports_with_their_data_set(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        await made.dataset("d")
        for number in (1, 2):
            await made.report(number)
            await made.store.annotate(an_annotation(number, "v", title="t"), replaces=None)
        # A report that a damaged file has lost.
        await made.store._count("DELETE FROM reports WHERE analysis_id = ?", a_report(1).analysis_id)
        await made.retention.delete_dataset("d", reports=True)
        assert [await made.store.annotation(a_report(number).analysis_id) for number in (1, 2)] == [None, None]


async def test_a_deleted_report_takes_its_figures_along_and_no_others(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        one, two = await made.report(1), await made.report(2)
        await made.retention.delete_report(one)
        assert await made.there() == ([two], [], [], [two])
        for unknown in (one, "nothing", "\0", "..", "a/../b", ""):
            with pytest.raises(NotFound):
                await made.retention.delete_report(unknown)


async def test_a_deleted_data_set_leaves_its_reports_unless_they_are_erased_with_it(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        erased = list[str]()
        made.retention.on_erased(erased.append)
        for name in ("a", "b"):
            await made.dataset(name)
        ids = [await made.report(number, dataset_id="ab"[number % 2]) for number in range(6)]
        await made.store.put_job(ended("a1", 1, dataset_id="a"), owner="one", seconds=60)
        await made.store.put_job(ended("b1", 1, dataset_id="b"), owner="one", seconds=60)
        await made.store.put_job(replace(a_job("runs"), dataset_id="a"), owner="one", seconds=60)
        await made.retention.delete_dataset("b", reports=False)
        assert (await made.there())[0] == sorted(ids)
        await made.retention.delete_dataset("a", reports=True)
        left = sorted(ids[1::2])
        assert await made.there() == (left, [], ["b1", "runs"], left)
        assert erased == ["a"]
        # The reports of one that was deleted before can still be erased; then there is nothing left of it.
        await made.retention.delete_dataset("b", reports=True)
        assert (await made.there())[0] == []
        for reports in (True, False):
            with pytest.raises(NotFound):
                await made.retention.delete_dataset("b", reports=reports)


async def test_a_built_in_data_set_is_not_deleted(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        await made.dataset("test", sample=True)
        await made.report(1, dataset_id="test")
        with pytest.raises(InvalidRequest):
            await made.retention.delete_dataset("test", reports=True)
        assert len((await made.there())[0]) == 1


async def test_what_is_stored_after_its_data_set_was_erased_is_deleted_and_nothing_once_it_is_back(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as made:
        await made.dataset("a")
        await made.retention.delete_dataset("a", reports=True)
        await made.report(1, dataset_id="a")
        await made.store.put_job(ended("late", 0, dataset_id="a"), owner="one", seconds=60)
        await made.report(2, dataset_id="b")
        await made.retention.settle_erasures()
        assert await made.there() == ([a_report(2).analysis_id], [], [], [a_report(2).analysis_id])
        await made.dataset("a")
        await made.report(1, dataset_id="a")
        await made.retention.settle_erasures()
        assert len((await made.there())[0]) == 2


async def test_an_interrupted_erasure_is_finished_by_the_next_one(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        await made.dataset("a")
        for number in range(250):
            await made.results.keep(a_report(number, dataset_id="a"))
        # As an engine leaves it that is killed once the data set is deleted.
        await made.files.begin_erasure("a")
        await made.retention.settle_erasures()
        assert len((await made.store.reports(limit=200)).items) == 200
        await made.retention.delete_dataset("a", reports=False)
        await made.retention.settle_erasures()
        assert (await made.there())[0] == []


async def test_by_default_nothing_expires(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        await made.dataset("a", 10_000)
        await made.report(1, 10_000)
        await made.store.put_job(ended("j", 10_000), owner="one", seconds=60)
        before = await made.there()
        await made.retention.expire()
        assert await made.there() == before


async def test_reports_expire_after_their_days_unless_a_younger_job_refers_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with house(tmp_path, RetentionPeriods(reports=30)) as made:
        old = [await made.report(number, 31) for number in range(250)]
        young, referred = await made.report(300, 29), await made.report(301, 31)
        await made.store.put_job(ended("j", 1, analysis_id=referred), owner="one", seconds=60)
        await made.retention.expire()
        assert await made.there() == (sorted([young, referred]), [], ["j"], sorted([young, referred]))
        assert await made.results.load(old[0]) is None
        assert caplog.messages == ["Deleted expired data: 250 reports."]


async def test_jobs_expire_after_their_days_and_a_running_one_never(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(jobs=30)) as made:
        for name, days in (("old", 31), ("young", 29)):
            await made.store.put_job(ended(name, days), owner="one", seconds=60)
        await made.store.put_job(replace(a_job("runs"), created_at=days_ago(1000)), owner="one", seconds=60)
        await made.retention.expire()
        assert (await made.there())[2] == ["runs", "young"]


async def test_data_sets_expire_after_their_last_use_and_their_reports_stay(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(datasets=30)) as made:
        await made.dataset("old", 40)
        await made.dataset("read", 40, used=20)
        await made.dataset("analysed", 40)
        await made.dataset("runs", 40)
        await made.dataset("young", 20)
        await made.dataset("test", 400, sample=True)
        await made.store.register(a_dataset("elsewhere", created_at=days_ago(40)))
        report = await made.report(1, 35, dataset_id="old")
        await made.report(2, 5, dataset_id="analysed")
        await made.store.put_job(replace(a_job("j"), dataset_id="runs"), owner="one", seconds=60)
        await made.retention.expire()
        reports, datasets, _, _ = await made.there()
        assert datasets == ["analysed", "elsewhere", "read", "runs", "test", "young"]
        assert report in reports
        assert not await made.files.has("old")


async def test_a_data_set_that_is_being_read_is_read_to_its_end_and_does_not_expire(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(datasets=30)) as made:
        await made.dataset("a", 40)
        async with made.files.reading("a") as table:
            path = table.path
            await made.retention.expire()
            assert path.read_bytes() == b"table"
            assert await made.files.has("a")


async def test_figures_of_what_is_not_stored_are_removed_once_they_are_not_just_drawn(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        stored = await made.report(1)
        for name in ("orphan", "fresh"):
            await made.files.write_figure(made.files.figure(name, "forest", "svg"), b"<svg/>")
        for name in (stored, "orphan"):
            os.utime(tmp_path / "figures" / name, (0, 0))
        await made.retention.expire()
        assert list(await made.files.drawn()) == sorted([stored, "fresh"])


async def test_a_store_that_is_away_costs_a_line_and_the_rest_is_deleted_the_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, RetentionPeriods(reports=30, datasets=30)) as made:
        await made.dataset("old", 40)
        await made.report(1, 40)

        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailable("away")

        for part in ("erase",):
            monkeypatch.setattr(made.results, part, away)
        await made.retention.expire()
        assert "could not all be deleted, which is retried: away" in caplog.text
        assert (await made.there())[1] == []
        monkeypatch.undo()
        await made.retention.expire()
        assert (await made.there())[0] == []


async def test_figures_make_room_where_a_report_cannot_be_deleted_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as made:
        key, erase = await made.report(1), made.results.erase

        async def full(keys: list[str]) -> frozenset[str]:
            if await made.files.drawn():
                raise StorageFull("full")
            return await erase(keys)

        monkeypatch.setattr(made.results, "erase", full)
        await made.retention.delete_report(key)
        assert await made.there() == ([], [], [], [])


async def test_expired_share_links_are_deleted_without_any_retention_period(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        key = await made.report(1)
        await made.store.put_share(a_share(1, "old", expires_at=days_ago(1)))
        await made.store.put_share(a_share(1, "new", expires_at=days_ago(-1)))
        await made.retention.expire()
        assert [share.share_id for share in await made.store.shares(key)] == ["new"]


async def test_a_tenant_may_keep_its_reports_for_a_shorter_time(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(reports=30.0)) as made:
        own = TenantRetention(reports=5.0)

        async def periods() -> TenantRetention:
            return own

        made.retention._own = periods
        old, new = await made.report(1, days=10), await made.report(2, days=1)
        await made.retention.expire()
        assert (await made.there())[0] == [new]
        own = TenantRetention()
        assert old != await made.report(3, days=10)
        await made.retention.expire()
        assert len((await made.there())[0]) == 2


async def test_nothing_expires_while_the_periods_of_the_tenant_are_unknown(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(reports=5.0)) as made:

        async def unknown() -> TenantRetention:
            raise StoreUnavailable("away")

        made.retention._own = unknown
        old = await made.report(1, days=10)
        await made.retention.expire()
        assert (await made.there())[0] == [old]


async def test_what_expires_is_recorded_in_batches_and_what_is_deleted_on_request_is_not(tmp_path: Path) -> None:
    async with house(tmp_path, RetentionPeriods(reports=30, datasets=30, jobs=30)) as made:
        found: list[Expired] = []

        async def record(expired: Expired) -> None:
            # It is gone by then: a batch that is not deleted is in no record.
            there = (await made.there())[0]
            assert not set(expired.ids) & set(there)
            found.append(expired)

        made.retention.on_expired(record)
        old = [await made.report(number, 31) for number in range(150)]
        await made.retention.delete_report(await made.report(200))
        await made.dataset("old", 40)
        for name in ("first", "second"):
            await made.store.put_job(ended(name, 31), owner="one", seconds=60)
        await made.retention.expire()
        await made.retention.expire()
        reports = [expired for expired in found if expired.kind == "analysis"]
        assert [expired.count for expired in reports] == [100, 50]
        assert sorted(name for expired in reports for name in expired.ids) == sorted(old)
        others = [expired for expired in found if expired.kind != "analysis"]
        assert others == [Expired(kind="job", count=2), Expired(kind="dataset", count=1, ids=["old"])]
