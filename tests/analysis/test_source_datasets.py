"""Sources as data sets, with a pool that runs no task."""

from functools import partial
from pathlib import Path

import pytest

from cqox.analysis import pools
from cqox.analysis.bounds import Bounds
from cqox.analysis.service import Analyses
from cqox.analysis.source_datasets import add_source, remove
from cqox.analysis.workers import Reply
from cqox.datasets import join_files
from cqox.errors import LimitExceeded, UnreadableFile
from cqox.storage import DEFAULT_TENANT
from tests.analysis.fake_pool import FakePool

pytestmark = pytest.mark.anyio
BOUNDS = Bounds(analyses=1, threads=1, worker_memory_bytes=0, file_limits={}, reserve_bytes=0)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    made = FakePool()
    monkeypatch.setattr(pools, "WorkerPool", made)
    return made


async def test_a_file_keeps_its_name_and_a_folder_is_joined_first(pool: FakePool, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("y,w\n1,0\n")
    async with Analyses.open(tmp_path / "data", BOUNDS, samples=False) as analyses:
        datasets, scratch = analyses.within(DEFAULT_TENANT).datasets, tmp_path / "scratch"
        found = await add_source(datasets, analyses.pool, source, scratch=scratch, read_options={})
        assert found.name == "a.csv"
        named = {"scratch": scratch, "name": "shop", "read_options": {"sheet": "2"}}
        assert (await add_source(datasets, analyses.pool, source, **named)).name == "shop"
        with pytest.raises(UnreadableFile):
            await add_source(
                datasets,
                analyses.pool,
                tmp_path / "no",
                scratch=scratch,
                read_options={},
            )
    assert pool.ran == ["ingest", "ingest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "data"]  # noqa: ASYNC240


async def test_what_is_fetched_is_removed_whatever_happens(pool: FakePool, tmp_path: Path) -> None:
    from cqox.sources import sql

    query = sql("SELECT 1 AS a", "duckdb://")
    async with Analyses.open(tmp_path / "data", BOUNDS, samples=False) as analyses:
        datasets, scratch = analyses.within(DEFAULT_TENANT).datasets, tmp_path / "scratch"
        await add_source(datasets, analyses.pool, query, scratch=scratch, read_options={})
        with pytest.raises(LimitExceeded):
            await add_source(
                datasets, analyses.pool, query, scratch=scratch, read_options={}, max_bytes=10
            )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["data"]  # noqa: ASYNC240


def test_files_folders_and_nothing_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        remove(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "", "*.csv"])
async def test_a_file_that_changes_while_it_is_read_is_an_error(pool: FakePool, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "table"
    folder.mkdir()
    file = folder / "a.csv"
    file.write_text("y,w\n1,0\n")
    run = pool.run

    async def growing(task: str, arguments: dict[str, object], *given: object, **named: object) -> object:
        with file.open("a") as opened:
            opened.write("2,1\n")
        if task == "join":
            join_files([file], Path(str(arguments["path"])), is_text=True, partitions={})
            return Reply(body={}, payload=b"")
        return await run(task, arguments, *given, **named)  # type: ignore[arg-type]

    async with Analyses.open(tmp_path / "data", BOUNDS, samples=False) as analyses:
        datasets, scratch = analyses.within(DEFAULT_TENANT).datasets, tmp_path / "scratch"
        add = partial(add_source, datasets, analyses.pool, folder / name, name="shop", scratch=scratch, read_options={})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "run", growing)
            with pytest.raises(UnreadableFile, match=r"The files of 'shop' were changed while they were read\. Try"):
                await add()
        assert await datasets.all() == []
        if name == "a.csv":
            assert (await add()).name == "shop"
            assert len(await datasets.all()) == 1
    assert not scratch.with_name("scratch-joined").exists()
