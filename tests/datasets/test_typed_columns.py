"""Columns on disk give the same table as columns in memory."""

import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import polars as pl
import pytest

from cqox.analysis.work import perform
from cqox.datasets import Limits, columnar, delimited, open_table, parsed_cells, read_table, slices, write_parquet
from cqox.datasets.temp_files import Scratch
from cqox.datasets.typed_columns import (
    TypedColumns,
    comparable_rows,
    different_rows,
    rows_of_column,
    slices_of_column,
)  # fmt: skip

_ROWS = 300
_FRAME = pl.DataFrame(
    {
        "store_id": [row // 3 for row in range(_ROWS)],
        "year": [2020 + row % 3 for row in range(_ROWS)],
        "treated": [int(row % 6 > 2) for row in range(_ROWS)],
        "sales": [None if row == 7 else row / 8 for row in range(_ROWS)],
        "region": pl.Series([["東京", "大阪", None][row % 3] for row in range(_ROWS)], dtype=pl.Enum(["大阪", "東京"])),
        "day": [datetime.date(2024, 1, 1) + datetime.timedelta(row) for row in range(_ROWS)],
        "seen": [datetime.datetime(2024, 1, 1, 5) + datetime.timedelta(row / 3) for row in range(_ROWS)],
        "note": [f"客の声 {row}" for row in range(_ROWS)],
        "empty": pl.Series([None] * _ROWS, dtype=pl.String),
    }
)


@pytest.fixture(params=[0, 2000, 1 << 30])
def columns(request: pytest.FixtureRequest) -> Iterator[TypedColumns]:
    """All columns on disk, some of them, or none."""
    with Scratch() as scratch, mock.patch.object(TypedColumns, "MOST_BYTES", request.param):
        typed = TypedColumns(scratch, _ROWS)
        for series in _FRAME:
            typed.add(series)
        yield typed


def test_columns_on_disk_are_read_as_they_were(columns: TypedColumns) -> None:
    positions = pl.Series([0, 3, 299], dtype=pl.UInt32)
    kept = pl.Series([row % 7 == 0 for row in range(_ROWS)])
    assert columns.columns == _FRAME.columns
    assert (columns.height, columns.width) == _FRAME.shape
    assert columns.in_memory().equals(_FRAME)
    assert columns.in_memory().schema == _FRAME.schema
    assert columns.head(20).equals(_FRAME.head(20))
    assert columns[positions].equals(_FRAME[positions])
    assert columns.filter(kept).equals(_FRAME.filter(kept))
    assert columns.row(-1, named=True) == _FRAME.row(-1, named=True)


@pytest.mark.parametrize("rows", [7, 1 << 16])
@pytest.mark.parametrize("name", _FRAME.columns)
def test_slices_of_columns_on_disk_are_those_of_columns_in_memory(columns: TypedColumns, name: str, rows: int) -> None:
    positions = pl.Series([0, 5, 6, 7, 299], dtype=pl.UInt32)
    with mock.patch.object(slices, "_ROWS", rows), mock.patch.object(slices, "_FIRST_ROWS", rows):
        for cells in (columns, _FRAME):
            assert pl.concat(list(slices_of_column(cells, name))).equals(_FRAME[name], check_dtypes=True)
            assert rows_of_column(cells, name, positions).equals(_FRAME[name].gather(positions), check_dtypes=True)
            known = _FRAME[name].drop_nulls()
            assert different_rows(cells, name).equals(known.unique(maintain_order=True), check_dtypes=True)
            comparable = comparable_rows(cells, name)
            assert comparable.dtype == (pl.UInt64 if _FRAME.schema[name] == pl.String else _FRAME.schema[name])
            assert comparable.is_duplicated().equals(_FRAME[name].is_duplicated())
    assert columns.schema[name] == _FRAME.schema[name]


@pytest.mark.parametrize("most", [0, 1 << 40])
def test_a_column_that_comes_in_slices_is_all_of_them(most: int) -> None:
    parts = [pl.Series(["a", None]), pl.Series(["b" * 40])]
    with Scratch() as scratch, mock.patch.object(TypedColumns, "_MOST_TOGETHER", most):
        typed = TypedColumns(scratch, 3)
        typed.add_in_slices("note", lambda: iter(parts), 41)
        with mock.patch.object(Scratch, "open", side_effect=OSError(28, "No space left on device")):
            typed.add_in_slices("more", lambda: iter(parts), 41)
        assert typed.in_memory().to_dict(as_series=False) == {name: ["a", None, "b" * 40] for name in ("note", "more")}


def test_a_table_from_disk_is_stored_as_one_from_memory(columns: TypedColumns, tmp_path: Path) -> None:
    columns.write_parquet(tmp_path / "columns.parquet", compression_level=1, row_group_size=70)
    stored = pl.read_parquet(tmp_path / "columns.parquet")
    assert stored.equals(_FRAME)
    assert stored.schema == _FRAME.schema


def test_the_same_columns_on_disk_give_the_same_bytes(columns: TypedColumns, tmp_path: Path) -> None:
    for name in ("one", "two"):
        columns.write_parquet(tmp_path / name, compression_level=1, row_group_size=70)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_without_room_on_disk_columns_stay_in_memory() -> None:
    with Scratch() as scratch, mock.patch.object(TypedColumns, "MOST_BYTES", 0):
        typed = TypedColumns(scratch, _ROWS)
        with mock.patch.object(pl.DataFrame, "write_ipc", side_effect=OSError(28, "No space left on device")):
            typed.add(_FRAME["sales"])
            typed.add(_FRAME["year"])
        assert typed.in_memory().equals(_FRAME.select("sales", "year"))


def test_many_columns_take_few_files() -> None:
    with Scratch() as scratch, mock.patch.object(TypedColumns, "MOST_BYTES", 100 * 8 * _ROWS):
        typed = TypedColumns(scratch, _ROWS)
        before = len(os.listdir("/dev/fd"))
        for number in range(1000):
            typed.add(_FRAME["year"].alias(f"x{number}"))
        assert len(os.listdir("/dev/fd")) - before <= 10
        assert typed["x3"].to_list() == typed["x999"].to_list() == _FRAME["year"].to_list()


@pytest.mark.parametrize("format_", ["csv", "csv with a blank line", "parquet"])
def test_an_upload_is_answered_and_stored_alike_from_disk_and_from_memory(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    if format_ == "parquet":
        _FRAME.write_parquet(path, row_group_size=100)
    else:
        lines = _FRAME.write_csv().splitlines()
        lines.insert(40, "" if "blank" in format_ else lines.pop(40))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = []
    for most in (0, 1 << 40):
        folder = tmp_path / str(most)
        folder.mkdir()
        with (
            mock.patch.object(TypedColumns, "MOST_BYTES", most),
            mock.patch.object(delimited, "_SPOOLED_BYTES", most),
            mock.patch.object(parsed_cells, "_HELD_BYTES", 0),
            mock.patch.object(columnar, "_SPOOLED_CELLS", most),
        ):
            answer, _ = perform("ingest", {"path": str(path), "name": "t", "folder": str(folder)}, lambda step: None)
        stored = pl.read_parquet(folder / "table.parquet")
        sidecars = [each.read_text(encoding="utf-8") for each in sorted(folder.glob("*.json"))]
        answers.append((answer, stored.to_dict(as_series=False), stored.schema, sidecars))
    assert answers[0] == answers[1]


def test_a_table_is_open_as_long_as_its_columns_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    _FRAME.write_parquet(path)
    with (
        mock.patch.object(TypedColumns, "MOST_BYTES", 0),
        mock.patch.object(columnar, "_SPOOLED_CELLS", 0),
        open_table(path, name="t", limits=Limits()) as table,
    ):
        write_parquet(table, tmp_path / "stored.parquet")
    assert pl.read_parquet(tmp_path / "stored.parquet").equals(read_table(path, name="t").frame)


def test_a_full_disk_is_reported_as_the_operating_system_reports_it(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    _FRAME.write_parquet(path)
    with mock.patch.object(TypedColumns, "MOST_BYTES", 0), open_table(path, name="t") as table:
        with pytest.raises(OSError, match="No space left on device"):
            write_parquet(table, Path("/dev/full"))
