"""Erasures with a receipt: what goes along, and how they go on after a failure, a crash and with another engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.erasure_progress import ErasedReport, Progress
from cqox.analysis.service import Analyses
from cqox.analysis.tenant import TenantAnalyses
from cqox.errors import InvalidRequest, NotFound, StoreUnavailable
from cqox.storage import DEFAULT_TENANT, ErasureRecord
from tests.analysis.fake_pool import FakePool
from tests.storage.records import a_dataset, a_job, a_report, a_share, an_annotation, an_ended_job, an_erasure

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(
    analyses=1, threads=2, worker_memory_bytes=0, file_limits={}, reserve_bytes=0, share_days=7.0, originals_bytes=10**6
)


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[TenantAnalyses]:
    async with Analyses.open(folder, BOUNDS, samples=False) as engine:
        yield engine.within(DEFAULT_TENANT)


async def filled(analyses: TenantAnalyses, name: str = "d", reports: int = 3) -> None:
    """Give a data set files, reports with everything that belongs to them, and jobs."""
    record = a_dataset(name)
    folder = analyses._files.incoming()
    (folder / "table.parquet").write_bytes(b"table")
    await analyses._files.keep(folder, record)
    await analyses.store.register(record)
    for number in range(1, reports + 1):
        report = a_report(number, dataset_id=name)
        await analyses._results.keep(report)
        await analyses._files.write_figure(analyses._files.figure(report.analysis_id, "forest", "svg"), b"<svg/>")
    await analyses.store.annotate(an_annotation(1, "v", title="t"), replaces=None)
    share = replace(a_share(1, f"s-{analyses.tenant_id}"), expires_at="2099-01-01T00:00:00+00:00")
    await analyses.store.put_share(share)
    await analyses.store.put_job(replace(an_ended_job("j", "2026-01-02"), dataset_id=name), owner="o", seconds=60)


async def left(analyses: TenantAnalyses) -> list[object]:
    reports = [each.analysis_id for each in (await analyses.store.reports()).items]
    datasets = [each.dataset_id for each in await analyses.store.datasets()]
    jobs = [each.job_id for each in (await analyses.store.jobs()).items]
    return [*reports, *datasets, *jobs, *await analyses._files.kept(), *list(await analyses._files.drawn())]


async def finished(analyses: TenantAnalyses, erasure_id: str) -> ErasureRecord:
    with anyio.fail_after(30):
        while (record := await analyses.erasures.find(erasure_id)).finished_at is None:
            await anyio.sleep(0.01)
    return record


async def test_a_data_set_goes_with_everything_and_the_receipt_counts_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        await analyses.keys.bind("mine", "body")
        analyses.keys.attach("mine", "d")
        begun = await analyses.erasures.request_dataset("d", requested_by="key:a")
        assert (begun.what, begun.object_id, begun.requested_by, begun.finished_at) == ("dataset", "d", "key:a", None)
        record = await finished(analyses, begun.erasure_id)
        assert await left(analyses) == []
        progress = Progress.read(record.receipt)
        assert {name: count for name, count in progress.counts().items() if count} == {
            "datasets": 1,
            "files": 1,
            "reports": 3,
            "figures": 3,
            "annotations": 1,
            "shares": 1,
            "jobs": 1,
            "idempotency_keys": 1,
        }
        assert progress.digests()["reports"] == {
            a_report(number).analysis_id: a_report(number).digest for number in (1, 2, 3)
        }
        assert len(analyses.keys) == 0


async def test_what_is_not_there_or_built_in_is_refused_and_leaves_no_record(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await analyses.store.register(a_dataset("sample", sample=True))
        with pytest.raises(NotFound):
            await analyses.erasures.request_dataset("nothing", requested_by="x")
        with pytest.raises(InvalidRequest):
            await analyses.erasures.request_dataset("sample", requested_by="x")
        assert list(await analyses.store.open_erasures(since="2026")) == []
        # What is left of a data set that was deleted before is something to erase.
        await analyses.store.save(a_report(1, dataset_id="gone"))
        begun = await analyses.erasures.request_dataset("gone", requested_by="x")
        assert Progress.read((await finished(analyses, begun.erasure_id)).receipt).counts()["reports"] == 1


async def test_an_erasure_that_was_begun_ends_by_itself_after_a_restart(tmp_path: Path) -> None:
    progress = Progress(datasets={"d": "digest of d"}, files={"d/table.parquet": "0"}, jobs={"earlier"})
    record = replace(an_erasure(), receipt=progress.written())
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        # As an engine leaves it that was killed between the registry and the files.
        await analyses.store.put_erasure(record)
        await analyses.store.forget("d")
    async with opened(tmp_path) as analyses:
        ended = Progress.read((await finished(analyses, record.erasure_id)).receipt)
        assert await left(analyses) == []
        # What was deleted before the restart is counted too, and nothing twice.
        assert (ended.counts()["datasets"], ended.counts()["reports"], ended.counts()["jobs"]) == (1, 3, 2)


@pytest.mark.parametrize("failing", ["forget", "delete_reports", "delete_jobs_of", "scrub"])
async def test_an_erasure_goes_on_after_a_failure_of_the_store_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        calls = list[str]()
        store = analyses.erasures if failing == "scrub" else analyses.store
        name = "_scrub" if failing == "scrub" else failing
        intact = getattr(store, name)

        async def broken(*args: object, **kwargs: object) -> object:
            calls.append(failing)
            if len(calls) < 3:
                raise StoreUnavailable("away")
            return await intact(*args, **kwargs)

        monkeypatch.setattr(store, name, broken)
        begun = await analyses.erasures.request_dataset("d", requested_by="x")
        while len(calls) < 3:
            await anyio.sleep(0.01)
            await analyses.erasures.resume()
        ended = Progress.read((await finished(analyses, begun.erasure_id)).receipt)
        assert await left(analyses) == []
        assert (ended.counts()["reports"], ended.counts()["datasets"], ended.counts()["annotations"]) == (3, 1, 1)


async def test_another_engine_does_not_work_on_an_erasure_whose_lease_is_held(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        record = an_erasure()
        await analyses.store.put_erasure(replace(record, receipt=Progress().written()))
        name = f"erasure-{record.erasure_id}"
        assert await analyses.store.claim_turn(name, token="another", seconds=15)
        await analyses.erasures.resume()
        assert "d" in await left(analyses)
        await analyses.store.release_turn(name, token="another")
        await analyses.erasures.resume()
        assert await left(analyses) == []


async def test_an_engine_with_a_disk_of_its_own_removes_its_files_of_a_finished_erasure(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        await analyses.store.forget("d")
        await analyses.store.delete_reports([a_report(number).analysis_id for number in (1, 2, 3)])
        assert list(await analyses._files.kept()) == ["d"]
        gone = ErasedReport(digest="0", figures=1, annotations=0, shares=0)
        progress = Progress(datasets={"d": "0"}, reports={a_report(number).analysis_id: gone for number in (1, 2, 3)})
        done = replace(an_erasure(finished_at="2099-01-01T00:00:00+00:00"), receipt=progress.written())
        await analyses.store.put_erasure(done)
        await analyses.erasures.resume()
        assert (list(await analyses._files.kept()), list(await analyses._files.drawn())) == ([], [])


async def test_a_known_id_is_the_same_erasure(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        one = await analyses.erasures.request_dataset("d", requested_by="x", erasure_id="e" * 32)
        await finished(analyses, one.erasure_id)
        again = await analyses.erasures.request_dataset("d", requested_by="x", erasure_id="e" * 32)
        assert again.finished_at is not None
        with pytest.raises(NotFound):
            await analyses.erasures.find("nothing")


async def test_jobs_of_other_data_sets_and_their_reports_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as analyses:
        await filled(analyses)
        await analyses.store.register(a_dataset("other"))
        await analyses.store.save(a_report(9, dataset_id="other"))
        await analyses.store.put_job(replace(a_job("k"), dataset_id="other"), owner="o", seconds=60)
        begun = await analyses.erasures.request_dataset("d", requested_by="x")
        await finished(analyses, begun.erasure_id)
        assert await left(analyses) == [a_report(9).analysis_id, "other", "k"]
