"""Tasks on tables in place by a pool whose answer is written here."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.place_tasks import PlaceTasks, until
from cqox.analysis.places import Places
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, Serve
from cqox.errors import NotFound, SourceDown, UnusableData, WorkerLost
from cqox.sources import Place

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


class Pool:
    """Fails as it is said, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tasks: list[Mapping[str, object]] = []

    def check(self) -> None:
        pass

    async def run(self, name: str, arguments: Mapping[str, object], *, serve: Serve | None) -> Reply:
        self.tasks.append({"task": name, **arguments})
        if self.failures:
            raise self.failures.pop(0)
        return Reply(body={"found": name}, payload=b"")


class Files:
    def __init__(self, folder: Path) -> None:
        self.plain_scratch = folder


def tasks(pool: Pool, folder: Path) -> PlaceTasks:
    (folder / "t.parquet").write_bytes(b"")
    lake = Place(name="lake", kind="parquet", folder=folder, tables=("t.parquet",))
    return PlaceTasks(
        pool=cast("MeteredPool", pool), places=Places({"lake": lake}), datasets=cast("Datasets", Files(folder)),
        quarantine=Quarantine(strikes=2), tenant_id="acme",
    )  # fmt: skip


async def test_a_task_gets_its_table_and_its_own_arguments(tmp_path: Path) -> None:
    pool = Pool()
    some = tasks(pool, tmp_path)
    record = await some.record("lake", "t.parquet")
    assert await some.run("infer", record, {"threads": 2}, key="k", seconds_left=until(5.0)) == {"found": "infer"}
    (task,) = pool.tasks
    assert (task["task"], task["threads"]) == ("infer", 2)
    assert cast("Mapping[str, object]", task["place"])["table"] == "t.parquet"


async def test_a_table_that_crashes_its_worker_again_and_again_is_refused(tmp_path: Path) -> None:
    some = tasks(Pool(WorkerLost("gone"), WorkerLost("gone")), tmp_path)
    record = await some.record("lake", "t.parquet")
    with pytest.raises(UnusableData):
        await some.run("infer", record, {}, key="k", seconds_left=until(5.0))


async def test_roles_and_previews_share_the_circuit_of_the_source(tmp_path: Path) -> None:
    pool = Pool(*[SourceDown("away")] * 3)
    some = tasks(pool, tmp_path)
    record = await some.record("lake", "t.parquet")
    for name in ("infer", "preview", "infer"):
        with pytest.raises(SourceDown, match="away"):
            await some.run(name, record, {}, key=name, seconds_left=until(5.0))
    with pytest.raises(SourceDown, match="has failed several times"):
        await some.run("preview", record, {}, key="preview", seconds_left=until(5.0))
    assert len(pool.tasks) == 3


async def test_there_is_no_table_that_the_source_lacks(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await tasks(Pool(), tmp_path).record("lake", "u.parquet")


async def test_what_is_left_of_some_seconds_shrinks() -> None:
    left = until(10.0)
    first = left()
    await anyio.lowlevel.checkpoint()
    assert 10.0 >= first >= left() > 0.0
