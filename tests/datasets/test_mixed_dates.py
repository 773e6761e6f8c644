"""Days in several styles, read each by its own."""

from datetime import date

import polars as pl

from cqox.datasets.mixed_dates import date_styles, mixed_format, read_mixed_dates

MIXED = pl.Series(["2024-01-05", "20240106", "令和6年1月7日", "Jan 8, 2024", "13/01/2024"])


def test_each_style_is_kept_apart() -> None:
    assert len(date_styles(MIXED)) == len(MIXED)
    assert date_styles(pl.Series(["2024-01-05", "closed"])) == []


def test_every_text_is_read_by_its_style() -> None:
    assert read_mixed_dates(MIXED, "date").to_list() == [date(2024, 1, day) for day in (5, 6, 7, 8, 13)]


def test_a_text_that_is_no_day_takes_no_other_with_it() -> None:
    assert read_mixed_dates(pl.Series(["2024-01-05", "2024-02-30"]), "date").to_list() == [date(2024, 1, 5), None]


def test_the_format_is_known_where_a_day_shows_which_part_it_is() -> None:
    assert mixed_format(MIXED) == "date"
    assert mixed_format(pl.Series(["2024-01-05", "06/01/2024"])) is None
