"""Built-in data sets, made by a stub in place of a worker."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cqox.analysis.builtin_datasets import BuiltinDatasets, record_of
from cqox.analysis.workers import Reply, WorkerPool
from cqox.storage import SqliteStore
from tests.storage.bound import files_in, in_default

pytestmark = pytest.mark.anyio


class Pool:
    """Makes one sample."""

    def __init__(self) -> None:
        self.made = 0

    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
        if name == "samples":
            return Reply(body={"samples": [{"name": "test", "digest": "x", "size_bytes": 5}]}, payload=b"")
        self.made += 1
        (Path(str(arguments["folder"])) / "table.parquet").write_bytes(b"table")
        return Reply(body={"rows": 3, "columns": [{}, {}]}, payload=b"")


async def test_a_sample_is_made_once_and_again_where_its_files_are_damaged(tmp_path: Path) -> None:
    files, pool = files_in(tmp_path), Pool()
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        builtin = BuiltinDatasets(pool=cast("WorkerPool", pool), store=store, files=files, expected=True)
        for _ in range(2):
            await builtin.prepare()
        (record,) = await store.datasets()
        assert (record.dataset_id, record.sample, record.rows, record.columns, pool.made) == ("test", True, 3, 2, 1)
        await store.register(replace(record, name="changed"))
        (tmp_path / "datasets/test/table.parquet").write_bytes(b"tablE")
        await builtin.restore(record)
        assert pool.made == 2
        await builtin.prepare()
        assert (pool.made, [each.name for each in await store.datasets()]) == (2, ["test"])


def test_a_record_has_the_shape_and_the_description_of_its_reply() -> None:
    reply = cast("Reply", Reply(body={"rows": 3, "columns": [{}], "notes": ["é"]}, payload=b""))
    record = record_of(reply, "d", "digest", "name", 7, sample=False)
    assert (record.dataset_id, record.digest, record.name, record.size_bytes) == ("d", "digest", "name", 7)
    assert (record.rows, record.columns, record.sample) == (3, 1, False)
    assert record.description == '{"rows":3,"columns":[{}],"notes":["é"]}'.encode()
