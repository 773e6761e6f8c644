"""Deletions and listings of the SQLite store; the contract is in `test_stored_jobs` and `test_result_store`."""

import errno
import os
from pathlib import Path

import pytest

from cqox.errors import StorageFull, StoreUnavailable
from cqox.storage import SqliteStore
from tests.storage.bound import in_default
from tests.storage.records import a_report

pytestmark = pytest.mark.anyio


async def test_a_page_of_jobs_is_read_in_index_order(tmp_path: Path) -> None:
    asked = list[str]()
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite", connections=1) as store:
        await store._call(lambda connection: connection.set_trace_callback(asked.append))
        for before in (None, "2026-01-01|j"):
            asked.clear()
            await store.jobs(before=before)
            (query,) = [each for each in asked if "FROM jobs" in each]
            rows = await store._rows(f"EXPLAIN QUERY PLAN {query}")
            plan = " ".join(str(row[3]) for row in rows)
            assert "INDEX jobs_of_tenant" in plan, plan
            assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EACCES, StoreUnavailable)]
)
async def test_a_deletion_that_cannot_be_announced_is_store_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreUnavailable]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        await store.save(a_report(1))
        with monkeypatch.context() as broken:
            broken.setattr("cqox.storage.sqlite_retention.os.utime", failing)
            with pytest.raises(StoreUnavailable, match="could not be announced to other engines") as caught:
                await store.delete_reports([a_report(1).analysis_id])
            assert type(caught.value) is kind
        before = store.deletions
        await store.delete_reports([a_report(1).analysis_id])
        assert store.deletions > before


async def test_each_deletion_is_announced_to_other_engines_also_where_nothing_was_there(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store, in_default(SqliteStore.open, path) as other:
        await store.save(a_report(1))
        seen = [other.deletions]
        assert seen == [0]
        for gone in ([a_report(1).analysis_id], []):
            assert await store.delete_reports([a_report(1).analysis_id]) == gone
            seen.append(other.deletions)
    assert seen == sorted(set(seen))
    assert (tmp_path / "results.sqlite-deletions").stat().st_mode & 0o777 == 0o600


def sizes_with(folder: Path, word: bytes) -> list[int]:
    """Return the sizes of the files that contain a word."""
    return [each.stat().st_size for each in folder.iterdir() if word in each.read_bytes()]


async def test_deleted_bytes_are_in_no_file_and_their_pages_return_to_the_disk(tmp_path: Path) -> None:
    path, word = tmp_path / "results.sqlite", b"a-word-to-look-for"
    body = b'"%b"' % (word * 20_000)
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1, body=body))
        assert max(sizes_with(tmp_path, word)) > len(body)
        await store.delete_reports([a_report(1).analysis_id])
        assert sizes_with(tmp_path, word) == []
        assert path.stat().st_size < len(body) / 2


async def test_ids_that_no_row_can_have_delete_nothing(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        await store.save(a_report(1))
        assert await store.delete_reports([]) == []
        assert await store.delete_reports(["a\0", "\ud800"]) == []
        assert await store.stored(["a\0", a_report(1).analysis_id]) == {a_report(1).analysis_id}
        assert not await store.delete_job("a\0")
        assert await store.delete_jobs_of("\ud800") == 0
