from datetime import date

import polars as pl
import pytest

from cqox.datasets import partition_column


@pytest.mark.parametrize(
    ("values", "wanted", "dtype"),
    [
        (["2024", None, "-3", "+07"], [2024, None, -3, 7], pl.Int64()),
        (["2024-01-31", None], [date(2024, 1, 31), None], pl.Date()),
        (["2024-02-31", "2024-01-01"], ["2024-02-31", "2024-01-01"], pl.String()),
        (["1", "x"], ["1", "x"], pl.String()),
        (["9" * 19], ["9" * 19], pl.String()),
        ([None], [None], pl.String()),
    ],
)
def test_values_are_numbers_days_or_words(values: list[str | None], wanted: list[object], dtype: pl.DataType) -> None:
    found = partition_column("p", values)
    assert (found.to_list(), found.dtype, found.name) == (wanted, dtype, "p")
