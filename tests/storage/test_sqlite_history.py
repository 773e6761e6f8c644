"""Annotations in the SQLite file; the contract is in `test_history`."""

from pathlib import Path

import pytest

from cqox.storage import SqliteStore, sqlite_file
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.records import a_dataset, a_report, an_annotation

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_annotations(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with SqliteStore.open(path) as store:
        await store.save(a_report(1))
        await store.annotate(an_annotation(1, "a", title="t"), replaces=None)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with SqliteStore.open(path) as store:
        assert await store.annotation(a_report(1).analysis_id) == an_annotation(1, "a", title="t")


async def test_a_repair_before_the_migration_loses_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.sqlite"
    with monkeypatch.context() as older:
        older.setattr(sqlite_file, "MIGRATIONS", sqlite_file.MIGRATIONS[:4])
        async with SqliteStore.open(path) as store:
            await store.register(a_dataset("a"))
            columns = "analysis_id, dataset_id, created_at, status, report, provenance, figures, digest"
            report = a_report(1)
            values = [getattr(report, name) for name in columns.split(", ")]
            await store._count(f"INSERT INTO reports ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with SqliteStore.open(path) as store:
        assert await store.dataset("a") == a_dataset("a")
        found = await store.load(report.analysis_id)
        assert found is not None
        assert (found.report, found.outcome) == (report.report, None)
        assert await store.annotate(an_annotation(1, "a", title="t"), replaces=None)
