"""Files in place without rows, against the same files when they are read."""

from pathlib import Path

import polars as pl
import pytest

from cqox.analysis.place_roles import roles_in_place
from cqox.datasets import read_table
from cqox.errors import UnusableData


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_without_rows_is_refused_in_the_words_of_one_that_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = pl.DataFrame({"y": [], "t": []}, schema={"y": pl.Float64, "t": pl.Int64})
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    with pytest.raises(UnusableData) as read:
        read_table(path, name=path.name)
    place = {"source": "files", "table": path.name, "files": [str(path)], "format": suffix, "own": True}
    with pytest.raises(UnusableData) as placed:
        roles_in_place(place, tmp_path / "spilled", threads=1)
    assert str(placed.value) == str(read.value)
    assert placed.value.field == read.value.field
