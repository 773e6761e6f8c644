"""Originals shown and read again, over a pool that reads every file as the same table."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from cqox.analysis.datasets import Datasets
from cqox.analysis.original_files import OriginalFiles
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, WorkerPool
from cqox.contract import dataset_id, file_digest
from cqox.errors import InvalidRequest, NotFound
from cqox.storage import DatasetRecord, FileStore, SqliteStore
from tests.storage.bound import files_in, in_default

pytestmark = pytest.mark.anyio
CONTENT = b"y,w\n1,0\n"


class Pool:
    def __init__(self) -> None:
        self.tasks: list[tuple[str, dict[str, object]]] = []

    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
        self.tasks.append((name, {**arguments, "content": Path(str(arguments["path"])).read_bytes()}))  # noqa: ASYNC240
        if name == "sheets":
            return Reply(body={"format": "text", "sheets": [{"columns": 2}]}, payload=b"")
        if arguments["options"] == {"sheet": "no"}:
            raise InvalidRequest("There is no such sheet.", field="sheet")
        (Path(str(arguments["folder"])) / "table.parquet").write_bytes(b"table")
        return Reply(body={"rows": 1, "columns": [{"name": "y"}, {"name": "w"}], "encoding": "cp932"}, payload=b"")


class Opened:
    def __init__(self, root: Path, datasets: Datasets, originals: OriginalFiles, pool: Pool, files: FileStore) -> None:
        self.root, self.datasets, self.originals, self.pool, self.files = root, datasets, originals, pool, files

    async def upload(self, *, keep_original: bool = True, **options: str) -> DatasetRecord:
        path = self.datasets.scratch / "upload"
        path.write_bytes(CONTENT)
        digest, size_bytes = file_digest(path)
        try:
            return await self.datasets.add(
                path, name="a.csv", content_digest=digest, size_bytes=size_bytes, options=options,
                keep_original=keep_original,
            )  # fmt: skip
        finally:
            path.unlink()


@asynccontextmanager
async def opened(root: Path, *, originals_bytes: int = 1000) -> AsyncIterator[Opened]:
    files, pool, quarantine = files_in(root, originals_bytes=originals_bytes), Pool(), Quarantine()
    async with in_default(SqliteStore.open, root / "results.sqlite") as store:
        workers = cast("WorkerPool", pool)
        datasets = Datasets(
            pool=workers, store=store, files=files, quarantine=quarantine, limits={}, samples=False
        )  # fmt: skip
        originals = OriginalFiles(datasets=datasets, files=files, pool=workers, quarantine=quarantine, limits={})
        yield Opened(root, datasets, originals, pool, files)
    files.directory.close()


async def test_what_is_read_again_is_what_an_upload_with_these_options_would_be(tmp_path: Path) -> None:
    async with opened(tmp_path) as made:
        first = await made.upload()
        again = await made.originals.read(first.dataset_id, {"sheet": "2"})
        assert again.dataset_id == dataset_id(first.dataset_id, {"sheet": "2"})
        assert await made.upload(sheet="2") == again
        assert [task["content"] for _, task in made.pool.tasks] == [CONTENT, CONTENT]
        # Also from the data set that was read again, whose id is not the digest of the file.
        assert await made.originals.read(again.dataset_id, {}) == first
        assert (tmp_path / "datasets" / first.dataset_id / "original").stat().st_nlink == 2
        await made.datasets.delete(first.dataset_id)
        assert await made.originals.read(again.dataset_id, {}) != first


async def test_options_that_do_not_fit_leave_the_original(tmp_path: Path) -> None:
    async with opened(tmp_path) as made:
        record = await made.upload()
        with pytest.raises(InvalidRequest):
            await made.originals.read(record.dataset_id, {"sheet": "no"})
        assert (await made.originals.sheets(record.dataset_id, None))["original"]
        assert list((tmp_path / "reading").iterdir()) == []


async def test_sheets_are_those_of_the_original_with_the_options_of_its_upload(tmp_path: Path) -> None:
    async with opened(tmp_path) as made:
        record = await made.upload(decimal=",")
        found = await made.originals.sheets(record.dataset_id, "2")
        assert found["read"] == {"decimal": ","}
        assert (found["original"], found["format"]) == (True, "text")
        _, task = made.pool.tasks[-1]
        assert (task["sheet"], task["encoding"], task["content"]) == ("2", "cp932", CONTENT)


@pytest.mark.parametrize("kept", [True, False])
async def test_without_the_original_the_answer_says_so_and_reading_again_is_refused(tmp_path: Path, kept: bool) -> None:
    async with opened(tmp_path, originals_bytes=1000 if kept else 0) as made:
        record = await made.upload()
        if kept:
            (tmp_path / "datasets" / record.dataset_id / "original").unlink()
        found = await made.originals.sheets(record.dataset_id, None)
        assert (found["original"], found["sheets"], found["read"]) == (False, [], {} if kept else None)
        assert "upload it again" in str(found["note"])
        with pytest.raises(NotFound) as refused:
            await made.originals.read(record.dataset_id, {})
        assert refused.value.field == "original"
        with pytest.raises(NotFound) as refused:
            await made.originals.read("unknown", {})
        assert refused.value.field == "dataset_id"


async def test_an_upload_of_the_same_file_brings_the_original_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as made:
        record = await made.upload(keep_original=False)
        assert await made.files.original(record.dataset_id) == (None, False)
        await made.upload()
        assert (await made.files.original(record.dataset_id))[1]
        shutil.rmtree(tmp_path / "datasets" / record.dataset_id)
        await made.upload()
        assert (await made.files.original(record.dataset_id))[1]
