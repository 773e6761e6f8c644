"""The services of one engine and of its tenants, with a pool that runs no task."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.service import Analyses
from cqox.analysis.tenant import TenantAnalyses
from cqox.contract import AnalyzeRequest, file_digest, parse_model
from cqox.dashboards.views import ViewQuery
from cqox.errors import InvalidRequest, KeyReused, NotFound, StoreUnavailable, UploadConflict
from cqox.storage import DEFAULT_TENANT, DatasetRecord
from cqox.telemetry import metric_definitions, metrics
from tests.analysis.fake_pool import FakePool
from tests.storage.records import a_dataset, a_job, a_report, an_ended_job

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(
    analyses=1, threads=2, worker_memory_bytes=0, file_limits={}, reserve_bytes=0, share_days=7.0, originals_bytes=10**6
)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


@pytest.fixture
async def analyses(pool: FakePool, tmp_path: Path) -> AsyncIterator[Analyses]:
    async with Analyses.open(tmp_path, BOUNDS, samples=False) as made:
        yield made


def test_a_worker_has_cpu_time_for_all_its_threads_and_may_write_twice_what_a_file_may_hold() -> None:
    bounds = Bounds(
        analyses=1, threads=3, worker_memory_bytes=7, file_limits={"max_expanded_bytes": 10}, task_seconds=0.3
    )
    limits = bounds.of_a_worker()
    assert (limits.memory_bytes, limits.cpu_seconds, limits.file_bytes) == (7, 2, 20)
    limits = replace(bounds, task_seconds=0.0, file_limits={}).of_a_worker()
    assert (limits.cpu_seconds, limits.file_bytes) == (0, 0)


async def test_catalog_and_definitions_are_asked_for_once(analyses: Analyses, pool: FakePool) -> None:
    for _ in range(2):
        assert await analyses.catalog() == {"estimators": [{"name": "aipw"}]}
        assert await analyses.definitions() == {"definitions": [], "messages": {}}
    assert pool.ran == ["catalog", "definitions"]


async def test_reports_outlive_the_engine_and_its_metrics_do_not(pool: FakePool, tmp_path: Path) -> None:
    # A session of the same process may show its workers too.
    others = metrics.readings(metric_definitions.WORKERS)
    async with Analyses.open(tmp_path, BOUNDS, samples=False) as analyses:
        await analyses.within(DEFAULT_TENANT).store.save(a_report(1))
        (own,) = set(metrics.readings(metric_definitions.WORKERS)) - set(others)
        assert [value for value, _ in own()] == [1, 0]
    assert metrics.readings(metric_definitions.WORKERS) == others
    async with Analyses.open(tmp_path, BOUNDS, samples=False) as analyses:
        assert (await analyses.within(DEFAULT_TENANT).report(a_report(1).analysis_id)).report == a_report(1).report
        await analyses.check_disk()
        await analyses.within(DEFAULT_TENANT).check_room()


async def uploaded(tenant: TenantAnalyses, folder: Path, name: str) -> DatasetRecord:
    path = folder / f"{secrets.token_hex(4)}.csv"
    path.write_text("y,w\n1,0\n")
    digest, size_bytes = file_digest(path)
    return await tenant.datasets.add(
        path, name=name, content_digest=digest, size_bytes=size_bytes, options={}, keep_original=True
    )


def request(record: DatasetRecord) -> AnalyzeRequest:
    mapping = {"y": "y", "treatment": "w"}
    return parse_model(AnalyzeRequest, {"dataset_id": record.dataset_id, "mapping": mapping})


async def answered(tenant: TenantAnalyses, report: str, dataset: str, upload: str) -> dict[str, str]:
    """Return the error of everything that can be asked by an id; empty where it is answered."""
    asked = {
        "data set": lambda: tenant.datasets.get(dataset),
        "analysis of it": lambda: tenant.datasets.get_for_analysis(dataset),
        "roles": lambda: tenant.datasets.infer(dataset),
        "new name": lambda: tenant.datasets.rename(dataset, "stolen"),
        "sheets": lambda: tenant.originals.sheets(dataset, None),
        "reading again": lambda: tenant.originals.read(dataset, {}),
        "looks": lambda: tenant.history.looks(dataset),
        "report": lambda: tenant.read(report),
        "figure": lambda: tenant.figure(report, "forest", "svg"),
        "export": lambda: tenant.export(report, "pdf"),
        "annotation": lambda: tenant.history.annotation(report),
        "annotating": lambda: tenant.history.annotate(report, {"title": "stolen"}),
        "shares": lambda: tenant.shares.of(report),
        "sharing": lambda: tenant.shares.create(report),
        "ending a share": lambda: tenant.shares.revoke(report, "s"),
        "job": lambda: tenant.job("j"),
        "upload": lambda: tenant.uploads.find(upload),
        "reading an upload": lambda: tenant.uploads.add(upload, {}),
        "deleting an upload": lambda: tenant.uploads.delete(upload),
        "deletion of the report": lambda: tenant.retention.delete_report(report),
        "deletion": lambda: tenant.retention.delete_dataset(dataset, reports=False),
        "erasure": lambda: tenant.retention.delete_dataset(dataset, reports=True),
    }
    errors = dict[str, str]()
    for name, ask in asked.items():
        errors[name] = ""
        with suppress(KeyError):  # a task that the pool does not know was reached
            try:
                await ask()
            except (NotFound, UploadConflict) as error:
                errors[name] = f"{type(error).__name__}: {error}"
    return errors


async def test_what_one_tenant_has_is_not_found_by_another_and_stays_as_it_is(
    analyses: Analyses, tmp_path: Path
) -> None:
    acme, others = analyses.within("acme"), [analyses.within(DEFAULT_TENANT), analyses.within("other")]
    record = await uploaded(acme, tmp_path, "ACME-layoffs-2026.csv")
    answer = await acme.analyze(request(record))
    key = answer.analysis_id
    await acme.figure(key, "forest", "svg")
    await acme.history.annotate(key, {"title": "ACME"})
    share = await acme.shares.create(key, share_id="s")
    await acme.store.put_job(an_ended_job("j", "2026-01-02T00:00:00+00:00"), owner="o", seconds=60)
    upload = await acme.uploads.begin(name="ACME.csv", size_bytes=3, fingerprint=None)
    asked = (key, record.dataset_id, upload.upload_id)
    for other in others:
        errors = await answered(other, *asked)
        assert all(error.startswith("NotFound") and "ACME" not in error for error in errors.values()), errors
        assert list(await other.datasets.all()) == []
        listing = await other.history.summaries(dataset_id=None, search="ACME", limit=9, before=None)
        assert list(listing.items) == []
        assert (await other.jobs(dataset_id=None, status=None, limit=9, before=None)).items == []
        assert await other.known_job("j") is None
        await other.retention.settle_erasures()
        await other.retention.expire()
    assert (await acme.history.annotation(key)).title == "ACME"
    assert share.share.share_id == "s"
    own = await answered(acme, *asked)
    # The upload lacks bytes, and nothing is left to erase once everything else was deleted.
    assert sorted(name for name, error in own.items() if error) == ["erasure", "reading an upload"]


async def test_equal_bytes_of_two_tenants_share_nothing(analyses: Analyses, pool: FakePool, tmp_path: Path) -> None:
    acme, other = analyses.within("acme"), analyses.within("other")
    one = await uploaded(acme, tmp_path, "ACME-layoffs-2026.csv")
    two = await uploaded(other, tmp_path, "mine.csv")
    assert one.dataset_id == two.dataset_id
    assert (one.name, two.name) == ("ACME-layoffs-2026.csv", "mine.csv")
    assert one.created_at < two.created_at
    assert pool.ran.count("ingest") == 2
    first, second = await acme.analyze(request(one)), await other.analyze(request(two))
    assert first.analysis_id == second.analysis_id
    assert (first.hit, second.hit, pool.ran.count("analyze")) == (False, False, 2)
    key = first.analysis_id
    assert (await acme.report(key)).created_at < (await other.report(key)).created_at
    await other.retention.delete_dataset(two.dataset_id, reports=True)
    with pytest.raises(NotFound):
        await other.report(key)
    assert (await acme.datasets.get(one.dataset_id)).name == "ACME-layoffs-2026.csv"
    assert (await acme.analyze(request(one))).hit
    async with acme.datasets.reading(one) as table:
        path = table.path
        assert path.read_bytes() == b"table"


async def test_equal_requests_of_two_tenants_at_once_are_two_computations(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    tenants = [analyses.within(name) for name in ("acme", "other", "acme")]
    records = [await uploaded(tenant, tmp_path, "a.csv") for tenant in tenants]
    async with anyio.create_task_group() as group:
        for tenant, record in zip(tenants, records, strict=True):
            group.start_soon(tenant.analyze, request(record))
    assert pool.ran.count("analyze") == 2


async def test_an_idempotency_key_of_one_tenant_is_free_for_another(analyses: Analyses) -> None:
    acme, other = analyses.within("acme"), analyses.within("other")
    await acme.keys.bind("k", "body")
    await other.keys.bind("k", "another body")
    with pytest.raises(KeyReused):
        await acme.keys.bind("k", "another body")


async def test_a_report_that_no_store_has_accepted_is_seen_by_its_tenant_alone(
    analyses: Analyses, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, other = analyses.within("acme"), analyses.within("other")

    async def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    monkeypatch.setattr(acme.store, "save", away)
    assert await acme._results.keep(a_report(1)) is False
    key = a_report(1).analysis_id
    assert (await acme.read(key)).analysis_id == key
    with pytest.raises(NotFound):
        await other.read(key)
    monkeypatch.undo()
    await analyses._settle()
    assert (await acme.store.load(key), await other.store.load(key)) == (a_report(1), None)


async def test_built_in_data_sets_are_read_by_every_tenant_and_changed_by_none(
    analyses: Analyses, tmp_path: Path
) -> None:
    first, acme = analyses.within(DEFAULT_TENANT), analyses.within("acme")
    private = await uploaded(first, tmp_path, "mine.csv")
    files = first._files
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(b"sample")
    await files.keep(folder, a_dataset("test", sample=True))
    await first.store.register(a_dataset("test", sample=True))
    with pytest.raises(NotFound) as caught:
        await acme.datasets.get(private.dataset_id)
    assert list(caught.value.choices) == ["test"]
    sample = await acme.datasets.get("test")
    assert (sample.sample, [each.dataset_id for each in await acme.datasets.all()]) == (True, ["test"])
    async with acme.datasets.reading(sample) as table:
        path = table.path
        assert path.read_bytes() == b"sample"
    answer = await acme.analyze(request(sample))
    with pytest.raises(NotFound):
        await first.read(answer.analysis_id)
    for change in (
        lambda: acme.datasets.rename("test", "n"),
        lambda: acme.retention.delete_dataset("test", reports=True),
    ):
        with pytest.raises(InvalidRequest):
            await change()
    own = await uploaded(acme, tmp_path, "own.csv")
    assert [each.dataset_id for each in await acme.datasets.all()] == ["test", own.dataset_id]


async def test_a_share_link_opens_the_report_of_its_tenant(analyses: Analyses, tmp_path: Path) -> None:
    acme, other = analyses.within("acme"), analyses.within("other")
    answers = [await tenant.analyze(request(await uploaded(tenant, tmp_path, "a.csv"))) for tenant in (acme, other)]
    key = answers[0].analysis_id
    made = await other.shares.create(key)
    assert await analyses.open_share(made.token) == (other, key)
    with pytest.raises(NotFound):
        await acme.shares.opened(made.token)
    with pytest.raises(NotFound):
        await analyses.open_share("cqox_share_unknown")


async def test_clean_up_reaches_every_tenant(analyses: Analyses, tmp_path: Path) -> None:
    acme = analyses.within("acme")
    record = await uploaded(acme, tmp_path, "a.csv")
    erased = list[tuple[str, str]]()
    analyses.on_erased(lambda tenant_id, dataset_id: erased.append((tenant_id, dataset_id)))
    await acme._files.begin_erasure(record.dataset_id)
    await acme.store.forget(record.dataset_id)
    await acme.store.save(a_report(1, dataset_id=record.dataset_id))
    await acme.store.put_job(a_job("left"), owner="gone", seconds=-100_000)
    # As an engine does that has not met this tenant.
    analyses._tenants.clear()
    await analyses._settle_erasures()
    await analyses._expire()
    # The chores of the engine may settle it too.
    assert set(erased) == {("acme", record.dataset_id)}
    assert await acme.store.load(a_report(1).analysis_id) is None
    ended = await acme.store.job("left")
    assert ended is not None
    assert ended.finished_at is not None


async def test_reports_that_an_earlier_release_has_stored_get_their_facts(analyses: Analyses) -> None:
    await analyses._database.within("acme").save(a_report(1))
    # The engine looks for missing facts by itself too, once an hour: it must not meet the tenant without the report.
    tenant = analyses.within("acme")
    await analyses._fill_facts()
    query = ViewQuery(view="dashboard_analyses", columns=("analysis_id", "verdict"))
    assert (await tenant.store.view_rows(query, start=0, end=10**10)).rows == [(a_report(1).analysis_id, "GO")]


async def test_a_tenant_is_registered_by_its_first_call_and_no_hostile_id_is_one(
    analyses: Analyses, tmp_path: Path
) -> None:
    await analyses.within("acme").datasets.all()
    assert [each.tenant_id for each in await analyses.store.tenants()] == ["acme", DEFAULT_TENANT]
    before = set(os.listdir(tmp_path))
    for hostile in ("../acme", "", "A", "a/b", "a\0", ".", "x" * 64):
        with pytest.raises(ValueError, match="tenant id"):
            analyses.within(hostile)
    assert set(os.listdir(tmp_path)) == before


async def test_the_files_of_the_first_tenant_stay_where_earlier_releases_put_them(
    analyses: Analyses, tmp_path: Path
) -> None:
    for tenant_id, place in ((DEFAULT_TENANT, tmp_path), ("acme", tmp_path / "tenants" / "acme")):
        tenant = analyses.within(tenant_id)
        record = await uploaded(tenant, tmp_path, "a.csv")
        answer = await tenant.analyze(request(record))
        await tenant.figure(answer.analysis_id, "forest", "svg")
        assert (place / "datasets" / record.dataset_id / "table.parquet").exists()
        assert (place / "figures" / answer.analysis_id / "forest.svg").exists()
        assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o077) == (0o700, 0)
