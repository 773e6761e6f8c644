"""Numbers, codes and dates are the same from slices as from the whole column, or are left to it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.datasets import dates, numbers, sliced_texts
from cqox.datasets.interpret import Interpreted, interpret
from cqox.datasets.sliced_texts import LongTexts, read_sliced
from cqox.datasets.sliced_values import Codes, read_values

_NUMBERS = st.sampled_from(
    ["{}", "{}.5", "{:,}000", "{}円", "￥{}", "{}%", "▲{}", "({})", "{}万", "{}千円", "{}人", "１{}", "{}e3", "0{}",
     "1e4{:02d}", "inf", "∞", "1{:016d}", "9007199254740{:03d}", "{},5", "{}.{}00,5", "{}e1000", "$0{}", "0{}円",
     "-{}", "5.", "NA", "なし", "-"]
)  # fmt: skip
_DATES = st.sampled_from(
    ["2024-01-{:02d}", "2024年1月{}日", "2024/2/{}(金)", "2024-03-{:02d} 00:00", "2024-03-{:02d} 10:{:02d}",
     "2024-03-{:02d}T10:00Z", "2024-03-{:02d}T00:00+09:00", "2024-{:02d}", "令和{}年1月5日", "{:02d}.01.2024",
     "{:02d}/01/2024", "01/{:02d}/2024", "{:02d}/02/2024 10:00", "{} Jan 2024", "{} May 2024", "{} June 2024",
     "{}-Jan-24", "NA", "なし", ""]
)  # fmt: skip


@st.composite
def _columns(draw: st.DrawFn) -> list[str | None]:
    """A column of one style, or of several, each in a run of rows."""
    styles = draw(st.one_of(st.lists(_NUMBERS, min_size=1, max_size=3), st.lists(_DATES, min_size=1, max_size=3)))
    cells: list[str | None] = []
    for style in styles:
        for _ in range(draw(st.integers(1, 12))):
            number = draw(st.integers(1, 28))
            cells.append(draw(st.sampled_from([style.format(number, number)] * 9 + [None])))
    return draw(st.permutations(cells)) if draw(st.booleans()) else cells


def _slices(cells: pl.Series, rows: int) -> Iterator[pl.Series]:
    return (cells.slice(start, rows) for start in range(0, cells.len(), rows))


def _few() -> ExitStack:
    """Let a few texts decide what hundreds do otherwise."""
    stack = ExitStack()
    for module, name, value in (
        (sliced_texts, "_FIRST", 2), (sliced_texts, "_LOOKED_AT", 4), (numbers, "_SAMPLE", 4), (dates, "_SAMPLE", 2),
    ):  # fmt: skip
        stack.enter_context(mock.patch.object(module, name, value))
    return stack


def _read(cells: Sequence[str | None], rows: int, decimal: str = ".", na: list[str] | None = None) -> object:
    series = pl.Series("値", cells, dtype=pl.String)
    with _few():
        found = read_sliced(lambda: _slices(series, rows), decimal=decimal, na_tokens=na)
        whole = interpret(series, decimal=decimal, na_tokens=na)
    if isinstance(found, Interpreted):
        assert found.values.to_list() == whole.values.to_list()
        assert found.values.dtype == whole.values.dtype
        assert (found.infinite, found.notes) == (whole.infinite, whole.notes)
        assert (found.is_code, found.has_levels) == (whole.is_code, False)
    if isinstance(found, LongTexts):
        assert [value for part in found.values() for value in part.to_list()] == whole.values.to_list()
        assert (found.is_code, found.notes) == (whole.is_code, whole.notes)
        assert found.distinct == (whole.distinct or whole.values.drop_nulls().n_unique())
        assert found.missing == whole.values.null_count()
    return found


@settings(max_examples=600, deadline=None)
@given(
    cells=_columns(),
    rows=st.sampled_from([1, 3, 5, 100]),
    decimal=st.sampled_from([".", ".", ","]),
    na=st.sampled_from([None, None, [], ["5円", "inf"]]),
)
def test_slices_say_what_the_whole_column_says(
    cells: list[str | None], rows: int, decimal: str, na: list[str] | None
) -> None:
    _read(cells, rows, decimal, na)


@pytest.mark.parametrize(
    "style",
    ["{}円", "{},000", "¥{}", "{}%", "▲{}", "({})", "{}万人", "１{}", "{}.5", "{}", "00{}", "1{:020d}",
     "2024-01-{:02d}", "2024-03-{:02d} 10:30", "2024年1月{}日", "{:02d}.01.2024", "01/{:02d}/2024",
     "{:02d}/01/2024 10:00", "{} Jan 2024", "令和{}年1月5日", "2024-03-{:02d}T10:00Z"],
)  # fmt: skip
def test_numbers_codes_and_dates_are_read_in_slices(style: str) -> None:
    cells = [*(style.format(number) for number in range(1, 29)), "なし", "NA", None]
    for rows in (5, 100):
        found = _read(cells, rows)
        assert found is not None
        assert isinstance(found, LongTexts) == style.startswith(("00", "1{"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{}円", "${}"),
        ("{}円", "{}%"),
        ("{}%", "{}"),
        ("{},000", "{}e1000"),
        ("00{}", "{},000"),
        ("{}.5", "2024-01-{:02d}"),
        ("2024-01-{:02d}", "2024年1月"),
        ("2024-03-{:02d} 10:00", "2024-03-{:02d} 10:00Z"),
        ("{:02d}.01.2024", "01/{:02d}/2024"),
        ("2024-01-{:02d}", "{}"),
    ],
)
def test_what_slices_do_not_agree_on_is_left_to_the_whole(first: str, second: str) -> None:
    numbers_of_days = range(1, 25)
    cells = [*(first.format(day) for day in numbers_of_days), *(second.format(day) for day in numbers_of_days)]
    assert _read(cells, 8) is None
    assert _read(cells[::-1], 8) is None


@pytest.mark.parametrize(("style", "day"), [("{:02d}/{:02d}/2024", 13), ("{1:02d}/{0:02d}/2024", 13)])
def test_the_order_of_day_and_month_may_show_in_one_slice_only(style: str, day: int) -> None:
    cells = [style.format(row % 12 + 1, row // 12 + 1) for row in range(40)]
    assert _read(cells, 10) is None
    for place in (0, 20, 40):
        found = _read([*cells[:place], style.format(day, 1), *cells[place:]], 10)
        assert isinstance(found, Interpreted)
        assert found.values.dtype == pl.Date


def test_numbers_of_several_scales_share_one_note() -> None:
    cells = (
        [f"{row}万" for row in range(1, 20)] + [f"{row}億" for row in range(1, 20)] + [f"{row}" for row in range(1, 20)]
    )
    found = _read(cells, 10)
    assert isinstance(found, Interpreted)
    assert [note.code for note in found.notes] == ["datasets.note-scales"]


def test_a_slice_without_texts_says_nothing() -> None:
    cells = [None] * 7 + [f"{row}円" for row in range(1, 20)] + [None] * 12
    assert isinstance(_read(cells, 5), Interpreted)
    cells = [None] * 7 + [f"2024-01-{row:02d}" for row in range(1, 20)] + [None] * 12
    assert isinstance(_read(cells, 5), Interpreted)


def test_leading_zeros_are_the_first_reason_for_codes() -> None:
    long, zeros = pl.Series(["1" * 20, "2"]), pl.Series(["01", "3"])
    found = read_values(lambda: iter([long, zeros]), decimal=".", tokens=())
    assert isinstance(found, Codes)
    assert found.note.code == "datasets.note-leading-zeros"
