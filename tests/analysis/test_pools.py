"""Worker pools of an engine and of a single caller."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.pools import open_pool
from cqox.analysis.workers import WorkerPool
from cqox.analysis.workers.worker import Worker

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


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, object]]:
    seen: list[Mapping[str, object]] = []

    class Recorder:
        start = "forks"

        @classmethod
        @asynccontextmanager
        async def open(cls, **arguments: object) -> AsyncIterator[Self]:
            seen.append(arguments)
            yield cls()

    monkeypatch.setattr(pools, "Forking", Recorder)
    return seen


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("standby", "work", "size", "spares"),
    [(False, "cqox.analysis.local_work", 2, 0), (True, "cqox.analysis.work", 3, 1)],
)
async def test_an_engine_has_further_workers_and_a_single_caller_none(
    opened: list[Mapping[str, object]], forked: object, standby: bool, work: str, size: int, spares: int
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
        "start": "forks" if standby else None,
    }
    assert forked == ([{"work": work, "threads": 3}] if standby else [])


@pytest.mark.anyio
@pytest.mark.parametrize("why", ["the system cannot fork", "another start is given"])
async def test_workers_are_not_forked_where_that_cannot_be_or_is_not_wanted(
    opened: list[Mapping[str, object]], forked: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(**_: object) -> Worker:
        raise AssertionError

    given = start if why == "another start is given" else None
    monkeypatch.setattr(pools, "can_fork", lambda: why != "the system cannot fork")
    async with open_pool(replace(BOUNDS, standby=True), start=given):
        pass
    assert [arguments["start"] for arguments in opened] == [given]
    assert forked == []


@pytest.mark.anyio
async def test_the_pool_of_a_single_caller_analyses() -> None:
    async with open_pool(BOUNDS) as pool:
        assert isinstance(pool, WorkerPool)
        assert (await pool.run("catalog", {})).array("estimators")
