"""Previews by a pool whose answer is written here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.place_tasks import PlaceTasks
from cqox.analysis.places import Places
from cqox.analysis.previews import Previews
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, Serve
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest, NotFound, UnusableData, WorkerLost
from cqox.sources import Place
from cqox.storage import DatasetRecord, FileKeys, Readable
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio


class Pool:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tasks: list[tuple[str, Mapping[str, object]]] = []

    def check(self) -> None:
        pass

    async def run(self, name: str, arguments: Mapping[str, object], *, serve: Serve | None = None) -> Reply:
        self.tasks.append((name, arguments))
        if self.failures:
            raise self.failures.pop(0)
        return Reply(body={"contrasts": [], "main": 0}, payload=b"")


class OneDataset:
    async def get_for_analysis(self, dataset_id: str) -> DatasetRecord:
        return a_dataset(dataset_id)

    @asynccontextmanager
    async def reading(self, record: DatasetRecord) -> AsyncIterator[Readable]:
        yield Readable(path=Path("/data") / record.dataset_id, keys=FileKeys())


def previews(pool: Pool, folder: Path = Path("/nowhere")) -> Previews:
    metered, datasets, quarantine = cast("MeteredPool", pool), cast("Datasets", OneDataset()), Quarantine(strikes=2)
    lake = Place(name="lake", kind="parquet", folder=folder, tables=("t.parquet",), tenants=frozenset({"acme"}))
    datasets.plain_scratch = folder  # type: ignore[misc]
    tasks = PlaceTasks(
        pool=metered, places=Places({"lake": lake}), datasets=datasets, quarantine=quarantine, tenant_id="acme"
    )
    return Previews(pool=metered, datasets=datasets, tasks=tasks, quarantine=quarantine, threads=3)


def request() -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "sales", "mapping": {"y": "y", "treatment": "w"}})


async def test_a_preview_is_one_task_of_a_worker_on_the_table() -> None:
    pool = Pool()
    found = await previews(pool).preview(request())
    assert found == {"dataset_id": "sales", "contrasts": [], "main": 0}
    ((name, arguments),) = pool.tasks
    assert (name, arguments["path"], arguments["threads"]) == ("preview", "/data/sales", 3)
    assert arguments["request"]["mapping"] == {"y": "y", "treatment": "w"}


async def test_a_preview_of_a_table_in_place_is_one_task_that_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"")
    pool = Pool()
    asked = {"source": "lake", "table": "t.parquet", "mapping": {"y": "y", "treatment": "w"}}
    found = await previews(pool, tmp_path).preview(parse_model(AnalyzeRequest, asked), seconds=5.0)
    assert found["dataset_id"] == "source:lake:t.parquet"
    ((name, arguments),) = pool.tasks
    place = cast("Mapping[str, object]", arguments["place"])
    assert (name, place["files"]) == ("preview", [str(tmp_path / "t.parquet")])
    assert [path.name async for path in anyio.Path(tmp_path).iterdir()] == ["t.parquet"]
    with pytest.raises(NotFound) as caught:
        await previews(pool, tmp_path).preview(parse_model(AnalyzeRequest, {**asked, "table": "pay.parquet"}))
    assert caught.value.field == "table"
    assert len(pool.tasks) == 1


async def test_a_request_that_crashes_its_worker_again_and_again_is_refused() -> None:
    some = previews(Pool(WorkerLost("gone"), WorkerLost("gone")))
    with pytest.raises(UnusableData):
        await some.preview(request())


async def test_what_the_worker_refuses_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await previews(Pool(InvalidRequest("no such column"))).preview(request())
