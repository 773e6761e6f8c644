"""Worker pools of an engine and of a single caller."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.pools import open_pool
from cqox.analysis.workers import WorkerPool

BOUNDS = Bounds(analyses=2, threads=3, worker_memory_bytes=0, file_limits={}, standby=False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, object]]:
    seen: list[Mapping[str, object]] = []

    class Recorder:
        @classmethod
        @asynccontextmanager
        async def open(cls, **arguments: object) -> AsyncIterator[None]:
            yield seen.append(arguments)

    monkeypatch.setattr(pools, "WorkerPool", Recorder)
    return seen


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("standby", "work", "size", "spares"),
    [(False, "cqox.analysis.local_work", 2, 0), (True, "cqox.analysis.work", 3, 1)],
)
async def test_an_engine_has_further_workers_and_a_single_caller_none(
    opened: list[Mapping[str, object]], standby: bool, work: str, size: int, spares: int
) -> None:
    bounds = replace(BOUNDS, standby=standby)
    async with open_pool(bounds):
        pass
    (arguments,) = opened
    assert arguments == {
        "work": work,
        "size": size,
        "spares": spares,
        "limits": bounds.of_a_worker(),
        "threads": 3,
        "start": None,
    }


@pytest.mark.anyio
async def test_the_pool_of_a_single_caller_analyses() -> None:
    async with open_pool(BOUNDS) as pool:
        assert isinstance(pool, WorkerPool)
        assert (await pool.run("catalog", {})).array("estimators")
