"""Frames of every library as one Arrow file."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from cqox.errors import InvalidRequest
from cqox.frames import take

COLUMNS = {"y": [1.5, 2.5, 4.0], "arm": ["a", "b", None], "n": [1, 2, 3]}


def read(data: object, path: Path) -> pl.DataFrame:
    take(data, path)
    return pl.read_ipc(path.read_bytes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frame.arrow"


def test_equal_frames_of_any_library_are_equal_tables(path: Path) -> None:
    import duckdb
    import pyarrow as pa

    wanted = pl.DataFrame(COLUMNS)
    frame = pd.DataFrame(COLUMNS)
    relation = duckdb.sql(
        "SELECT * FROM (VALUES (1.5::DOUBLE, 'a', 1::BIGINT), (2.5, 'b', 2), (4, NULL, 3)) t(y, arm, n)"
    )
    arrays = {"y": np.array([1.5, 2.5, 4.0]), "arm": ["a", "b", None], "n": np.arange(1, 4)}
    for data in (frame, wanted, wanted.lazy(), pa.table(COLUMNS), relation, COLUMNS, arrays):
        assert read(data, path).equals(wanted), type(data)


def test_equal_frames_have_equal_bytes_and_the_digest_is_of_them(path: Path) -> None:
    first = take(pd.DataFrame(COLUMNS), path)
    content = path.read_bytes()
    again = take(pd.DataFrame(COLUMNS), path)
    assert path.read_bytes() == content
    assert first == again
    assert first.digest == hashlib.blake2b(content, digest_size=16).hexdigest()
    assert first.size_bytes == len(content)
    assert take(pd.DataFrame({**COLUMNS, "n": [1, 2, 4]}), path).digest != first.digest


def test_a_frame_without_rows_or_columns_is_a_file_too(path: Path) -> None:
    assert read(pd.DataFrame({"a": []}), path).shape == (0, 1)
    assert read(pd.DataFrame(), path).shape == (0, 0)
    assert read({}, path).shape == (0, 0)


def test_what_is_no_frame_is_named(path: Path) -> None:
    for data, message in (([1, 2], "list is no data frame"), (pd.Series([1.0], name="y"), "Series is no data frame")):
        with pytest.raises(InvalidRequest, match=message):
            take(data, path)


def test_two_columns_of_one_name_are_refused_in_every_library(path: Path) -> None:
    import duckdb
    import pyarrow as pa

    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    relation = duckdb.sql("SELECT 1 AS a").query("t", "SELECT a, a FROM t")
    for data in (twice, pa.table([[1], [2]], names=["a", "a"]), relation):
        with pytest.raises(InvalidRequest, match="Two columns have the name 'a'"):
            take(data, path)


def test_arrays_of_different_lengths_are_listed(path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"a \(2\), b \(3\)"):
        take({"a": [1, 2], "b": np.zeros(3)}, path)


WITHOUT_NUMPY = """
import sys
for name in ("numpy", "pandas", "pyarrow"):
    sys.modules[name] = None
import datetime
from pathlib import Path
import polars as pl
from cqox.frames import take
columns = {"y": [1.5, None, 4.0], "arm": ["a", "b", None], "n": [1.0, 2.0, None], "on": [True, None, False],
           "day": [datetime.date(2020, 1, 2)] * 3}
digests = [take(data, Path(sys.argv[1])).digest for data in (pl.DataFrame(columns), columns)]
print(digests[0] if digests[0] == digests[1] else digests)
"""


def test_frames_of_polars_and_lists_need_no_numpy(path: Path) -> None:
    day = pd.Timestamp(2020, 1, 2).date()
    columns = {
        "y": [1.5, None, 4.0], "arm": ["a", "b", None], "n": [1.0, 2.0, float("nan")], "on": [True, None, False],
        "day": [day] * 3,
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", WITHOUT_NUMPY, str(path)], capture_output=True, text=True)
    assert done.stdout.strip() == take(columns, path).digest, done.stderr
