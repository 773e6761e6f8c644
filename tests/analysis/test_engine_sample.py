import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest

from cqox.analysis.engine_sample import EngineSample, stored_rows
from cqox.analysis.opened import open_request
from cqox.analysis.own_columns import OwnColumns
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators.numerics.moments import ArrayMoments
from cqox.estimators.numerics.portable_folds import whole_number_keys

ROWS = 5_000
MEASURE = """
import sys
import numpy as np
import polars as pl
from pathlib import Path
from cqox.analysis.engine_sample import stored_rows
def most_mebibytes():
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024
path, rows = Path(sys.argv[1]), int(sys.argv[2])
pl.scan_parquet(path).head(1).collect(engine="streaming")
before = most_mebibytes()
assert stored_rows(path, np.arange(0, rows, 128)).height == rows // 128
print(most_mebibytes() - before)
"""


def sample(folder: Path, mapping: dict[str, object]) -> EngineSample:
    number = np.arange(ROWS)
    word = np.where(number == 4_321, "rare", "usual")
    frame = pl.DataFrame({"y": number % 17, "t": number % 2, "word": word, "unit": number // 4, "row": number})
    frame.write_parquet(folder / "raw.parquet")
    read = read_table(folder / "raw.parquet", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(read, folder / "t.parquet")
    request = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": {"y": "y", "treatment": "t", **mapping}})
    own = OwnColumns.of(frame.columns)
    added = {own.row: number, own.row_key: whole_number_keys(number), own.fold_key: whole_number_keys(number // 4)}
    columns = {**{name: frame[name].to_numpy() for name in frame.columns}, **added}
    source = ArrayMoments(columns={**columns, "word": word.astype(object)})
    path = folder / "t.parquet"
    read = partial(stored_rows, path)
    return EngineSample(opened=open_request(path, request), source=source, own=own, read=read, about=1_000)


@pytest.mark.parametrize("unit", [{"unit_id": "unit"}, {}])
def test_a_sample_has_about_its_rows_and_every_level(tmp_path: Path, unit: dict[str, object]) -> None:
    found = sample(tmp_path, {"covariates": ["word"], **unit})
    rows, by_unit = found.rows()
    assert by_unit == bool(unit)
    assert (np.diff(rows) > 0).all()
    assert 800 < len(rows) < 1_200
    assert 4_321 in rows
    if unit:
        others = np.setdiff1d(rows, [4_321]) // 4
        assert (np.unique(others, return_counts=True)[1] == 4).all()


def test_rows_are_read_by_their_numbers_whatever_columns_are_called(tmp_path: Path) -> None:
    found = sample(tmp_path, {})
    assert found.read(np.array([3, 4_999]), None)["row"].to_list() == [3, 4_999]
    assert found.read(np.array([3, 4_999]), ["word", "unit"]).rows() == [("usual", 0), ("usual", 1_249)]


@pytest.mark.parametrize(
    "rows", [[], [0], [4_999], [*range(1_000, 1_010)], [999, 1_000, 2_999, 2_001], [*range(4_500, 5_000), 0]]
)
def test_rows_of_any_part_of_a_table_are_read(tmp_path: Path, rows: list[int]) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"row": np.arange(ROWS), "x": np.arange(ROWS) % 7}).write_parquet(path, row_group_size=1_000)
    found = stored_rows(path, np.array(rows, dtype=np.int64))
    assert found["row"].sort().to_list() == sorted(rows)
    assert found["x"].to_list() == [row % 7 for row in found["row"]]


@pytest.mark.parametrize("at", [[], [0], [131_071, 131_072, 131_073], [5, 300_000, 399_999]])
def test_rows_are_the_same_across_the_parts_that_are_read(tmp_path: Path, at: list[int]) -> None:
    number = np.arange(400_000)
    frame = pl.DataFrame({"a": number, "b": (number % 7).astype(str), "c": number / 2})
    frame = frame.with_columns(c=pl.when(pl.col("a") % 3 > 0).then("c"))
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=100_000)
    rows = np.array(at, dtype=np.int64)
    pl.testing.assert_frame_equal(stored_rows(tmp_path / "t.parquet", rows), frame[rows])
    pl.testing.assert_frame_equal(stored_rows(tmp_path / "t.parquet", rows, ["c", "a"]), frame[rows][["c", "a"]])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_reading_rows_takes_the_memory_of_a_few_row_groups_however_many_there_are(tmp_path: Path) -> None:
    rows, path = 24 * 131_072, tmp_path / "t.parquet"
    values = np.random.default_rng(1).standard_normal((12, rows))
    frame = pl.DataFrame({f"x{place}": column for place, column in enumerate(values)})
    frame.write_parquet(path, compression_level=1, row_group_size=131_072)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(rows)], check=True, timeout=120, capture_output=True, text=True
    )
    # A row group is 12 MiB, the table 288, and the rows that are returned 3.
    assert float(done.stdout) < 64
