"""Previews by a pool whose answer is written here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.previews import Previews
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply
from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest, UnusableData, WorkerLost
from cqox.storage import DatasetRecord, FileKeys, Readable
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio


class Pool:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tasks: list[tuple[str, Mapping[str, object]]] = []

    def check(self) -> None:
        pass

    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
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


def previews(pool: Pool) -> Previews:
    return Previews(
        pool=cast("MeteredPool", pool), datasets=cast("Datasets", OneDataset()), quarantine=Quarantine(strikes=2),
        threads=3,
    )  # fmt: skip


def request() -> AnalyzeRequest:
    return parse_model(AnalyzeRequest, {"dataset_id": "sales", "mapping": {"y": "y", "treatment": "w"}})


async def test_a_preview_is_one_task_of_a_worker_on_the_table() -> None:
    pool = Pool()
    found = await previews(pool).preview(request())
    assert found == {"dataset_id": "sales", "contrasts": [], "main": 0}
    ((name, arguments),) = pool.tasks
    assert (name, arguments["path"], arguments["threads"]) == ("preview", "/data/sales", 3)
    assert arguments["request"]["mapping"] == {"y": "y", "treatment": "w"}


async def test_a_request_that_crashes_its_worker_again_and_again_is_refused() -> None:
    some = previews(Pool(WorkerLost("gone"), WorkerLost("gone")))
    with pytest.raises(UnusableData):
        await some.preview(request())


async def test_what_the_worker_refuses_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await previews(Pool(InvalidRequest("no such column"))).preview(request())
