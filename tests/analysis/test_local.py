"""Analyses without a server, with a pool that runs no task."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.local import LocalAnalyses, LocalReport
from cqox.contract import file_digest
from cqox.errors import InvalidRequest, UnreadableFile, UnusableData
from tests.analysis.fake_pool import REASON, SPEC, FakePool

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(analyses=1, threads=1, worker_memory_bytes=0, file_limits={}, reserve_bytes=0)
CONTENT = b"y,w\n1,0\n" * 300_000
MAPPING = {"y": "y", "treatment": "w"}


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "表.csv"
    path.write_bytes(CONTENT)
    return path


async def analyzed(
    path: Path,
    mapping: Mapping[str, JsonValue] = MAPPING,
    *,
    options: Mapping[str, JsonValue] | None = None,
    read_options: Mapping[str, JsonValue] | None = None,
    steps: list[Mapping[str, object]] | None = None,
) -> LocalReport:
    async with LocalAnalyses.open(BOUNDS) as analyses:
        return await in_turn(analyses, path, mapping, options=options, read_options=read_options, steps=steps)


async def in_turn(
    analyses: LocalAnalyses,
    path: Path,
    mapping: Mapping[str, JsonValue] = MAPPING,
    *,
    options: Mapping[str, JsonValue] | None = None,
    read_options: Mapping[str, JsonValue] | None = None,
    steps: list[Mapping[str, object]] | None = None,
) -> LocalReport:
    digest, size = file_digest(path)
    name = os.fsencode(path.name).decode(errors="replace")
    record = await analyses.add(path, name=name, digest=digest, size_bytes=size, read_options=read_options or {})
    progress = None if steps is None else steps.append
    return await analyses.analyze(record, mapping=mapping, options=options or {}, progress=progress)


async def test_a_report_has_its_figures_and_the_file_stays(pool: FakePool, table: Path) -> None:
    done = await analyzed(table)
    report = json.loads(done.body)
    assert report["decision"]["verdict"] == "GO"
    assert report["dataset_id"] == hashlib.blake2b(CONTENT, digest_size=16).hexdigest()
    assert json.loads(done.figures) == {"forest": SPEC}
    assert pool.ran == ["ingest", "analyze"]


async def test_equal_data_are_read_once_and_the_oldest_of_many_are_deleted(pool: FakePool, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.csv" for number in range(10)]
    for number, path in enumerate(paths):
        path.write_text(f"y,w\n{number},0\n")
    async with LocalAnalyses.open(BOUNDS) as analyses:
        for path in [paths[0], *paths, paths[9], paths[2]]:
            await in_turn(analyses, path)
        assert pool.ran.count("ingest") == len(paths)
        # The first was deleted when the ninth came.
        await in_turn(analyses, paths[0])
        assert pool.ran.count("ingest") == len(paths) + 1


async def test_the_first_step_has_the_notes_on_the_file_and_on_mapped_columns(pool: FakePool, table: Path) -> None:
    steps: list[Mapping[str, object]] = []
    await analyzed(table, steps=steps)
    assert steps[0] == {"step": "file", "notes": ["note on the file", "y: note on y"]}
    assert [step["step"] for step in steps] == ["file", "analyze"]
    await analyzed(table, {**MAPPING, "covariates": ["x"]}, steps=steps)
    assert steps[2]["notes"] == ["note on the file", "y: note on y", "x: on x"]


async def test_a_step_comes_without_the_event_of_its_estimate(
    pool: FakePool, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "step", {"step": "analyze", "result": {"name": "aipw"}})
    steps: list[Mapping[str, object]] = []
    await analyzed(table, steps=steps)
    assert steps[1] == {"step": "analyze"}


async def test_what_cannot_be_analysed_says_so(pool: FakePool, table: Path) -> None:
    pool.failure = UnusableData("too few rows")
    async with LocalAnalyses.open(BOUNDS) as analyses:
        with pytest.raises(UnusableData, match="too few rows"):
            await in_turn(analyses, table)
        with pytest.raises(InvalidRequest) as caught:
            await in_turn(analyses, table, options={"alpha": 2})
        assert caught.value.field == "options.alpha"


async def test_a_task_of_the_worker_gives_its_value_and_its_data(pool: FakePool) -> None:
    async with LocalAnalyses.open(BOUNDS) as analyses:
        _, drawn = await analyses.run("render", {"spec": SPEC, "format": "svg"})
    assert drawn.decode() == str(REASON)


async def test_a_file_may_have_a_name_that_is_not_utf_8(pool: FakePool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\x94\x84\x8f\xe3.csv")
    path.write_text("y,w\n1,0\n")
    await analyzed(path)
    ingest = pool.arguments[0]
    assert ingest["name"] == "\ufffd\ufffd\ufffd\ufffd.csv"
    str(ingest["path"]).encode()


async def test_an_absent_file_is_named_as_it_was_given(pool: FakePool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\x94\x84.csv")
    async with LocalAnalyses.open(BOUNDS) as analyses:
        with pytest.raises(UnreadableFile, match=f"{tmp_path}/\ufffd\ufffd.csv"):
            await analyses.add_source(path, read_options={})


async def test_an_address_of_this_machine_is_read(pool: FakePool, table: Path) -> None:
    async with LocalAnalyses.open(BOUNDS) as analyses:
        record = await analyses.add_source(f"file://{table}", read_options={})
    assert record.dataset_id == file_digest(table)[0]
    assert pool.arguments[0]["name"] == "表.csv"


@pytest.mark.parametrize(
    ("mapping", "options", "read_options"),
    [
        ({**MAPPING, "y": "\udcff"}, {}, {}),
        (MAPPING, {"control_group": "\udcff"}, {}),
        (MAPPING, {}, {"na": "\udcff"}),
    ],
)
async def test_bytes_of_a_command_line_that_are_not_utf_8_are_refused(
    pool: FakePool,
    table: Path,
    mapping: dict[str, JsonValue],
    options: dict[str, JsonValue],
    read_options: dict[str, JsonValue],
) -> None:
    async with LocalAnalyses.open(BOUNDS) as analyses:
        with pytest.raises(InvalidRequest) as caught:
            await in_turn(analyses, table, mapping, options=options, read_options=read_options)
    assert caught.value.detail.code == "analysis.not-utf-8"
    assert "analyze" not in pool.ran
