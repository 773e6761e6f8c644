"""Columns of long texts are understood in slices as they are whole."""

from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.datasets import Limits, dates, numbers, sliced_texts
from cqox.datasets.headers import Header
from cqox.datasets.interpret import interpret
from cqox.datasets.kinds import describe_column, describe_long_texts
from cqox.datasets.sliced_texts import LongTexts, read_sliced
from cqox.datasets.table import Column
from tests.datasets.conftest import MESSY_CELLS

_HEADER = Header("感想", "感想")
_ODD = (
    *MESSY_CELLS,
    "\u3000",
    "null",
    "N/A",
    "－",
    "?",
    "++",
    "x",
    "不明",
    "3人",
    "2024年1月5日",
    "12/31/2024",
    "5 Jan 2024",
)
_OTHERS = st.one_of(
    st.sampled_from(_ODD),
    st.integers(0, 40).map(str),
    st.integers(1, 28).map("2024-02-{:02d}".format),
    st.integers(0, 9).map("  感想の {} 番目は長い ".format),
    st.integers(0, 9).map("か\u3099んそうの {} 番目は長い".format),
    st.integers(0, 3).map(("長い感想 {} " + "とても" * 30).format),
)


@st.composite
def _columns(draw: st.DrawFn) -> list[str | None]:
    spaced = draw(st.sampled_from([" ", ""]))
    long = [f"{row}{spaced}番目の感想は短くない" for row in range(draw(st.integers(1, 30)))]
    others = draw(st.lists(st.one_of(st.none(), _OTHERS), max_size=40))
    cells: list[str | None] = [*long, *others]
    return draw(st.permutations(cells)) if draw(st.booleans()) else cells


def _slices(cells: pl.Series, rows: int) -> Iterator[pl.Series]:
    return (cells.slice(start, rows) for start in range(0, cells.len(), rows))


def _few(first: int) -> ExitStack:
    """Let a few texts decide what hundreds do otherwise."""
    stack = ExitStack()
    for module, name, value in (
        (sliced_texts, "_FIRST", first), (sliced_texts, "_LOOKED_AT", 2 * first), (sliced_texts, "_FEWEST", 0),
        (numbers, "_SAMPLE", 4), (dates, "_SAMPLE", 2),
    ):  # fmt: skip
        stack.enter_context(mock.patch.object(module, name, value))
    return stack


def _whole(cells: pl.Series, decimal: str, na: list[str] | None) -> tuple[list[object], Column]:
    series, column = describe_column(_HEADER, interpret(cells, decimal=decimal, na_tokens=na), Limits(max_levels=5))
    return series.to_list(), column


def _in_slices(found: LongTexts) -> tuple[list[object], Column | None]:
    values = [value for part in found.values() for value in part.to_list()]
    return values, describe_long_texts(_HEADER, found, Limits(max_levels=5))


@settings(max_examples=400, deadline=None)
@given(
    cells=_columns(),
    rows=st.sampled_from([1, 3, 7, 100]),
    first=st.sampled_from([3, 6, 12]),
    decimal=st.sampled_from([".", ","]),
    na=st.sampled_from([None, None, [], ["NA", " 3人"], ["0 番目の感想は短くない", "-"]]),
    may_repeat=st.booleans(),
)
def test_slices_say_what_the_whole_column_says(
    cells: list[str | None], rows: int, first: int, decimal: str, na: list[str] | None, may_repeat: bool
) -> None:
    series = pl.Series("感想", cells, dtype=pl.String)
    with _few(first):
        found = read_sliced(lambda: _slices(series, rows), decimal=decimal, na_tokens=na, may_repeat=may_repeat)
        if found is None:
            return
        values, column = _in_slices(found)
        expected, described = _whole(series, decimal, na)
    assert column is None or (values, column) == (expected, described)
    assert column is not None or described.kind in ("binary", "category")
    assert found.is_changed == (values != cells)
    assert found.size == sum(len(value.encode()) for value in values if isinstance(value, str)) or found.notes


def _found(cells: list[str | None], **options: object) -> LongTexts | None:
    series = pl.Series(cells, dtype=pl.String)
    given: dict[str, object] = {"decimal": ".", "na_tokens": None, **options}
    return read_sliced(lambda: _slices(series, 300), **given)  # type: ignore[arg-type]


_LONG: list[str | None] = [f"{row} 番目の感想は短くない" for row in range(2000)]


@pytest.mark.parametrize(
    ("others", "missing", "notes"),
    [
        ([], 0, 0),
        ([None, ""], 2, 0),
        ([" ", "\u3000"], 2, 0),
        (["NA", "n/a", "NA", "欠損"], 4, 1),
        (["-"], 1, 1),
        (["-", "+"], 0, 0),
        (["なし", "不明"], 0, 0),
        ([" 感想 "], 0, 1),
        (["か\u3099んそう"], 0, 1),
        ([f"{row}" for row in range(500)], 0, 0),
        (["2024-01-05", "3人"], 0, 0),
    ],
)
def test_texts_with_some_others_are_long_texts(others: list[str | None], missing: int, notes: int) -> None:
    for cells in (_LONG + others, others + _LONG):
        found = _found(cells)
        assert found is not None
        assert (found.missing, len(found.notes)) == (missing, notes)
        assert (found.count, found.count + found.missing) == (len(cells) - missing, len(cells))
        assert _in_slices(found) == _whole(pl.Series(cells, dtype=pl.String), ".", None)


@pytest.mark.parametrize("other", ["{}", "{:04d}-01-01", "{:04d}-01-01 10:00", "{}円"])
@pytest.mark.parametrize("strays", [1, 4, 900, 1500])
@pytest.mark.parametrize("first", [0, 1, 500, 4000])
def test_strays_among_numbers_and_dates_are_noted(other: str, strays: int, first: int) -> None:
    others: list[str | None] = [other.format(row) for row in range(1, 8101)]
    cells = [*others[:first], *_LONG[:strays][::-1], *others[first:], *_LONG[:strays]]
    found = _found(cells)
    assert found is not None
    values, column = _in_slices(found)
    assert (values, column) == _whole(pl.Series(cells), ".", None)
    assert column is not None
    assert column.notes or strays > 4 or not first


def test_texts_that_repeat_are_left_to_the_whole() -> None:
    assert _found([f"{row % 400} 番目の感想は短くない" for row in range(2000)]) is None
    assert _found(_LONG[:900]) is None
    with mock.patch.object(sliced_texts, "_LOOKED_AT", 2500):
        assert _found(_LONG[:1001] + _LONG[:10] * 200) is None


def test_texts_that_share_a_hash_differ_by_another_one() -> None:
    real = pl.Series.hash

    def coarse(series: pl.Series, seed: int = 0) -> pl.Series:
        return real(series, seed) % 700 if seed == 1 else real(series, seed)

    with mock.patch.object(pl.Series, "hash", coarse), mock.patch.object(sliced_texts, "_LOOKED_AT", 1 << 40):
        found = _found([*_LONG, *_LONG[:30], "NA", "NA"])
    assert found is not None
    assert found.distinct == 2000
