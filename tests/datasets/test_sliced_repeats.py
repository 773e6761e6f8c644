"""Columns of texts that repeat mean the same from slices as whole."""

from collections.abc import Iterator
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.datasets import interpret as interpret_module
from cqox.datasets import sliced_repeats
from cqox.datasets.interpret import interpret
from cqox.datasets.sliced_repeats import read_repeated
from tests.datasets.conftest import MESSY_CELLS


def _slices(cells: pl.Series, rows: int) -> Iterator[pl.Series]:
    return (cells.slice(start, rows) for start in range(0, cells.len(), rows))


@settings(max_examples=200, deadline=None)
@given(
    keys=st.lists(
        st.one_of(st.none(), st.sampled_from(MESSY_CELLS), st.integers(0, 30).map(str)), min_size=1, max_size=9
    ),
    order=st.lists(st.integers(0, 8), min_size=1, max_size=60),
    rows=st.sampled_from([1, 4, 100]),
    pending=st.sampled_from([1, 3, 1 << 18]),
    few=st.sampled_from([0, 3, 1 << 14]),
    na=st.sampled_from([None, ["1", "東京"]]),
)
def test_slices_say_what_the_whole_column_says(
    keys: list[str | None], order: list[int], rows: int, pending: int, na: list[str] | None, few: int
) -> None:
    cells = pl.Series("値", [keys[place % len(keys)] for place in order], dtype=pl.String)
    with mock.patch.object(sliced_repeats, "_PENDING", pending), mock.patch.object(sliced_repeats, "_FEW", few):
        found = read_repeated(lambda: _slices(cells, rows), decimal=".", na_tokens=na)
    # The first rows of the whole column may not show that texts repeat.
    with mock.patch.object(interpret_module, "_LOOKED_AT", 0):
        whole = interpret(cells, na_tokens=na)
    known = cells.drop_nulls()
    assert (found is not None) == (4 * known.n_unique() <= known.len() and known.len() > 0)
    if found is not None:
        assert found.values.equals(whole.values, check_names=True)
        assert found.values.dtype == whole.values.dtype
        assert (found.infinite, found.is_code, found.notes) == (whole.infinite, whole.is_code, whole.notes)
        assert (found.distinct, found.has_levels) == (whole.distinct, whole.has_levels)


@pytest.mark.parametrize("most", [100, 1 << 20])
def test_many_long_texts_are_not_brought_together(most: int) -> None:
    cells = pl.Series([f"長い説明 {row % 50}" for row in range(400)])
    with (
        mock.patch.object(sliced_repeats, "_FEW", 0),
        mock.patch.object(sliced_repeats, "_PENDING", 10),
        mock.patch.object(sliced_repeats, "_MOST_BYTES", most),
    ):
        found = read_repeated(lambda: _slices(cells, 100), decimal=".", na_tokens=None)
    assert (found is None) == (most == 100)
