"""Tables in the library that the data came in."""

import pandas as pd
import polars as pl
import pytest

from cqox.frames import FrameKind, to_native

COLUMNS = {"name": ["a", "b"], "value": [1.5, None], "n": [3, None]}
FORMS = {"name": "text", "value": "number", "n": "whole"}


def test_pandas_gets_pandas_and_everything_else_its_own_or_polars() -> None:
    import pyarrow as pa

    frame = to_native(COLUMNS, "pandas", forms=FORMS)
    assert isinstance(frame, pd.DataFrame)
    assert frame["value"].isna().tolist() == [False, True]
    assert isinstance(to_native(COLUMNS, "pyarrow", forms=FORMS), pa.Table)


@pytest.mark.parametrize("kind", ["polars", "lazy", "duckdb", "arrow", "mapping"])
def test_kinds_without_frames_of_their_own_get_polars(kind: FrameKind) -> None:
    frame = to_native(COLUMNS, kind, forms=FORMS)
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema == {"name": pl.String, "value": pl.Float64, "n": pl.Int64}
    assert frame["value"].to_list() == [1.5, None]


def test_a_column_without_any_value_keeps_its_form() -> None:
    frame = to_native({"value": [None, None]}, "polars", forms={"value": "number"})
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema == {"value": pl.Float64}
