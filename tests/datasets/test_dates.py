"""Texts that are dates, in the orders and the calendars that people use."""

from datetime import date, datetime
from unittest import mock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets import dates
from cqox.datasets.dates import compact_dates, compact_months, first_days, read_dates
from tests.datasets.conftest import Read

DAY = date(2024, 1, 5)


def _read(*texts: str) -> list[object] | None:
    found, _ = read_dates(pl.Series(texts, dtype=pl.String))
    return None if found is None else found.values.to_list()


_NOTATIONS: tuple[tuple[tuple[str, ...], list[object]], ...] = (
    (("2024-01-05",), [DAY]),
    (("2024/1/5", "2024/11/25"), [DAY, date(2024, 11, 25)]),
    (("2024.1.5", "2024.12.31"), [DAY, date(2024, 12, 31)]),
    (("2024年1月5日", "２０２４年１２月３１日"), [DAY, date(2024, 12, 31)]),
    (("2024/1/5(金)", "2024/1/6（土）"), [DAY, date(2024, 1, 6)]),
    (("令和6年1月5日", "平成元年1月8日", "昭和64年1月7日"), [DAY, date(1989, 1, 8), date(1989, 1, 7)]),
    (("R6.1.5", "H1/1/8"), [DAY, date(1989, 1, 8)]),
    (("2024-01", "2024-12"), [date(2024, 1, 1), date(2024, 12, 1)]),
    (("2024年1月",), [date(2024, 1, 1)]),
    (("05.01.2024",), [DAY]),
    (("13/05/2024", "01/05/2024"), [date(2024, 5, 13), date(2024, 5, 1)]),
    (("05/13/2024", "01/05/2024"), [date(2024, 5, 13), date(2024, 1, 5)]),
    (("5 Jan 2024",), [DAY]),
    (("Jan 5, 2024",), [DAY]),
    (("2024-01-05 00:00:00",), [DAY]),
    (("2024-01-05 12:30", "2024-01-06"), [datetime(2024, 1, 5, 12, 30), datetime(2024, 1, 6)]),
    (("2024-01-05T12:30:05.5",), [datetime(2024, 1, 5, 12, 30, 5, 500000)]),
    (("2024年1月5日 12時30分",), [datetime(2024, 1, 5, 12, 30)]),
    (
        ("2024-01-05T12:30:00+09:00", "2024-01-05T12:30:00Z"),
        [datetime(2024, 1, 5, 3, 30), datetime(2024, 1, 5, 12, 30)],
    ),
)


@pytest.mark.parametrize(("texts", "values"), _NOTATIONS)
def test_dates_of_people_are_dates(texts: tuple[str, ...], values: list[object]) -> None:
    assert _read(*texts) == values


@pytest.mark.parametrize(("texts", "values"), _NOTATIONS)
def test_they_are_so_in_columns_judged_by_their_first_texts_alone(texts: tuple[str, ...], values: list[object]) -> None:
    with mock.patch.object(dates, "_SAMPLE", 1):
        assert _read(*texts, *texts) == [*values, *values]


@pytest.mark.parametrize(
    "texts",
    [
        ("2024-02-30",),
        ("2024-13-01",),
        ("2024-01-05", "x"),
        ("24/1/5",),
        ("1/5",),
        ("R6-4-1",),
        ("2024-01-05 25:00",),
        ("2024-01-05 12:30:00+09:00", "2024-01-05 12:30:00"),
        ("2024-01-05", "05.01.2024"),
        ("1.2.3",),
        ("192.168.1.1",),
        ("90-1234-5678",),
    ],
)
def test_what_is_not_a_date_in_every_cell_is_no_column_of_dates(texts: tuple[str, ...]) -> None:
    assert _read(*texts) is None


def test_a_day_and_a_month_that_cannot_be_distinguished_are_left_with_a_reason() -> None:
    found, why = read_dates(pl.Series(["01/05/2024", "02/06/2024"]))
    assert found is None
    assert "year-month-day" in why


def test_eight_digits_are_days_only_if_all_of_them_are() -> None:
    assert compact_dates(pl.Series([20240105, None, 20241231])) is not None
    assert compact_dates(pl.Series([20240105, 20241331])) is None
    assert compact_dates(pl.Series([19240, 20240105])) is None


@given(st.lists(st.dates(date(1000, 1, 1), date(9999, 12, 31)), min_size=1, max_size=10, unique=True))
def test_every_day_survives_the_common_notations(days: list[date]) -> None:
    assert _read(*(day.isoformat() for day in days)) == days
    assert _read(*(f"{day.year}/{day.month}/{day.day}" for day in days)) == days
    assert _read(*(f"{day.year}年{day.month}月{day.day}日" for day in days)) == days


@given(st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=10, unique=True))
def test_every_moment_survives_iso_notation(moments: list[datetime]) -> None:
    found = _read(*(moment.isoformat(sep=" ") for moment in moments))
    assert found is not None
    assert [
        value if isinstance(value, datetime) else datetime(value.year, value.month, value.day) for value in found
    ] == moments  # type: ignore[attr-defined]


def test_months_in_six_digits_are_their_first_days() -> None:
    found = compact_months(pl.Series("m", [200312, None, 200401, 200402]))
    assert found is not None
    assert found.to_list() == [date(2003, 12, 1), None, date(2004, 1, 1), date(2004, 2, 1)]
    assert found.name == "m"
    real = compact_months(pl.Series([200312.0, 200401.0]))
    assert real is not None
    assert real.dtype == pl.Date


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None, None],
        [200401, 200402],
        [200312, 200413],
        [200312, 200400],
        [179912, 180001],
        [200312, 200501],
        [200312.5, 200401.0],
        ["200312", "200401"],
        [2003, 2004],
    ],
)
def test_other_columns_are_no_months_in_six_digits(values: list[object]) -> None:
    assert compact_months(pl.Series(values, strict=False)) is None


def test_a_number_that_is_no_month_has_no_first_day() -> None:
    assert first_days(pl.Series([200401.0, 200413.0, float("inf"), float("nan"), -5.0, None])).to_list() == [
        date(2004, 1, 1), None, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (
            ["2024-01-05", "05/02/2024", "2024年3月1日", "R6.4.1"],
            "the dates are in several formats ('2024-01-05', 'R6.4.1', '05/02/2024'). Write all of them",
        ),
        ([f"2024-01-{day:02d}" for day in range(1, 29)] + ["未定日"], "some values are not dates ('未定日')."),
        (["2024-01-31", "2024-02-30", "2024-03-31"], "'2024-02-30' is not a valid calendar date."),
        (["2024-01-05T10:00Z", "2024-01-06T10:00"], "not all dates can be read. Write them as year-month-day"),
    ],
)
def test_why_a_column_that_looks_like_dates_is_none_is_said(read: Read, cells: list[str], says: str) -> None:
    (column,) = [each for each in read("v,d\n" + "".join(f"1,{cell}\n" for cell in cells)).columns if each.name == "d"]
    assert column.dtype in ("string", "enum")
    assert any(note.startswith(f"Kept as text, because {says}") for note in column.notes)


def test_what_is_no_date_is_not_said_to_be_nearly_one(read: Read) -> None:
    table = read("v,d\n" + "".join(f"1,{cell}\n" for cell in ["A-1", "B-2", "C-3", "2024-01-05"]))
    assert not [note for note in table.columns[1].notes if "dates" in note]
