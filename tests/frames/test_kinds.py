"""Recognition of the library of a frame."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from cqox.frames import is_frame, kind_of


class Streams:
    """An object of an unknown library that has an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pl.DataFrame({"a": [1]}).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pd.DataFrame(), "pandas"), (pl.DataFrame(), "polars"), (pl.LazyFrame(), "lazy"), ({}, "mapping"),
        (Streams(), "arrow"), ([1], None), (pd.Series([1]), None), (pl.Series([1]), None), (np.zeros((2, 2)), None),
        ("file.csv", None), (None, None),
    ],
)  # fmt: skip
def test_each_library_is_recognised(data: object, kind: str | None) -> None:
    assert kind_of(data) == kind
    assert is_frame(data) == (kind is not None)


def test_pyarrow_and_duckdb_are_recognised() -> None:
    import duckdb
    import pyarrow as pa

    table = pa.table({"a": [1]})
    assert [kind_of(table), kind_of(table.to_batches()[0])] == ["pyarrow", "pyarrow"]
    assert kind_of(duckdb.sql("SELECT 1 AS a")) == "duckdb"
