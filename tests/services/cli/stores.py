"""Stores and files in the data directory of a command."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from cqox.storage import DataDirectory, FileStore, ResultStore, SqliteStore
from tests.storage.bound import files_in, in_default
from tests.storage.records import a_dataset

__all__ = ["LONG_AGO", "given", "given_to", "keep"]

LONG_AGO = 1_700_000_000


def given(data_dir: Path, work: Callable[[SqliteStore, FileStore], Awaitable[object]]) -> None:
    async def run() -> None:
        files = files_in(data_dir)
        async with in_default(SqliteStore.open, data_dir / "results.sqlite") as store:
            await work(store, files)
        files.directory.close()

    anyio.run(run)


def given_to(data_dir: Path, tenant_id: str, work: Callable[[ResultStore, FileStore], Awaitable[object]]) -> None:
    async def run() -> None:
        directory = DataDirectory(data_dir)
        async with SqliteStore.open(data_dir / "results.sqlite") as store:
            await work(store.within(tenant_id), directory.within(tenant_id))
        directory.close()

    anyio.run(run)


async def keep(files: FileStore, name: str) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(b"table")
    await files.keep(folder, a_dataset(name))
    os.utime(folder.parents[1] / "datasets" / name / "table.parquet", (LONG_AGO, LONG_AGO))
