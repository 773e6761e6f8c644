"""Data sets on a disk that may lose its power."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from cqox.chaos.simulation.disk import PowerLoss
from cqox.errors import NotFound
from cqox.storage import DataDirectory, FileStore, Sealing
from cqox.storage.readable import table_context
from tests.storage.records import a_dataset

__all__ = ["TABLE", "files_at", "is_whole", "run", "stored"]


TABLE = b"table" * 1000


def run(work: Callable[..., Awaitable[object]], *given: object) -> None:
    anyio.run(work, *given, backend="trio")


def files_at(loss: PowerLoss, sealing: Sealing, tenant: str = "default") -> FileStore:
    return DataDirectory(loss.root, reserve_bytes=0, originals_bytes=2**20, sealing=sealing).within(tenant)


async def stored(files: FileStore, name: str, content: bytes = TABLE, *, replace: bool = False) -> None:
    folder = files.incoming()
    # As a worker does it, which syncs nothing.
    files.sealing.write_file(folder / "table.parquet", content, f"{table_context(name)}/table.parquet")
    (folder / "table.parquet.json").write_text("{}", encoding="utf-8")
    await files.keep(folder, a_dataset(name), replace=replace)


async def is_whole(files: FileStore, name: str) -> bool:
    """Return whether a data set is there, which must be readable then."""
    if not await files.has(name):
        with pytest.raises(NotFound):
            async with files.reading(name):
                pass
        return False
    assert await files.is_intact(name)
    async with files.reading(name) as table:
        assert files.sealing.read_file(table.path, f"{table_context(name)}/table.parquet") == TABLE
    record = await files.record(name)
    assert record is not None
    assert record.dataset_id == name
    return True
