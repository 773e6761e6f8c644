"""Texts that are numbers, and texts that only look like them."""

from unittest import mock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets import numbers
from cqox.datasets.numbers import decimal_comma_only, read_numbers


def _read(*texts: str, decimal: str = ".") -> list[float | None] | None:
    reading = read_numbers(pl.Series(texts, dtype=pl.String), decimal=decimal)
    return None if reading.numbers is None else reading.numbers.values.to_list()


_NOTATIONS: tuple[tuple[tuple[str, ...], list[float]], ...] = (
    (("1", "-2", "+3"), [1, -2, 3]),
    (("1.5", ".5", "2.", "-0.25"), [1.5, 0.5, 2.0, -0.25]),
    (("1e5", "2E-3"), [1e5, 2e-3]),
    (("1,300", "250", "1,234,567.5"), [1300, 250, 1234567.5]),
    (("１２", "３．５", "－４"), [12, 3.5, -4]),
    (("１，３００", "２５０"), [1300, 250]),
    (("300円", "¥1,200", "￥３００", "\\500", "7"), [300, 1200, 300, 500, 7]),
    (("5%", "12.5％"), [0.05, 0.125]),
    (("25歳", "30 歳"), [25, 30]),
    (("2024年", "2025年"), [2024, 2025]),
    (("(1,200)", "300"), [-1200, 300]),
    (("▲5", "△1,000", "3"), [-5, -1000, 3]),
    (("−5", "3"), [-5, 3]),
    (("3万", "1.1万", "500"), [30000, 11000, 500]),
    (("1億", "2,500万円"), [1e8, 2.5e7]),
    (("$1,200.50", "$3"), [1200.5, 3]),
    (("1 300", "2 000"), [1300, 2000]),
    (("1\u00a0300", "2"), [1300, 2]),
)


@pytest.mark.parametrize(("texts", "values"), _NOTATIONS)
def test_notations_of_people_are_numbers(texts: tuple[str, ...], values: list[float]) -> None:
    assert _read(*texts) == values


@pytest.mark.parametrize(("texts", "values"), _NOTATIONS)
def test_they_are_so_in_columns_judged_by_their_first_texts_alone(texts: tuple[str, ...], values: list[float]) -> None:
    with mock.patch.object(numbers, "_SAMPLE", 1):
        assert _read(*texts, *texts) == [*values, *values]


def test_a_first_text_in_a_notation_of_its_own_is_judged_as_well() -> None:
    with mock.patch.object(numbers, "_SAMPLE", 1):
        assert _read("∞", "3") == [None, 3]
        assert _read("1.234,5", "2,0", decimal=",") == [1234.5, 2.0]
        assert _read("1e3", "2,0", decimal=",") == [1000, 2.0]
        assert _read("word", "3") is None


@pytest.mark.parametrize(
    "texts",
    [
        ("a", "b"),
        ("1", "x"),
        ("1,30", "2"),
        ("12,34,567", "1"),
        ("3kg", "500g"),
        ("$3", "€4"),
        ("5%", "7"),
        ("12A", "13A"),
        ("①", "②"),
        ("10²", "11²"),
        ("(5", "3"),
        ("5)", "3"),
        ("03-1234-5678", "1"),
        ("100-0001", "1"),
        ("12:30", "13:00"),
        ("0x1F", "1"),
        ("1_000", "2"),
        ("1.2.3", "1.2"),
        ("円", "1"),
        ("-", "1"),
        ("1e5e5", "1"),
        ("", "1"),
    ],
)
def test_what_is_not_a_number_in_every_cell_is_no_column_of_numbers(texts: tuple[str, ...]) -> None:
    assert _read(*texts) is None


@pytest.mark.parametrize(
    "texts",
    [
        ("007", "12"),
        ("0", "00"),
        ("-01", "2"),
        ("9007199254740993",),
        ("12345678901234567890", "1"),
        ("1.5", "9007199254740993"),
    ],
)
def test_digits_that_a_number_would_change_are_a_code(texts: tuple[str, ...]) -> None:
    reading = read_numbers(pl.Series(texts, dtype=pl.String))
    assert reading.numbers is None
    assert reading.is_code
    assert reading.note


def test_infinity_is_distinguished_from_a_number_and_has_no_value() -> None:
    for text in ("inf", "-Infinity", "∞", "1e999"):
        numbers = read_numbers(pl.Series([text, "1.5"])).numbers
        assert numbers is not None
        assert numbers.values.to_list() == [None, 1.5]
        assert numbers.infinite.to_list() == [True, False]


def test_the_decimal_comma_swaps_both_marks() -> None:
    assert _read("1,5", "12,25", decimal=",") == [1.5, 12.25]
    assert _read("1.234,5", "2,0", decimal=",") == [1234.5, 2.0]
    assert _read("1.300", "2.000", decimal=",") == [1300, 2000]
    assert _read("1.5", "2.25", decimal=",") == [1.5, 2.25]


@pytest.mark.parametrize(
    ("texts", "only"),
    [
        (("1,5", "12,25"), True),
        (("1,300", "2,5"), True),
        (("1.234,5", "2,0"), True),
        (("1,300", "2,500"), False),
        (("1,300", "x"), False),
        (("1", "2"), False),
        (("1,300.5", "2"), False),
    ],
)
def test_only_a_comma_that_cannot_separate_thousands_shows_the_decimal_mark(texts: tuple[str, ...], only: bool) -> None:
    assert decimal_comma_only(pl.Series(texts)) is only


def test_what_was_understood_is_said() -> None:
    for texts, word in [
        (("1,300",), "thousands"),
        (("５",), "Full-width"),
        (("300円",), "円"),
        (("5%",), "0.05"),
        (("3万",), "万"),
        (("(5)", "6"), "parentheses"),
        (("▲5", "6"), "▲"),
    ]:
        numbers = read_numbers(pl.Series(texts)).numbers
        assert numbers is not None
        assert any(word in note for note in numbers.notes), texts


def test_a_column_of_almost_only_numbers_says_what_stood_in_the_way() -> None:
    reading = read_numbers(pl.Series([*map(str, range(20)), "abc"]))
    assert reading.numbers is None
    assert "'abc'" in reading.note


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20, unique=True))
def test_whole_numbers_are_the_same_in_every_notation(values: list[int]) -> None:
    assert _read(*(str(value) for value in values)) == values
    assert _read(*(f"{value:,}" for value in values)) == values
    assert _read(*(f"{value:,}円" for value in values)) == values
    wide = str.maketrans("0123456789-", "０１２３４５６７８９－")
    assert _read(*(str(value).translate(wide) for value in values)) == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20, unique=True))
def test_every_float_comes_back_to_the_last_bit(values: list[float]) -> None:
    found = _read(*(repr(value) for value in values))
    assert found == values


def test_the_answer_does_not_depend_on_how_far_down_the_odd_cell_stands() -> None:
    for position in (0, 399, 400, 5000):
        texts = [f"{number:,}円" for number in range(6000)]
        texts[position] = "abc"
        assert _read(*texts) is None
    for first in (0, 399, 5999):
        texts = ["abc"] * 6000
        texts[first] = "1,300"
        assert _read(*texts) is None
    for position in (0, 399, 400, 5000):
        texts = [f"word{number}" for number in range(6000)]
        texts[position] = "1,300"
        assert _read(*texts) is None
