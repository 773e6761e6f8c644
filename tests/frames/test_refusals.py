"""Frames that their library or polars cannot read, refused with the column."""

import decimal
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cqox.errors import InvalidRequest
from cqox.frames import take
from cqox.frames.refusals import refused


def refusal(data: object, path: Path) -> str:
    with pytest.raises(InvalidRequest) as caught:
        take(data, path / "frame.arrow")
    assert caught.value.field == "data"
    return str(caught.value)


def test_columns_on_which_polars_panics_are_named_with_a_cast(tmp_path: Path) -> None:
    import duckdb
    import pyarrow as pa

    relation = duckdb.sql('SELECT 1 AS a, INTERVAL 1 DAY AS "i""x"')
    assert "'i\"x' of type INTERVAL" in (found := refusal(relation, tmp_path))
    assert 'CAST("i""x" AS VARCHAR)' in found
    table = pa.table({"a": [1], "d": pa.array([decimal.Decimal("1.5")], pa.decimal256(60, 2))})
    for data in (table, table.to_batches()[0]):
        assert "'d' of type decimal256(60, 2)" in (found := refusal(data, tmp_path))
        assert "table['d'].cast('float64')" in found


def test_columns_of_python_objects_are_named(tmp_path: Path) -> None:
    cells = pl.Series("o", [object()], dtype=pl.Object)
    for data in (pl.DataFrame([pl.Series("a", [1]), cells]), {"a": [1], "o": cells}):
        assert "'o' of type Object" in refusal(data, tmp_path)


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (lambda: pl.LazyFrame({"a": [1]}).select("b"), 'unable to find column "b"'),
        (lambda: pl.scan_parquet("/absent/file.parquet"), "No such file"),
        (lambda: pl.LazyFrame({"a": ["x"]}).with_columns(pl.col("a").cast(pl.Int64)), "in column 'a'"),
    ],
)
def test_a_lazy_frame_that_cannot_be_collected_is_refused(
    frame: Callable[[], pl.LazyFrame], named: str, tmp_path: Path
) -> None:
    assert named in refusal(frame(), tmp_path)


def test_a_relation_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        failing = connection.sql("SELECT CAST(t AS INTEGER) AS n FROM (VALUES ('x')) v(t)")
        assert "Could not convert string 'x'" in refusal(failing, tmp_path)
        left = connection.sql("SELECT 1 AS a")
    assert "closed" in refusal(left, tmp_path)


def test_a_refusal_stays_as_it_is_and_an_interrupt_is_none() -> None:
    for error in (InvalidRequest("as it is"), MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, refused({}, "mapping"):
            raise error
        assert caught.value is error
    with pytest.raises(InvalidRequest, match="dict cannot be read: ZeroDivisionError"), refused({}, "mapping"):
        raise ZeroDivisionError
