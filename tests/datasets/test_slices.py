"""Columns in slices: every row once, in slices of about the same size."""

from unittest import mock

import polars as pl
import pytest

from cqox.datasets import slices as slices_module
from cqox.datasets.slices import compact, first_known, read_in_slices, rows_at_once, slices_of


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 30])
def test_a_column_in_memory_is_all_of_its_slices(rows: int) -> None:
    cells = pl.Series("a", range(rows), dtype=pl.Int64)
    with mock.patch.object(slices_module, "_ROWS", 8):
        parts = list(slices_of(cells))
    assert pl.concat(parts).equals(cells, check_names=True)
    assert [part.len() for part in parts[:-1]] == [8] * (len(parts) - 1)


def test_slices_of_a_column_on_disk_have_as_many_rows_as_their_texts_allow() -> None:
    cells = pl.Series(["x"] * 20_000 + ["y" * 1000] * 3000 + ["z"] * 100_000)
    asked: list[int] = []

    def read(start: int, rows: int) -> pl.Series:
        asked.append(rows)
        return cells.slice(start, rows)

    with mock.patch.object(slices_module, "_FIRST_ROWS", 10), mock.patch.object(slices_module, "_BYTES", 170_000):
        assert pl.concat(list(read_in_slices(read, cells.len()))).equals(cells)
    assert asked[:5] == [10, 160, 2560, 10_000, 10_000]
    # Long texts are found one slice late, and left behind by steps.
    assert 160 < min(asked[5:]) < 500
    assert max(asked) == 10_000
    with mock.patch.object(slices_module, "_MOST_ROWS", 5000):
        assert [part.len() for part in read_in_slices(cells.slice, 12_000)][:3] == [256, 4096, 5000]


def test_a_column_of_very_long_texts_is_read_row_by_row() -> None:
    cells = pl.Series(["x" * 300, "y" * 300, "z" * 300])
    with mock.patch.object(slices_module, "_BYTES", 100), mock.patch.object(slices_module, "_FIRST_ROWS", 1):
        assert [part.len() for part in read_in_slices(cells.slice, 3)] == [1, 1, 1]


def test_rows_at_once_are_fewer_the_longer_they_are() -> None:
    assert rows_at_once(0) == rows_at_once(1) == 1 << 18
    assert rows_at_once(1000, 300) == 300
    assert 100 < rows_at_once(100_000) < 1000
    assert rows_at_once(1e12) == 1


def test_the_first_known_cells_are_found_across_slices() -> None:
    parts = [pl.Series(["a", None]), pl.Series([None], dtype=pl.String), pl.Series(["b", "c", "d"])]
    assert first_known(parts, 3).to_list() == ["a", "b", "c"]
    assert first_known(parts, 9).to_list() == ["a", "b", "c", "d"]
    assert first_known(iter(parts[:1]), 1).to_list() == ["a"]


def test_what_is_kept_of_a_slice_is_the_same() -> None:
    for cells in (pl.Series(["a", None, ""]), pl.Series([1, None]), pl.Series([], dtype=pl.String)):
        assert compact(cells).equals(cells, check_dtypes=True)
