"""Annotations in the SQLite file; the contract is in `test_history`."""

import sqlite3
from pathlib import Path

import pytest

from cqox.storage import SqliteStore, sqlite_history, sqlite_schema
from cqox.storage.rows import row_of
from cqox.storage.sqlite_file import marks
from cqox.storage.sqlite_repair import replace_damaged
from tests.storage.bound import in_default
from tests.storage.records import a_dataset, a_report, an_annotation

pytestmark = pytest.mark.anyio


async def test_a_repair_keeps_annotations(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    async with in_default(SqliteStore.open, path) as store:
        await store.save(a_report(1))
        await store.annotate(an_annotation(1, "a", title="t"), replaces=None)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.annotation(a_report(1).analysis_id) == an_annotation(1, "a", title="t")


async def test_a_repair_before_the_migration_loses_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.sqlite"
    with monkeypatch.context() as older:
        older.setattr(sqlite_schema, "MIGRATIONS", sqlite_schema.MIGRATIONS[:4])
        async with in_default(SqliteStore.open, path) as store:
            dataset = a_dataset("a")
            names = ", ".join(name for name in dataset.__dataclass_fields__ if name != "owner")
            await store._count(f"INSERT INTO datasets ({names}) VALUES ({marks(9)})", *row_of(dataset)[:-1])
            columns = "analysis_id, dataset_id, created_at, status, report, provenance, figures, digest"
            report = a_report(1)
            values = [getattr(report, name) for name in columns.split(", ")]
            await store._count(f"INSERT INTO reports ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
    assert replace_damaged(path, "so", is_damaged=lambda _: True, seconds=10)
    async with in_default(SqliteStore.open, path) as store:
        assert await store.dataset("a") == a_dataset("a")
        found = await store.load(report.analysis_id)
        assert found is not None
        assert (found.report, found.outcome) == (report.report, None)
        assert await store.annotate(an_annotation(1, "a", title="t"), replaces=None)


async def test_looks_are_counted_in_an_index_without_the_reports(tmp_path: Path) -> None:
    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        plan = await store._rows(f"EXPLAIN QUERY PLAN {sqlite_history._LOOKS}", "default", "d")
        assert "USING COVERING INDEX reports_of_question" in str([tuple(row) for row in plan])


async def test_a_page_of_summaries_is_found_in_an_index_without_the_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = list[str]()

    class Explaining:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, query: str, values: tuple[object, ...]) -> sqlite3.Cursor:
            plans.extend(row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
            return self._connection.execute(query, values)

    async with in_default(SqliteStore.open, tmp_path / "results.sqlite") as store:
        call = store._call
        monkeypatch.setattr(store, "_call", lambda work: call(lambda connection: work(Explaining(connection))))
        for index, asked in (
            ("tenant_by_time", {}),
            ("dataset", {"dataset_id": "d"}),
            ("dataset", {"search": "s"}),
        ):
            plans.clear()
            await store.summaries(**asked)
            found = [step for step in plans if " reports" in step]
            assert f"USING COVERING INDEX reports_of_{index}" in found[0], plans
            assert found[1:] == ["SEARCH reports USING PRIMARY KEY (analysis_id=?)"], plans
