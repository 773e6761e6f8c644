"""Iceberg tables whose rows are deleted by files of positions; pyiceberg's own reading is the comparison."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFileContent
from pyiceberg.table import StaticTable, Table

from cqox.engines.place_opening import opened_table
from cqox.errors import SourceDown, UnusableData
from cqox.sources import iceberg_table
from tests.sources.iceberg_tables import folder_of, metadata_file, positions, rows, with_deletes, written

POSITIONS = DataFileContent.POSITION_DELETES


def nobody(question: object) -> bytes:
    raise AssertionError(question)


def read(folder: Path) -> tuple[pl.DataFrame, list[float]]:
    """Return the rows and, of each, the outcome as sums read it, after a check of the numbers of rows."""
    place = {
        "source": "lake", "table": "visits", "format": "iceberg", "folder": str(folder),
        "snapshot": iceberg_table(folder).snapshot,
    }  # fmt: skip
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with opened_table(place, scratch, threads=2, after_read=lambda: None, ask=nobody) as table:
        found = table.read(None, ["y", "n", "w"])
        text, aliases = table.columns(["y"])
        numbers, values = table.engine.read(f"select rownumber, {aliases['y']} from {text} order by rownumber")
        assert table.read(numbers[::2].astype(np.int64), ["y"])["y"].to_list() == values[::2].tolist()
        assert table.count() == found.height == len(set(numbers))
        return found, values.tolist()


def wanted(table: Table) -> list[float]:
    scan = StaticTable.from_metadata(str(metadata_file(table))).scan()
    return sorted(scan.to_arrow()["y"].to_pylist())


def addresses(table: Table) -> list[str]:
    """Return the addresses of the data files, by their first outcome."""
    files = [each.file.file_path for each in table.scan().plan_files()]
    return sorted(files, key=lambda each: pl.read_parquet(each.removeprefix("file://"))["y"][0])


def three(tmp_path: Path) -> tuple[Table, Sequence[str]]:
    table = written(tmp_path, rows(1.0, 2.0, 3.0), rows(11.0, 12.0), rows(21.0, 22.0, 23.0))
    return table, addresses(table)


def test_rows_at_the_listed_positions_do_not_count(tmp_path: Path) -> None:
    table, (first, second, third) = three(tmp_path)
    with_deletes(table, POSITIONS, positions((first, 0), (first, 2), (third, 1), (third, 1)), sequence=3)
    with_deletes(table, POSITIONS, positions((second, 1), (first, 0)), name="more", sequence=3)
    found, values = read(folder_of(table))
    assert values == found["y"].to_list()
    assert sorted(values) == wanted(table) == [2.0, 11.0, 21.0, 23.0]


def test_a_list_is_of_files_that_were_there_when_it_was_written(tmp_path: Path) -> None:
    table, (first, _, third) = three(tmp_path)
    with_deletes(table, POSITIONS, positions((first, 0), (third, 0)), sequence=2)
    _, values = read(folder_of(table))
    # As the format has it; pyiceberg applies the list to each file of a scan.
    assert sorted(values) == [2.0, 3.0, 11.0, 12.0, 21.0, 22.0, 23.0]


def test_a_table_with_lists_that_was_moved_or_compacted_is_read(tmp_path: Path) -> None:
    table, (first, _, _) = three(tmp_path / "one")
    gone = f"{table.location()}/data/compacted.parquet"
    with_deletes(table, POSITIONS, positions((first, 1), (gone, 0)), sequence=3)
    moved = folder_of(table).rename(tmp_path / "elsewhere")
    assert sorted(read(moved)[1]) == [1.0, 3.0, 11.0, 12.0, 21.0, 22.0, 23.0]


def test_a_table_of_which_all_rows_are_deleted_says_so(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0, 2.0))
    (file,) = addresses(table)
    with_deletes(table, POSITIONS, positions((file, 0), (file, 1)))
    with pytest.raises(UnusableData, match="no rows"):
        read(folder_of(table))


@pytest.mark.parametrize(
    ("listed", "count", "reason"),
    [
        (positions(("first", 2)), None, "a position that its file does not have"),
        (positions(("first", -1)), None, "a position that its file does not have"),
        (positions(("first", None)), None, "a row without path or position"),
        (positions((None, 0)), None, "a row without path or position"),
        (positions(("first", 0)), 2, "1 rows, and not 2"),
        (pa.table({"file_path": ["first"], "pos": [0]}), None, "no columns of paths and positions"),
    ],
)
def test_a_list_that_is_not_what_it_should_be_is_never_ignored(
    tmp_path: Path, listed: pa.Table, count: int | None, reason: str
) -> None:
    table = written(tmp_path, rows(1.0, 2.0), rows(5.0))
    first, _ = addresses(table)
    paths = pa.array([first if each == "first" else each for each in listed["file_path"].to_pylist()], pa.string())
    with_deletes(table, POSITIONS, listed.set_column(0, listed.schema.field(0), paths), sequence=2, count=count)
    with pytest.raises(SourceDown, match=rf"'deletes\.parquet' \({reason}\)"):
        read(folder_of(table))


def test_a_list_that_is_gone_or_names_a_file_outside_is_an_error(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0, 2.0))
    file = with_deletes(table, POSITIONS, positions(("s3://bucket/a.parquet", 0)))
    with pytest.raises(UnusableData, match=r"'a\.parquet', which is not in the folder"):
        read(folder_of(table))
    file.unlink()
    with pytest.raises(SourceDown, match=r"'deletes\.parquet' of the Iceberg table 'visits' is not there"):
        read(folder_of(table))
