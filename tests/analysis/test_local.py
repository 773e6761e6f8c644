"""Analysis of one file, with a pool that runs no task."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cqox.analysis import service
from cqox.analysis.local import analyze_file
from cqox.analysis.service import Bounds
from cqox.errors import InvalidRequest, UnreadableFile, UnusableData
from tests.analysis.fake_pool import REASON, FakePool

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(analyses=1, threads=1, worker_memory_bytes=0, file_limits={}, reserve_bytes=0)
CONTENT = b"y,w\n1,0\n" * 300_000
MAPPING = {"y": "y", "treatment": "w"}


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(service, "WorkerPool", made)
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "表.csv"
    path.write_bytes(CONTENT)
    return path


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


async def test_the_report_names_the_figures_that_were_written(pool: FakePool, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    done = await analyze_file(table, mapping=MAPPING, figures=folder, formats=("svg", "json"), bounds=BOUNDS)
    assert done.figures == {"forest": [folder / "forest.svg", folder / "forest.json"]}
    assert done.report["figures"] == {"forest": str(folder / "forest.svg")}
    assert (folder / "forest.svg").read_text() == str(REASON)
    assert pool.ran == ["ingest", "analyze", "render"]


async def test_without_a_folder_no_figure_is_written_and_the_file_stays(
    pool: FakePool, table: Path, tmp_path: Path
) -> None:
    done = await analyze_file(table, mapping=MAPPING, bounds=BOUNDS)
    assert done.report["figures"] == done.figures == {}
    assert files_in(tmp_path) == {table: CONTENT}
    assert done.report["dataset_id"] == hashlib.blake2b(CONTENT, digest_size=16).hexdigest()


async def test_the_first_step_has_the_notes_on_the_file_and_on_mapped_columns(pool: FakePool, table: Path) -> None:
    steps: list[Mapping[str, object]] = []
    await analyze_file(table, mapping=MAPPING, bounds=BOUNDS, progress=steps.append)
    assert steps[0] == {"step": "file", "notes": ["note on the file", "y: note on y"]}
    assert [step["step"] for step in steps] == ["file", "analyze"]
    await analyze_file(table, mapping={**MAPPING, "covariates": ["x"]}, bounds=BOUNDS, progress=steps.append)
    assert steps[2]["notes"] == ["note on the file", "y: note on y", "x: on x"]


async def test_sentences_of_report_and_figures_are_in_the_language_asked_for(
    pool: FakePool, table: Path, tmp_path: Path
) -> None:
    done = await analyze_file(table, mapping=MAPPING, figures=tmp_path / "f", bounds=BOUNDS, language="ja")
    assert done.report["decision"]["reasons"] == [REASON.in_language("ja")]  # type: ignore[index,call-overload]
    assert (tmp_path / "f" / "forest.svg").read_text() == REASON.in_language("ja")


async def test_a_file_that_cannot_be_read_is_named_before_any_task_runs(pool: FakePool, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(UnreadableFile, match=path.name):
            await analyze_file(path, mapping=MAPPING, bounds=BOUNDS)
    assert not pool.ran


async def test_an_error_comes_alone_and_not_in_a_group(pool: FakePool, table: Path) -> None:
    pool.failure = UnusableData("too few rows")
    with pytest.raises(UnusableData, match="too few rows"):
        await analyze_file(table, mapping=MAPPING, bounds=BOUNDS)
    with pytest.raises(InvalidRequest) as caught:
        await analyze_file(table, mapping=MAPPING, options={"alpha": 2}, bounds=BOUNDS)
    assert caught.value.field == "options.alpha"


async def test_a_file_may_have_a_name_that_is_not_utf_8(pool: FakePool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\x94\x84\x8f\xe3.csv")
    path.write_text("y,w\n1,0\n")
    await analyze_file(path, mapping=MAPPING, bounds=BOUNDS)
    ingest = pool.arguments[0]
    assert ingest["name"] == "\ufffd\ufffd\ufffd\ufffd.csv"
    str(ingest["path"]).encode()


@pytest.mark.parametrize(
    "given",
    [
        {"mapping": {**MAPPING, "y": "\udcff"}},
        {"options": {"control_group": "\udcff"}},
        {"read_options": {"na": "\udcff"}},
    ],
)
async def test_bytes_of_a_command_line_that_are_not_utf_8_are_refused(
    pool: FakePool, table: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await analyze_file(table, **{"mapping": MAPPING, "bounds": BOUNDS, **given})
    assert caught.value.detail.code == "analysis.not-utf-8"
    assert not pool.ran
