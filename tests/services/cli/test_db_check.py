"""Consistency of rows and files, on a SQLite file and real files."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cqox.storage import FileStore, ResultStore, SqliteStore
from services.cli.db_check import check
from tests.services.cli.stores import LONG_AGO, given, given_to, keep
from tests.storage.records import a_dataset, a_job, a_report


def test_a_consistent_store_is_found_so(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await keep(files, "a")
        await store.register(a_dataset("a"))
        await store.save(a_report(1))

    given(data_dir, work)
    assert check(remove=False) == 0
    assert capsys.readouterr().out == "Rows and files are consistent.\n"


def test_missing_damaged_and_orphaned_files_are_found_and_only_orphans_removed(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        for name in ("whole", "damaged", "orphan"):
            await keep(files, name)
        for name in ("whole", "damaged", "missing"):
            await store.register(a_dataset(name))
        (data_dir / "datasets/damaged/table.parquet").write_bytes(b"tablE")

    given(data_dir, work)
    assert check(remove=False) == 1
    found = capsys.readouterr().out
    assert [line.partition(":")[0] for line in found.splitlines()] == ["missing", "damaged", "orphan"]
    assert (data_dir / "datasets/orphan").exists()
    assert check(remove=True) == 1
    assert not (data_dir / "datasets/orphan").exists()
    assert (data_dir / "datasets/damaged").exists()


def test_figures_of_an_analysis_that_is_not_stored_are_found_and_removed_and_no_others(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await store.save(a_report(1))
        for analysis_id in (a_report(1).analysis_id, "gone", "fresh"):
            await files.write_figure(files.figure(analysis_id, "effects", "svg"), b"<svg/>")
            if analysis_id != "fresh":
                os.utime(data_dir / "figures" / analysis_id, (LONG_AGO, LONG_AGO))

    given(data_dir, work)
    assert check(remove=False) == 1
    assert capsys.readouterr().out == "orphan: the figures of the analysis gone, which is not stored\n"
    assert check(remove=True) == 0
    assert sorted(path.name for path in (data_dir / "figures").iterdir()) == [a_report(1).analysis_id, "fresh"]


def test_files_kept_just_now_are_no_orphans_yet(data_dir: Path) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await keep(files, "fresh")
        os.utime(data_dir / "datasets/fresh/table.parquet")

    given(data_dir, work)
    assert check(remove=True) == 0
    assert (data_dir / "datasets/fresh").exists()


def test_what_a_departed_engine_left_is_removed_and_its_jobs_are_interrupted(data_dir: Path) -> None:
    (data_dir / "engines").mkdir()
    (data_dir / "engines/gone").touch()
    (data_dir / "incoming/gone-1").mkdir(parents=True)

    async def begin(store: SqliteStore, files: FileStore) -> None:
        await store.put_job(a_job("j"), owner="gone", seconds=3600)

    async def look(store: SqliteStore, files: FileStore) -> None:
        job = await store.job("j")
        assert job is not None
        assert job.status == "interrupted"

    given(data_dir, begin)
    assert check(remove=True) == 0
    assert not (data_dir / "incoming/gone-1").exists()
    given(data_dir, look)


def test_a_report_that_is_damaged_is_found_and_not_removed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await store.save(a_report(1))
        await store.save(replace(a_report(2), digest="0" * 32))

    given(data_dir, work)
    assert check(remove=True) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("damaged: ")
    assert a_report(2).analysis_id in line


def test_the_rows_and_files_of_every_tenant_are_checked_and_only_its_own_orphans_removed(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def first(store: SqliteStore, files: FileStore) -> None:
        await keep(files, "a")
        await store.register(a_dataset("a"))

    async def second(store: ResultStore, files: FileStore) -> None:
        await store.register(a_dataset("missing"))
        await keep(files, "a")

    given(data_dir, first)
    given_to(data_dir, "acme", second)
    assert check(remove=True) == 1
    assert [line.partition(":")[0::2] for line in capsys.readouterr().out.splitlines()] == [
        ("missing", " tenant acme: the files of the data set missing; upload it again"),
        ("orphan", " tenant acme: the files of the data set a, which no row names (removed)"),
    ]
    assert (data_dir / "datasets/a").exists()
    assert not (data_dir / "tenants/acme/datasets/a").exists()
