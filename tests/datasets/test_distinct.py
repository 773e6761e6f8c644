"""Counts of different values are those of polars' groups."""

import datetime
from collections.abc import Callable
from unittest import mock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets.distinct import count_different, count_largest, distinct_and_bounds, first_distinct

_VALUES = st.one_of(
    st.lists(st.none() | st.integers(-5, 5)).map(lambda cells: pl.Series(cells, dtype=pl.Int64)),
    st.lists(st.none() | st.integers(-(2**53), 2**53)).map(lambda cells: pl.Series(cells, dtype=pl.Int64)),
    st.lists(st.none() | st.floats(allow_nan=False)).map(lambda cells: pl.Series(cells, dtype=pl.Float64)),
    st.lists(st.none() | st.sampled_from([0.0, -0.0, 1.5])).map(lambda cells: pl.Series(cells, dtype=pl.Float64)),
    st.lists(st.none() | st.dates()).map(lambda cells: pl.Series(cells, dtype=pl.Date)),
    st.lists(st.none() | st.datetimes()).map(lambda cells: pl.Series(cells, dtype=pl.Datetime("us"))),
    st.lists(st.none() | st.text(max_size=2)).map(lambda cells: pl.Series(cells, dtype=pl.String)),
    st.lists(st.none() | st.sampled_from("ba")).map(lambda cells: pl.Series(cells, dtype=pl.Enum(["a", "b", "c"]))),
)


@given(values=_VALUES)
def test_different_values_are_counted_as_groups_are_and_bounds_are_those_of_the_column(values: pl.Series) -> None:
    distinct, low, high = distinct_and_bounds(values)
    assert distinct == values.drop_nulls().n_unique()
    has_bounds = values.dtype not in (pl.String, pl.Enum)
    expected = (values.min(), values.max()) if has_bounds else (None, None)
    if values.dtype == pl.Float64 and distinct:
        # Of 0.0 and -0.0 polars returns either, with nulls another one than without.
        expected = (values.min() + 0.0, values.max() + 0.0)
    assert repr((low, high)) == repr(expected)


@given(values=_VALUES)
def test_the_most_frequent_value_has_as_many_rows_as_the_largest_group(values: pl.Series) -> None:
    assert count_largest(values) == (values.value_counts()["count"].max() or 0)


@given(values=_VALUES, most=st.integers(1, 4))
def test_the_first_values_are_those_of_the_whole_column(values: pl.Series, most: int) -> None:
    assert first_distinct(values, most).to_list() == values.unique(maintain_order=True).head(most).to_list()


@pytest.mark.parametrize("rows", [100_001, 300_000])
def test_values_that_first_occur_late_are_found(rows: int) -> None:
    values = pl.Series([7]).new_from_index(0, rows - 1).append(pl.Series([8]))
    assert first_distinct(values, 2).to_list() == [7, 8]


def test_whole_numbers_far_apart_are_counted_in_little_memory() -> None:
    assert distinct_and_bounds(pl.Series([-(2**53), 0, 0, 2**53]))[0] == 3
    assert distinct_and_bounds(pl.Series([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]))[0] == 2


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Date])
def test_a_number_that_first_occurs_in_the_last_row_is_counted(dtype: type[pl.DataType]) -> None:
    values = (pl.int_range(200_000, eager=True) % 7).extend(pl.Series([9])).cast(dtype)
    assert distinct_and_bounds(values)[0] == 8


def test_of_numbers_in_a_narrow_range_the_most_frequent_is_counted() -> None:
    assert count_largest(pl.Series([5, -3, 5, None, 7, -3, 5])) == 3
    assert count_largest(pl.Series([2**53, -(2**53), 2**53])) == 2


@given(
    st.lists(st.lists(st.text("ab", max_size=3), max_size=6), min_size=1, max_size=5), st.sampled_from([2, 5, 1 << 63])
)
def test_different_texts_are_counted_across_slices(slices: list[list[str]], hashes: int) -> None:
    parts = [pl.Series(texts, dtype=pl.String) for texts in slices]
    # Few hashes, so that texts share them.
    first = [(part.hash(1) % hashes).to_numpy() for part in parts]
    with mock.patch.object(pl.Series, "hash", _coarse(hashes)):
        assert count_different(first, lambda: iter(parts)) == pl.concat(parts).n_unique()


def _coarse(hashes: int) -> Callable[[pl.Series, int], pl.Series]:
    exact = pl.Series.hash
    return lambda series, seed: exact(series, seed) % hashes if seed == 1 else exact(series, seed)
