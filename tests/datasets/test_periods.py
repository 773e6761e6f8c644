"""Texts that are periods, as numbers and dates."""

from datetime import date

import polars as pl
import pytest

from cqox.datasets.periods import MOST_PERIODS, as_periods, fits, recognise


@pytest.mark.parametrize(
    ("format_", "text", "value"),
    [
        ("number", "W16", 16),
        ("number", "第３週", 3),
        ("number", "FY2024", 2024),
        ("year", "令和元年", 2019),
        ("year", "平成30年度", 2018),
        ("quarter", "Q2 2025", date(2025, 4, 1)),
        ("quarter", "2025年第4四半期", date(2025, 10, 1)),
        ("quarter", "3Q/2025", date(2025, 7, 1)),
        ("month", "令和7年4月", date(2025, 4, 1)),
        ("month", "R7.4", date(2025, 4, 1)),
        ("month", "Apr-25", date(2025, 4, 1)),
        ("month", "April 2025", date(2025, 4, 1)),
        ("month", "2025 Sept", date(2025, 9, 1)),
        ("month", "2025M4", date(2025, 4, 1)),
        ("month-name", "June", 6),
        ("week", "2025-W01", date(2024, 12, 30)),
        ("month-day", "3/1", 61),
        ("month-day", "1-Mar", 61),
        ("day-month", "1/3", 61),
        ("date", "令和7年4月1日", date(2025, 4, 1)),
        ("date-day-first", "04/07/2025", date(2025, 7, 4)),
        ("date-month-first", "04/07/2025", date(2025, 4, 7)),
    ],
)
def test_a_text_is_its_period(format_: str, text: str, value: object) -> None:
    series = pl.Series("p", [text, None, "none of it"])
    assert as_periods(series, format_).to_list() == [value, None, None]


@pytest.mark.parametrize(
    ("format_", "text"),
    [("quarter", "Q5 2025"), ("month", "令和7年13月"), ("week", "2025-W60"), ("month-day", "13/1"), ("number", "1a2")],
)
def test_a_text_of_no_period_is_null(format_: str, text: str) -> None:
    assert as_periods(pl.Series([text]), format_).to_list() == [None]


def test_levels_of_an_enum_are_read_as_texts() -> None:
    assert as_periods(pl.Series(["W2", "W10", "W2"]).cast(pl.Enum(["W10", "W2"])), "number").to_list() == [2, 10, 2]


def test_a_format_is_safe_where_it_can_be_read_in_one_way() -> None:
    found = recognise(["W1", "W2", "W10"])
    assert found is not None
    assert (found.format, found.is_safe, found.is_lettered, found.sorts_wrong) == ("number", True, True, True)
    found = recognise(["4/7", "4/14", "5/1"])
    assert found is not None
    assert not found.is_safe


@pytest.mark.parametrize(
    ("texts", "format_"),
    [(["Apr-25", "May-25", "Jun-25"], "month"), ([f"Apr-{day:02}" for day in range(1, 31)], "month-day")],
)
def test_a_number_after_a_month_is_a_year_where_few_differ(texts: list[str], format_: str) -> None:
    found = recognise(texts)
    assert found is not None
    assert (found.format, found.is_safe) == (format_, False)


def test_texts_of_several_forms_or_too_few_or_many_are_none() -> None:
    for texts in (["a1", "b2", "c3"], ["W1", "W2"], ["1", "2", "3"], [f"W{n}" for n in range(MOST_PERIODS + 1)]):
        assert recognise(texts) is None


def test_choices_are_the_formats_that_fit() -> None:
    assert fits(pl.Series(["4/7", "4/5"])) == ["month-day", "day-month"]
    assert fits(pl.Series(["Q1 2025"])) == ["quarter"]
