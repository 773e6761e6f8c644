"""The SQLite store without its directory, and on a damaged file that is not repaired."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from cqox.errors import StoreUnavailable
from cqox.storage import SqliteStore
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report

pytestmark = pytest.mark.anyio


async def test_a_store_without_its_directory_is_unavailable_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with in_default(SqliteStore.open, folder / "results.sqlite") as store:
        await store.save(a_report(1))
        shutil.rmtree(folder)
        with pytest.raises(StoreUnavailable):
            await store.save(a_report(2))
        with pytest.raises(StoreUnavailable):
            await store.ping()
        assert store.epoch == 1
        folder.mkdir()
        await store.register(a_dataset("a"))
        await store.ping()


async def test_damage_found_by_a_call_is_reported_by_ping(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path, connections=1) as store:
        await store.save(a_report(1))

        def meet(connection: sqlite3.Connection) -> None:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

        with pytest.raises(StoreUnavailable, match="malformed"):
            await store._call(meet)
        with pytest.raises(StoreUnavailable, match=r"results\.sqlite is damaged"):
            await store.ping()
