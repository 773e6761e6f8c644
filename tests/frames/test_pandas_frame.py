"""Every kind of pandas column, and pandas without pyarrow."""

import datetime
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from cqox.errors import InvalidRequest
from cqox.frames.pandas_frame import of_pandas

JAN, MAR = datetime.datetime(2020, 1, 1), datetime.datetime(2020, 3, 1)


@pytest.mark.parametrize(
    ("values", "form", "wanted"),
    [
        (pd.Series([1, 2, 3]), pl.Int64, [1, 2, 3]), (pd.Series([1.0, np.nan, 3]), pl.Float64, [1.0, None, 3.0]),
        (pd.Series([1, None, 3], dtype="Int64"), pl.Int64, [1, None, 3]),
        (pd.Series([1.5, None, 2], dtype="Float64"), pl.Float64, [1.5, None, 2.0]),
        (pd.Series([True, None, False], dtype="boolean"), pl.Boolean, [True, None, False]),
        (pd.Series(["a", None, "c"]), pl.String, ["a", None, "c"]),
        (pd.Series(["a", None, "c"], dtype="string"), pl.String, ["a", None, "c"]),
        (pd.Series(["a", None, "c"], dtype=object), pl.String, ["a", None, "c"]),
        (pd.Series(["x", None, "y"], dtype=pd.CategoricalDtype(["z", "y", "x"])), pl.String, ["x", None, "y"]),
        (pd.Series([3, 1, 3], dtype="category"), pl.Int64, [3, 1, 3]),
        (pd.Series([None, None, None], dtype=pd.CategoricalDtype([])), pl.Null, [None, None, None]),
        (pd.Series([JAN, None, MAR]), pl.Datetime("us"), [JAN, None, MAR]),
        (pd.Series(pd.period_range("2020-01", periods=3, freq="M")), pl.String, ["2020-01", "2020-02", "2020-03"]),
        (pd.Series(pd.arrays.SparseArray([0, 0, 1])), pl.Int64, [0, 0, 1]),
        (pd.Series([1, 2, 3], dtype="uint8"), pl.UInt8, [1, 2, 3]),
        (pd.Series([1, 2, 3], dtype="int64[pyarrow]"), pl.Int64, [1, 2, 3]),
        (pd.Series([JAN.date(), None, MAR.date()]), pl.Date, [JAN.date(), None, MAR.date()]),
    ],
)  # fmt: skip
def test_every_kind_of_column_keeps_its_values(values: "pd.Series", form: pl.DataType, wanted: list[object]) -> None:
    column = of_pandas(pd.DataFrame({"c": values}))["c"]
    assert column.dtype == form
    assert column.to_list() == wanted


def test_times_with_a_zone_keep_their_instant() -> None:
    zoned = pd.Series([JAN, None]).dt.tz_localize("Asia/Tokyo")
    column = of_pandas(pd.DataFrame({"c": zoned}))["c"]
    assert column.dtype == pl.Datetime("us", "UTC")
    assert column.to_list() == [datetime.datetime(2019, 12, 31, 15, tzinfo=datetime.UTC), None]


def test_named_levels_of_the_index_are_columns_and_a_nameless_index_is_none() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="store"))
    assert of_pandas(frame).to_dict(as_series=False) == {"store": ["a", "b"], "y": [1.0, 2.0]}
    assert of_pandas(frame.rename_axis(None)).columns == ["y"]
    levels = pd.MultiIndex.from_tuples([(1, 2020), (2, 2021)], names=["unit", "year"])
    panel = of_pandas(pd.DataFrame({"y": [1.0, 2.0]}, index=levels))
    assert panel.to_dict(as_series=False) == {"unit": [1, 2], "year": [2020, 2021], "y": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("frame", "remedy"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Rename or drop one"),
        (pd.DataFrame([[1, 2]]), "Name the columns"),
        (pd.DataFrame({("a", "b"): [1]}), "Give each column one name"),
        (pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])), r"reset_index\(drop=True\)"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([5], name="a")), "Two columns have the name 'a'"),
        (pd.DataFrame({"a": [1, "x"]}, dtype=object), "pandas.to_numeric"),
        (pd.DataFrame({"a": pd.to_timedelta([1])}), "total_seconds"),
        (pd.DataFrame({"a": [1j]}), "cells of type complex128"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_remedy(frame: pd.DataFrame, remedy: str) -> None:
    with pytest.raises(InvalidRequest, match=remedy):
        of_pandas(frame)


def test_the_frame_is_not_changed() -> None:
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": pd.Categorical(["x", "y"])})
    before = frame.copy(deep=True)
    of_pandas(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_pyarrow_is_not_needed() -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
import pandas as pd, pathlib, tempfile
from cqox.frames import take, to_native
frame = pd.DataFrame({"s": ["a", None], "c": pd.Categorical(["x", "y"]), "i": pd.array([1, None], dtype="Int64"),
                      "t": pd.to_datetime(["2020-01-01", None]), "y": [1.0, 2.0]})
with tempfile.TemporaryDirectory() as folder:
    print(take(frame, pathlib.Path(folder) / "f").kind)
print(type(to_native({"a": [1.0]}, "pandas", forms={"a": "number"})).__module__.partition(".")[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pandas", "pandas"]
