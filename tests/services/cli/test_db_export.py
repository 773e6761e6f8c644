"""Export of stored analyses from a SQLite file."""

import json
from pathlib import Path

import polars as pl
import pytest

from cqox.storage import FileStore, ResultStore, SqliteStore
from services.cli.db_export import export
from tests.services.cli.stores import given, given_to
from tests.storage.records import a_report, an_annotation


def test_every_report_is_exported_as_lines_and_as_parquet(data_dir: Path, tmp_path: Path) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        for number in range(150):
            await store.save(a_report(number, dataset_id="a" if number % 2 else "b"))
        await store.annotate(an_annotation(1, "v", title="Spring", notes="n"), replaces=None)

    given(data_dir, work)
    assert export(tmp_path / "all.jsonl", form="auto", dataset_id=None) == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert sorted(line["report"]["number"] for line in lines) == list(range(150))
    assert lines[0]["provenance"] == {"seed": 0}
    written = {line["report"]["number"]: (line["title"], line["notes"]) for line in lines}
    assert (written[1], written[2]) == (("Spring", "n"), (None, None))
    assert export(tmp_path / "some.parquet", form="auto", dataset_id="a") == 0
    frame = pl.read_parquet(tmp_path / "some.parquet")
    assert frame.height == 75
    assert frame["estimate"].dtype == pl.Float64
    assert sorted(json.loads(text)["number"] for text in frame["report"]) == list(range(1, 150, 2))


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


def test_nothing_stored_is_an_empty_file_with_the_same_columns(data_dir: Path) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await store.save(a_report(1))

    assert export(data_dir / "none.parquet", form="auto", dataset_id=None) == 0
    assert export(data_dir / "none.jsonl", form="auto", dataset_id=None) == 0
    assert (data_dir / "none.jsonl").read_text() == ""
    given(data_dir, work)
    assert export(data_dir / "one", form="parquet", dataset_id=None) == 0
    none, one = pl.read_parquet(data_dir / "none.parquet"), pl.read_parquet(data_dir / "one")
    assert (none.height, one.height, none.schema) == (0, 1, one.schema)


def test_a_dash_is_standard_output_as_lines_in_any_form(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(store: SqliteStore, files: FileStore) -> None:
        await store.save(a_report(7))

    given(data_dir, work)
    assert export(Path("-"), form="parquet", dataset_id=None) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["estimate"] == 1.0


def test_the_reports_of_every_tenant_are_exported_with_its_name(data_dir: Path, tmp_path: Path) -> None:
    async def work(store: ResultStore, files: FileStore) -> None:
        await store.save(a_report(1))

    for tenant_id in ("default", "acme"):
        given_to(data_dir, tenant_id, work)
    for name in ("all.jsonl", "all.parquet"):
        assert export(tmp_path / name, form="auto", dataset_id=None) == 0
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    expected = [("acme", a_report(1).analysis_id), ("default", a_report(1).analysis_id)]
    assert [(line["tenant_id"], line["analysis_id"]) for line in lines] == expected
    assert pl.read_parquet(tmp_path / "all.parquet").select("tenant_id", "analysis_id").rows() == expected
