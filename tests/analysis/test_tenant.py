"""The services of one tenant, with a pool that runs no task."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.service import Analyses
from cqox.contract import EXPORT_TYPES, AnalyzeRequest, parse_model
from cqox.errors import NotFound, QuotaExceeded, UnusableData
from cqox.storage import DEFAULT_TENANT, DatasetRecord, StoredReport
from tests.analysis.fake_pool import REASON, FakePool
from tests.storage.records import a_job

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(analyses=1, threads=2, worker_memory_bytes=0, file_limits={}, reserve_bytes=0)
ABSENT = f"{99:032x}"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Analyses]:
    async with Analyses.open(folder, BOUNDS, samples=False) as analyses:
        yield analyses.within(DEFAULT_TENANT)


@pytest.fixture
async def analyses(pool: FakePool, tmp_path: Path) -> AsyncIterator[Analyses]:
    async with opened(tmp_path) as made:
        yield made


async def uploaded(analyses: Analyses, folder: Path) -> DatasetRecord:
    path = folder / "upload.csv"
    path.write_text("y,w\n1,0\n")
    return await analyses.datasets.add(path, name="upload.csv", content_digest="d" * 32, size_bytes=8, options={})


def request(record: DatasetRecord, seed: int = 0) -> AnalyzeRequest:
    mapping = {"y": "y", "treatment": "w"}
    return parse_model(AnalyzeRequest, {"dataset_id": record.dataset_id, "mapping": mapping, "options": {"seed": seed}})


async def test_a_report_is_computed_once_and_found_from_then_on(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    record = await uploaded(analyses, tmp_path)
    first = await analyses.analyze(request(record))
    again = await analyses.analyze(request(record), trace_id="t")
    other = await analyses.analyze(request(record, seed=1))
    assert (first.hit, again.hit, other.hit) == (False, True, False)
    assert first.analysis_id == again.analysis_id != other.analysis_id
    assert pool.ran.count("analyze") == 2
    assert (await analyses.read(first.analysis_id, trace_id="t")).body == again.body
    assert (await analyses.report(first.analysis_id)).dataset_id == record.dataset_id
    page = await analyses.history.summaries(dataset_id=record.dataset_id, search=None, limit=1, before=None)
    assert [report.analysis_id for report in page.items] == [other.analysis_id]


async def test_equal_requests_at_the_same_time_share_one_computation(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    record, answers = await uploaded(analyses, tmp_path), list[str]()

    async def ask() -> None:
        answers.append((await analyses.analyze(request(record))).analysis_id)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert len(set(answers)) == 1
    assert pool.ran.count("analyze") == 1


async def test_what_there_is_not_is_not_found_by_its_field(analyses: Analyses) -> None:
    for ask, field in (
        (analyses.report(ABSENT), "analysis_id"),
        (analyses.read(ABSENT), "analysis_id"),
        (analyses.figure(ABSENT, "forest", "svg"), "analysis_id"),
        (analyses.job(ABSENT), "job_id"),
    ):
        with pytest.raises(NotFound) as caught:
            await ask
        assert caught.value.field == field
    with pytest.raises(NotFound):
        await analyses.analyze(parse_model(AnalyzeRequest, {"dataset_id": "no", "mapping": {"y": "y", "w": "w"}}))


def figures_in(folder: Path) -> list[Path]:
    return list(folder.rglob("forest*.svg"))


async def with_figure(analyses: Analyses, folder: Path) -> StoredReport:
    answer = await analyses.analyze(request(await uploaded(analyses, folder)))
    return await analyses.report(answer.analysis_id)


async def test_a_figure_is_rendered_once_for_each_language(analyses: Analyses, pool: FakePool, tmp_path: Path) -> None:
    key = (await with_figure(analyses, tmp_path)).analysis_id
    for _ in range(2):
        assert (await analyses.figure(key, "forest", "svg")).decode() == str(REASON)
        assert (await analyses.figure(key, "forest", "svg", language="ja")).decode() == REASON.in_language("ja")
    assert pool.ran.count("render") == len(figures_in(tmp_path)) == 2
    await analyses.figure(key, "forest", "png")
    assert pool.ran.count("render") == 3


async def test_a_specification_is_returned_without_rendering(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    key = (await with_figure(analyses, tmp_path)).analysis_id
    english, japanese = [json.loads(await analyses.figure(key, "forest", "json", language=at)) for at in ("en", "ja")]
    assert english["title"]["text"] == str(REASON)
    assert japanese["title"]["text"] == REASON.in_language("ja")
    assert "render" not in pool.ran


async def test_a_figure_of_another_name_or_format_is_not_found_with_those_there_are(
    analyses: Analyses, tmp_path: Path
) -> None:
    key = (await with_figure(analyses, tmp_path)).analysis_id
    for name, suffix, choices in (("nope", "svg", ("forest",)), ("forest", "../x", ("svg", "png", "json"))):
        with pytest.raises(NotFound) as caught:
            await analyses.figure(key, name, suffix)
        assert caught.value.choices == choices


async def test_a_document_is_written_by_a_worker_from_the_report_and_its_figures(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    key = (await with_figure(analyses, tmp_path)).analysis_id
    assert await analyses.export(key, "pdf", language="ja") == b"pdf"
    given = pool.arguments[-1]
    assert given["language"] == "ja"
    assert given["report"] == json.loads((await analyses.read(key)).body)
    assert list(cast("dict[str, object]", given["specs"])) == ["forest"]
    with pytest.raises(NotFound) as caught:
        await analyses.export(key, "xlsx")
    assert caught.value.choices == tuple(EXPORT_TYPES)
    with pytest.raises(NotFound):
        await analyses.export(ABSENT, "pdf")


async def test_a_figure_of_a_report_that_is_deleted_meanwhile_is_returned_and_not_kept(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    key = (await with_figure(analyses, tmp_path)).analysis_id
    render = pool.run

    async def deleting(*arguments: object) -> object:
        await analyses.store.delete_reports([key])
        return await render(*arguments)  # type: ignore[arg-type]

    pool.run = deleting  # type: ignore[assignment,method-assign]
    assert (await analyses.figure(key, "forest", "svg")).decode() == str(REASON)
    assert not figures_in(tmp_path)


async def test_a_job_is_known_unless_it_was_interrupted(analyses: Analyses) -> None:
    for name, status in (("done", "succeeded"), ("broken", "interrupted")):
        await analyses.store.put_job(replace(a_job(name), status=status), owner="o", seconds=60.0)
    known = await analyses.known_job("done")
    assert known is not None
    assert known.status == "succeeded"
    assert await analyses.known_job("broken") is None
    assert await analyses.known_job("absent") is None
    assert (await analyses.job("broken")).status == "interrupted"


async def test_an_error_of_a_computation_reaches_the_caller_alone(
    analyses: Analyses, pool: FakePool, tmp_path: Path
) -> None:
    record = await uploaded(analyses, tmp_path)
    pool.failure = UnusableData("too few rows")
    with pytest.raises(UnusableData, match="too few rows"):
        await analyses.analyze(request(record))
    assert not (await analyses.analyze(request(record))).hit


async def test_a_tenant_without_cpu_time_computes_nothing_and_reads_what_there_is(
    pool: FakePool, tmp_path: Path
) -> None:
    bounds = replace(BOUNDS, cpu_seconds_per_hour=10)
    async with Analyses.open(tmp_path / "data", bounds, samples=False) as service:
        analyses = service.within(DEFAULT_TENANT)
        record = await uploaded(analyses, tmp_path)
        pool.cpu_seconds = 25.0
        stored = await analyses.analyze(request(record))
        with pytest.raises(QuotaExceeded) as caught:
            await analyses.analyze(request(record, seed=1))
        # The budget and its debt: 15 CPU seconds at ten in an hour.
        assert 5_300 < caught.value.retry_after < 5_800
        with pytest.raises(QuotaExceeded):
            await analyses.previews.preview(request(record, seed=1))
        with pytest.raises(QuotaExceeded):
            analyses.refuse_if_full()
        assert (await analyses.analyze(request(record))).hit
        assert (await analyses.read(stored.analysis_id)).body
        assert pool.ran.count("analyze") == 1
        service.within("other").refuse_if_full()
