"""Iceberg tables that pyiceberg has written, read where they are; pyiceberg's own reading is the comparison."""

import decimal
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.table import StaticTable, Table
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import DecimalType, DoubleType, LongType

from cqox.engines.iceberg_files import snapshot_files
from cqox.engines.place_table import PlaceTable
from cqox.errors import SourceDown, UnusableData
from cqox.sources import iceberg_table
from tests.engines.iceberg_opened import opened
from tests.sources.iceberg_tables import folder_of, metadata_file, rows, written


def assert_read(table: Table, *, names: Sequence[str] = ()) -> None:
    """Compare the rows with those that pyiceberg reads, in any order."""
    with opened(folder_of(table)) as found:
        wanted = pl.DataFrame(StaticTable.from_metadata(str(metadata_file(table))).scan().to_arrow())
        names = names or list(found.kinds)
        read = found.read(None, names)
        expected = wanted.select(
            pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            if isinstance(wanted[name].dtype, pl.Datetime) and wanted[name].dtype.time_zone
            else pl.col(name).cast(read[name].dtype)
            for name in names
        )
        assert read.sort(names).equals(expected.sort(names))
        assert found.count() == wanted.height
        assert_numbered(found, read)


def assert_numbered(found: PlaceTable, read: pl.DataFrame) -> None:
    """Check that sums and rows are of the same numbers."""
    chosen = np.arange(0, read.height, 2)
    assert found.read(chosen, list(read.columns)).equals(read[chosen.tolist()])
    text, _ = found.columns(list(read.columns))
    (numbers,) = found.engine.read(f"select rownumber from {text}")
    assert sorted(numbers) == list(range(read.height))


def test_all_rows_of_the_current_snapshot_are_read(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0, 2.0), rows(3.0, word="b"))
    assert_read(table)
    table.overwrite(rows(7.0, word="c"))
    (folder_of(table) / "data" / "orphan.parquet").write_bytes(b"of a write that was not committed")
    assert_read(table)
    with opened(folder_of(table)) as found:
        assert found.kinds == {"y": "real", "n": "whole", "w": "word"}
        assert found.read(None, ["y", "w"]).rows() == [(7.0, "c")]


def test_rows_that_were_deleted_by_writing_files_again_do_not_count(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0, 2.0, 3.0), rows(4.0))
    table.delete("y >= 3")
    assert_read(table)
    with opened(folder_of(table)) as found:
        assert sorted(found.read(None, ["y"])["y"]) == [1.0, 2.0]


def test_an_earlier_snapshot_is_read_while_the_table_still_has_it(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    before = iceberg_table(folder_of(table)).snapshot
    table.append(rows(2.0))
    assert iceberg_table(folder_of(table)).snapshot != before
    with opened(folder_of(table), snapshot=before) as found:
        assert found.read(None, ["y"])["y"].to_list() == [1.0]
    number = int(before)
    table.maintenance.expire_snapshots().by_id(number).commit()
    with pytest.raises(SourceDown, match=f"no snapshot {number} any more"), opened(folder_of(table), snapshot=before):
        pass


def test_columns_are_what_the_table_says_they_are_now(tmp_path: Path) -> None:
    first = pa.table(
        {
            "y": pa.array([1.5, 2.5], pa.float32()), "n": pa.array([1, 2], pa.int32()), "w": ["a", None],
            "gone": [True, False], "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(5, 2)),
        }
    )  # fmt: skip
    table = written(tmp_path, first)
    with table.update_schema() as update:
        update.rename_column("w", "word").add_column("z", DoubleType()).delete_column("gone")
        update.update_column("n", LongType()).update_column("y", DoubleType()).update_column(
            "price", DecimalType(12, 2)
        )
    with table.update_schema() as update:
        # A new column that has the name of a former one.
        update.add_column("gone", DoubleType()).add_column("w", LongType())
    with table.update_schema() as update:
        update.move_first("z")
    assert_read(table)
    with opened(folder_of(table)) as found:
        assert list(found.kinds) == ["z", "y", "n", "word", "price", "gone", "w"]
        assert found.read(None, ["word", "gone", "w"]).rows() == [("a", None, None), (None, None, None)]
    table.append(
        pa.table(
            {
                "z": [0.5], "y": [0.1], "n": [2**40], "word": ["new"], "gone": [9.0], "w": [5],
                "price": pa.array([decimal.Decimal("1234567890.50")], pa.decimal128(12, 2)),
            }
        )
    )  # fmt: skip
    assert_read(table)


def _swapped(table: Table) -> None:
    for old, new in (("y", "other"), ("n", "y"), ("other", "n")):
        with table.update_schema() as change:
            change.rename_column(old, new)


def _added_again(table: Table) -> None:
    with table.update_schema() as change:
        change.delete_column("w")
    with table.update_schema() as change:
        change.add_column("w", LongType())


def _but_for_case(table: Table) -> None:
    with table.update_schema() as change:
        change.rename_column("y", "W")


def _all_replaced(table: Table) -> None:
    with table.update_schema() as change:
        change.add_column("k", DoubleType())
    with table.update_schema() as change:
        for name in ("y", "n", "w"):
            change.delete_column(name)


def _partitions_changed(table: Table) -> None:
    with table.update_spec() as spec:
        spec.add_field("w", IdentityTransform(), "region")
    table.append(rows(8.0, 9.0, word="b"))
    with table.update_schema() as change:
        change.rename_column("w", "region_name")
        change.update_column("n", LongType())
    with table.update_spec() as spec:
        spec.remove_field("region")
        spec.add_field("n", BucketTransform(3), "bucket")


@pytest.mark.parametrize("evolve", [_swapped, _added_again, _but_for_case, _all_replaced, _partitions_changed])
@pytest.mark.parametrize("version", ["1", "2"])
def test_tables_that_evolve_are_read_as_pyiceberg_reads_them(
    tmp_path: Path, evolve: Callable[[Table], None], version: str
) -> None:
    table = written(tmp_path, rows(1.0, 2.0, 3.0), **{"format-version": version})
    evolve(table)
    assert_read(table)
    schema = table.schema().as_arrow()
    values: dict[str, list[object]] = {"double": [0.5, None], "int32": [7, None], "int64": [2**40, None]}
    table.append(pa.table([pa.array(values.get(str(each.type), ["é", None]), each.type) for each in schema], schema))
    assert_read(table)


def test_a_schema_that_changed_after_the_snapshot_is_part_of_what_identifies_it(tmp_path: Path) -> None:
    table = written(tmp_path, rows(1.0))
    before = iceberg_table(folder_of(table)).snapshot
    with table.update_schema() as update:
        update.rename_column("w", "word")
    after = iceberg_table(folder_of(table)).snapshot
    assert after == f"{before}-schema-1"
    with opened(folder_of(table), snapshot=after) as found:
        assert list(found.kinds) == ["y", "n", "word"]
    with opened(folder_of(table), snapshot=before) as found:
        assert list(found.kinds) == ["y", "n", "w"]


TYPES = pa.table(
    {
        "y": [1.0, float("nan"), None], "f": pa.array([1.5, None, 2.5], pa.float32()), "b": [True, None, False],
        "d": [date(2024, 2, 29), None, date(1969, 12, 31)],
        "m": pa.array([datetime(2024, 1, 2, 3, 4, 5, 6), None, datetime(1960, 1, 1)], pa.timestamp("us")),
        "mz": pa.array([datetime(2024, 1, 2, 3, tzinfo=UTC), None, None], pa.timestamp("us", tz="UTC")),
        "p": pa.array([decimal.Decimal("0.10"), None, decimal.Decimal("-7.25")], pa.decimal128(9, 2)),
        "big": pa.array([decimal.Decimal("12345678901234567890.5"), None, None], pa.decimal128(30, 1)),
        "w": ["a'b", "", None], "file_row_number": [1, 2, 3], "FILE_INDEX": ["x", "y", "z"], "W": [1, 2, 3],
        'odd "name"': [0.5, 1.5, 2.5],
    }
)  # fmt: skip


def test_types_and_names_are_those_of_the_table(tmp_path: Path) -> None:
    others = {
        "t": pa.array([time(1, 2), None, None], pa.time64("us")), "raw": pa.array([b"x", None, None]),
        "list": pa.array([[1], None, []]), "inner": pa.array([{"y": 5.0}] * 3),
    }  # fmt: skip
    full = TYPES
    for name, column in others.items():
        full = full.append_column(name, column)
    table = written(tmp_path, full, TYPES)
    with opened(folder_of(table)) as found:
        assert found.kinds == {
            "y": "real", "f": "real", "b": "word", "d": "day", "m": "moment", "mz": "moment", "p": "real",
            "big": "real", "w": "word", "file_row_number": "whole", "FILE_INDEX": "word", "W": "whole",
            'odd "name"': "real",
        }  # fmt: skip
        assert found.others == {"t": "time", "raw": "binary", "list": "list", "inner": "struct"}
        read = found.read(None, list(found.kinds))
        assert read["y"].to_list()[:3] == [1.0, None, None]
        assert read["b"].to_list()[:3] == ["true", None, "false"]
        assert read["m"].to_list()[:3] == [datetime(2024, 1, 2, 3, 4, 5, 6), None, datetime(1960, 1, 1)]
        assert read["p"].to_list()[:3] == [0.1, None, -7.25]
        assert read.height == 6
        assert_numbered(found, read)
    assert_read(table, names=["f", "d", "m", "mz", "p", "big", "w", "file_row_number", "FILE_INDEX", "W", 'odd "name"'])


@pytest.mark.parametrize("version", ["1", "2"])
def test_values_of_partitions_are_in_the_files(tmp_path: Path, version: str) -> None:
    table = written(tmp_path, rows(1.0, 2.0, word="a b/c"), **{"format-version": version})
    with table.update_spec() as update:
        update.add_identity("w").add_field("n", BucketTransform(4), "n_bucket")
    table.append(rows(3.0, 4.0, word="day=1"))
    table.append(pa.table({"y": [5.0], "n": pa.array([None], pa.int32()), "w": pa.array([None], pa.string())}))
    with table.update_spec() as update:
        update.remove_field("w").add_field("y", IdentityTransform(), "y_plain")
    table.append(rows(6.0, word="z"))
    assert_read(table)
    assert {each.specification for each in snapshot_files(iceberg_table(folder_of(table))).data} == {0, 1, 2}


def test_uuids_are_words(tmp_path: Path) -> None:
    table = written(tmp_path, pa.table({"u": pa.array([uuid.UUID(int=5).bytes], pa.uuid()), "y": [1.0]}))
    with opened(folder_of(table)) as found:
        assert found.read(None, ["u"])["u"].to_list() == [str(uuid.UUID(int=5))]


def test_a_table_that_was_moved_is_read_where_it_is(tmp_path: Path) -> None:
    table = written(tmp_path / "one", rows(1.0), rows(2.0))
    moved = folder_of(table).rename(tmp_path / "elsewhere")
    with opened(moved) as found:
        assert sorted(found.read(None, ["y"])["y"]) == [1.0, 2.0]
    changed_location = moved / "metadata" / metadata_file(table).name
    for place in ("s3://bucket/lake", "file:/lake", "/lake/"):
        text = changed_location.read_text()
        changed_location.write_text(text.replace(table.location(), place))
        with pytest.raises((UnusableData, SourceDown)), opened(moved):
            # The manifests name the former place of the table, which is not that of the metadata.
            pass
        changed_location.write_text(text)
