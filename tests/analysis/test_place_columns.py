"""Columns and roles of tables in place by a pool whose answer is written here."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import anyio
import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.metered_pool import MeteredPool
from cqox.analysis.place_columns import PlaceColumnsReader
from cqox.analysis.place_tasks import PlaceTasks
from cqox.analysis.places import Places
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, Serve
from cqox.errors import NotFound, QuotaExceeded, SourceDown
from cqox.sources import Place

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
COLUMNS = [{"name": "y", "kind": "real", "type": None}]
ROLES: dict[str, object] = {"mapping": {"y": "y"}, "candidates": {}}


class Pool:
    """Answers each task with one column.

    Attributes:
        tasks: the arguments of each.
        names: of the tasks.
        started: set by the first.
    """

    def __init__(self, *, failure: Exception | None = None, seconds: float = 0.0, quota: bool = True) -> None:
        self.tasks: list[Mapping[str, object]] = []
        self.names: list[str] = []
        self.started = anyio.Event()
        self._failure, self._seconds, self._quota = failure, seconds, quota

    def check(self) -> None:
        if not self._quota:
            raise QuotaExceeded("cpu", detail="no time left", retry_after=1.0)

    async def run(self, name: str, arguments: Mapping[str, object], *, serve: Serve | None) -> Reply:
        self.names.append(name)
        assert await anyio.Path(str(arguments["folder"])).is_dir()
        self.tasks.append(arguments)
        self.started.set()
        await anyio.sleep(self._seconds)
        if self._failure is not None:
            raise self._failure
        return Reply(body={"columns": COLUMNS} if name == "columns" else ROLES, payload=b"")


class Files:
    def __init__(self, folder: Path) -> None:
        self.plain_scratch = folder


def reader(pool: Pool, tmp_path: Path, tenant_id: str = "acme") -> PlaceColumnsReader:
    (tmp_path / "lake").mkdir(exist_ok=True)
    (tmp_path / "lake" / "sales.parquet").write_bytes(b"")
    lake = Place(
        name="lake", kind="parquet", folder=tmp_path / "lake", tables=("sales.parquet",), tenants=frozenset({"acme"})
    )
    tasks = PlaceTasks(
        pool=cast("MeteredPool", pool), places=Places({"lake": lake}), datasets=cast("Datasets", Files(tmp_path)),
        quarantine=Quarantine(), tenant_id=tenant_id,
    )  # fmt: skip
    return PlaceColumnsReader(tasks, threads=3)


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_columns_are_one_task_of_a_worker_that_leaves_no_files(tmp_path: Path) -> None:
    pool = Pool()
    found = await reader(pool, tmp_path).columns("lake", "sales.parquet")
    assert found == {"source": "lake", "table": "sales.parquet", "columns": COLUMNS}
    (task,) = pool.tasks
    place = cast("Mapping[str, object]", task["place"])
    assert place["files"] == [str(tmp_path / "lake" / "sales.parquet")]
    assert left_in(tmp_path) == ["lake"]


async def test_roles_are_one_task_of_a_worker_that_leaves_no_files(tmp_path: Path) -> None:
    pool = Pool()
    found = await reader(pool, tmp_path).roles("lake", "sales.parquet", seconds=5.0)
    assert found == {"dataset_id": "source:lake:sales.parquet", **ROLES}
    (task,) = pool.tasks
    assert (pool.names, task["threads"]) == (["infer"], 3)
    assert left_in(tmp_path) == ["lake"]


async def test_a_caller_of_roles_that_leaves_ends_the_task_and_its_files(tmp_path: Path) -> None:
    pool = Pool(seconds=math.inf)
    async with anyio.create_task_group() as group:
        group.start_soon(reader(pool, tmp_path).roles, "lake", "sales.parquet")
        with anyio.fail_after(60):
            await pool.started.wait()
        group.cancel_scope.cancel()
    assert left_in(tmp_path) == ["lake"]


async def test_what_a_tenant_may_not_read_is_not_there_for_it_and_starts_nothing(tmp_path: Path) -> None:
    for tenant_id, table, field in (("other", "sales.parquet", "source"), ("acme", "pay.parquet", "table")):
        pool = Pool()
        with pytest.raises(NotFound) as caught:
            await reader(pool, tmp_path, tenant_id).columns("lake", table)
        with pytest.raises(NotFound):
            await reader(pool, tmp_path, tenant_id).roles("lake", table)
        assert caught.value.field == field
        assert pool.tasks == []
    assert "lake" not in caught.value.choices


async def test_a_tenant_without_cpu_time_is_refused(tmp_path: Path) -> None:
    pool = Pool(quota=False)
    with pytest.raises(QuotaExceeded):
        await reader(pool, tmp_path).columns("lake", "sales.parquet")
    assert pool.tasks == []


async def test_a_source_that_fails_again_and_again_is_rested(tmp_path: Path) -> None:
    pool = Pool(failure=SourceDown("away"))
    some = reader(pool, tmp_path)
    for _ in range(3):
        with pytest.raises(SourceDown, match="away"):
            await some.columns("lake", "sales.parquet")
    with pytest.raises(SourceDown, match="has failed several times"):
        await some.columns("lake", "sales.parquet")
    assert len(pool.tasks) == 3


async def test_a_caller_that_leaves_ends_the_task_and_its_files(tmp_path: Path) -> None:
    pool = Pool(seconds=math.inf)
    async with anyio.create_task_group() as group:
        group.start_soon(reader(pool, tmp_path).columns, "lake", "sales.parquet")
        with anyio.fail_after(60):
            await pool.started.wait()
        group.cancel_scope.cancel()
    assert left_in(tmp_path) == ["lake"]
