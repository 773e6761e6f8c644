"""`cqox db` on a SQLite file and real files; PostgreSQL is behind the same contract."""

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import polars as pl
import pytest
from typer.testing import CliRunner

from cqox.storage import FileStore, SqliteStore
from cqox.storage.postgres import PostgresStore
from services.cli.db import app
from services.cli.db_check import check
from services.cli.db_export import export
from services.cli.db_schema import migrate, status
from tests.servers import Postgres, running
from tests.storage.records import a_dataset, a_job, a_report

LONG_AGO = 1_700_000_000


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CQOX_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("POSTGRES_URL", raising=False)
    return tmp_path


def given(data_dir: Path, work: Callable[[SqliteStore, FileStore], Awaitable[object]]) -> None:
    async def run() -> None:
        files = FileStore(data_dir)
        async with SqliteStore.open(data_dir / "results.sqlite") as store:
            await work(store, files)
        files.close()

    anyio.run(run)


async def keep(files: FileStore, name: str) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(b"table")
    await files.keep(folder, a_dataset(name))
    os.utime(folder.parents[1] / "datasets" / name / "table.parquet", (LONG_AGO, LONG_AGO))


def test_the_schema_is_made_once_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate() == 0
    assert status() == 0
    assert "reports, data sets and jobs" in capsys.readouterr().out


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
            await files.write(files.figure(analysis_id, "effects", "svg"), b"<svg/>")
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


def test_every_report_is_exported_as_lines_and_as_parquet(data_dir: Path, tmp_path: Path) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        for number in range(150):
            await store.save(a_report(number, dataset_id="a" if number % 2 else "b"))

    given(data_dir, work)
    assert export(tmp_path / "all.jsonl", form="auto", dataset_id=None) == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert sorted(line["report"]["number"] for line in lines) == list(range(150))
    assert lines[0]["provenance"] == {"seed": 0}
    assert export(tmp_path / "some.parquet", form="auto", dataset_id="a") == 0
    frame = pl.read_parquet(tmp_path / "some.parquet")
    assert frame.height == 75
    assert frame["estimate"].dtype == pl.Float64
    assert sorted(json.loads(text)["number"] for text in frame["report"]) == list(range(1, 150, 2))


def test_a_store_that_cannot_be_reached_ends_with_1_and_a_bad_address_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://127.0.0.1:1/x")
    assert status() == 1
    assert "refused" in capsys.readouterr().err
    monkeypatch.setenv("POSTGRES_URL", "nonsense")
    assert status() == 2


@pytest.mark.parametrize("name", ["nowhere/all.jsonl", "folder"])
def test_a_file_that_cannot_be_written_ends_with_1_and_one_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (data_dir / "folder").mkdir()
    assert export(data_dir / name, form="auto", dataset_id=None) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"The file {data_dir / name} cannot be written: ")
    assert name.partition("/")[0] in line
    assert not list(data_dir.glob(".*.part"))


def test_a_data_directory_that_is_none_ends_with_1_and_one_line(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "file").touch()
    monkeypatch.setenv("CQOX_DATA_DIR", str(data_dir / "file"))
    assert check(remove=False) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["migrate"], ["status"], ["check"], ["export"]])
def test_every_command_has_help_and_ends_with_2_for_an_option_that_it_does_not_have(arguments: list[str]) -> None:
    run = CliRunner().invoke
    shown = run(app, [*arguments, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
    assert run(app, [*arguments, "--nonsense"]).exit_code == 2


@pytest.mark.xdist_group("servers")
def test_the_commands_work_on_a_server_as_they_do_on_a_file(
    postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres_server.fresh()
    monkeypatch.setenv("POSTGRES_URL", url)
    assert status() == 1
    assert "pending" in capsys.readouterr().out
    assert migrate() == 0
    assert migrate() == 0
    assert status() == 0
    assert "pending" not in capsys.readouterr().out

    async def fill() -> None:
        async with PostgresStore.open(url) as store:
            for number in range(3):
                await store.save(a_report(number, dataset_id="a" if number else "b"))
            await store.register(a_dataset("missing"))

    anyio.run(fill)
    assert export(tmp_path / "a.parquet", form="auto", dataset_id="a") == 0
    assert pl.read_parquet(tmp_path / "a.parquet").height == 2
    assert export(tmp_path / "all.jsonl", form="auto", dataset_id=None) == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3
    assert check(remove=False) == 1
    assert "missing: the files of the data set missing" in capsys.readouterr().out
