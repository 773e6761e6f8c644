from datetime import date

import numpy as np
import polars as pl
import pytest

from cqox.analysis.designs import check_scales
from cqox.analysis.prepare import Prepared, prepare
from cqox.analysis.time_roles import cohort_column, time_column
from cqox.contract import Options
from cqox.errors import InvalidRequest
from tests.analysis.test_prepare import Info

ROLES = {"y": "y", "unit_id": "unit", "time": "t", "cohort": "first"}


def made(times: list[object], first: list[object], **roles: object) -> Prepared:
    """Two units over these periods, with what the cohort says of each."""
    frame = pl.DataFrame(
        {
            "y": np.arange(2.0 * len(times)),
            "unit": ["a"] * len(times) + ["b"] * len(times),
            "t": times * 2,
            "first": pl.Series([first[0]] * len(times) + [first[1]] * len(times), strict=False),
        }
    )
    given = {**ROLES, **roles}
    mapped = {role: column for role, column in given.items() if column is not None}
    return prepare(frame, {name: Info(name) for name in frame.columns}, mapped, Options())


def said(found: Prepared, word: str) -> str:
    (note,) = [note for note in found.notes if word in note]
    return note


@pytest.mark.parametrize("word", ["never", "Never", "NEVER treated", "never-treated", "none", "Inf", "未処置", "なし"])
def test_words_of_a_cohort_that_say_never_mean_it(word: str) -> None:
    found = made([2003, 2004, 2005], ["2004", word])
    data = found.contrasts[0].data
    assert data.cohort.tolist()[:3] == [2004.0] * 3
    assert np.isnan(data.cohort[3:]).all()
    assert data.treatment.tolist() == [0, 1, 1, 0, 0, 0]
    assert f"'{word}' (3 rows) means never treated" in said(found, "cohort 'first'")


def test_a_cohort_of_categories_and_one_of_dates_know_never_too() -> None:
    series = pl.Series("first", ["2004", "never"], dtype=pl.Enum(["2004", "never"]))
    assert cohort_column(pl.DataFrame([series]), {"cohort": "first"}).to_list() == [2004.0, None]
    found = made([date(2003, 1, 1), date(2004, 1, 1)], ["2004-01", "never"])
    assert found.contrasts[0].data.treatment.tolist() == [0, 1, 0, 0]


def test_infinity_means_never_treated() -> None:
    found = made([2003, 2004, 2005], [2004.0, float("inf")])
    assert np.isnan(found.contrasts[0].data.cohort[3:]).all()
    assert "infinity (3 rows) means never treated" in said(found, "cohort 'first'")


def test_other_words_of_a_cohort_are_named() -> None:
    with pytest.raises(InvalidRequest, match=r"'soon' in addition to .* periods\. Leave those cells empty") as caught:
        made([2003, 2004, 2005], ["2004", "soon"])
    assert caught.value.field == "mapping.cohort"
    with pytest.raises(InvalidRequest, match="words"):
        made([2003, 2004, 2005], ["early", "late"])


def test_a_cohort_that_says_nothing_is_never_treated() -> None:
    frame = pl.DataFrame({"first": pl.Series([None, None], dtype=pl.String)})
    assert cohort_column(frame, {"cohort": "first"}).to_list() == [None, None]


YEAR_ENDS = [200311, 200312, 200401, 200402]


def test_numbers_that_are_months_follow_each_other_like_months() -> None:
    found = made(YEAR_ENDS, [200401, 0])
    data = found.contrasts[0].data
    assert data.time_labels == ("2003-11-01", "2003-12-01", "2004-01-01", "2004-02-01")
    assert np.diff(data.time_values).tolist() == [30.0, 31.0, 31.0]
    assert data.cohort[0] == data.time_values[2]
    assert np.isnan(data.cohort[4:]).all()
    assert data.treatment.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert "numbers such as 200402 are read as months" in said(found, "time 't'")


def test_months_as_numbers_and_as_text_are_the_same_request() -> None:
    numbers = made(YEAR_ENDS, [200401, None]).contrasts[0].data
    dates = [date(2003, 11, 1), date(2003, 12, 1), date(2004, 1, 1), date(2004, 2, 1)]
    text = made(dates, [date(2004, 1, 1), None]).contrasts[0].data
    np.testing.assert_array_equal(numbers.time_values, text.time_values)
    np.testing.assert_array_equal(numbers.cohort, text.cohort)
    assert numbers.time_labels == text.time_labels
    np.testing.assert_array_equal(made(dates, [200401, None]).contrasts[0].data.cohort, text.cohort)


@pytest.mark.parametrize("never", [0, -1, 999999, float("nan"), "never"])
def test_a_word_for_never_among_months_is_kept(never: object) -> None:
    first = [str(200401), never] if isinstance(never, str) else [200401.0, never]
    assert np.isnan(made(YEAR_ENDS, first).contrasts[0].data.cohort[4:]).all()


def test_a_cohort_that_is_no_month_among_months_is_named() -> None:
    with pytest.raises(InvalidRequest, match="'first' contains 200313, and 't' contains months such as 200402"):
        made(YEAR_ENDS, [200313, 0])


@pytest.mark.parametrize("given", [200401.0, "2004-01-01"])
def test_the_time_of_an_intervention_goes_with_the_months(given: object) -> None:
    found = made(YEAR_ENDS, [0, 0], cohort=None, intervention_time=given)
    data = found.contrasts[0].data
    assert data.post.tolist() == [0, 0, 1, 1] * 2
    assert data.intervention_time == data.time_values[2]
    assert "The role post is defined as t >= 2004-01-01." in found.notes


def test_a_time_of_an_intervention_that_is_no_month_is_named() -> None:
    with pytest.raises(InvalidRequest, match="'intervention_time' is 2004") as caught:
        made(YEAR_ENDS, [0, 0], cohort=None, intervention_time=2004.0)
    assert caught.value.field == "mapping.intervention_time"


@pytest.mark.parametrize(
    "times",
    [
        [200301, 200302, 200303],  # within one year the numbers are as far apart as the months
        [200312, 200313, 200401],
        [200312, 200601, 200602],
        [2003, 2004, 2005],
        [1, 2, 3],
        [200312.5, 200401.0, 200402.0],
    ],
)
def test_other_numbers_stay_numbers(times: list[float]) -> None:
    found = made(times, [times[1], 0])
    data = found.contrasts[0].data
    assert data.time_labels is None
    assert data.time_values.tolist() == times
    assert not [note for note in found.notes if "months" in note]


def test_scales_are_compared_as_they_are_read() -> None:
    frame = pl.DataFrame({"t": YEAR_ENDS, "first": [date(2004, 1, 1)] * 4})
    check_scales(frame, {"time": "t", "cohort": "first"})
    assert time_column(frame, {"time": "t"}).dtype == pl.Date
    with pytest.raises(InvalidRequest, match="numbers"):
        check_scales(pl.DataFrame({"t": [date(2004, 1, 1)], "first": [2004]}), {"time": "t", "cohort": "first"})
    with pytest.raises(InvalidRequest, match="a number"):
        check_scales(pl.DataFrame({"t": [date(2004, 1, 1)]}), {"time": "t", "intervention_time": 2004.0})


@pytest.mark.parametrize("start", [0, -1])
def test_a_start_that_may_say_never_too_is_refused_by_name(start: int) -> None:
    with pytest.raises(
        InvalidRequest, match=f"'first' contains {start}. A cohort of 0 or less means that a unit is never treated"
    ):
        made([-2, -1, 0, 1], [start, None])


def test_zero_means_never_where_no_treatment_could_start_then() -> None:
    for times, never in (([0, 1, 2], 0), ([1, 2, 3], 0), ([-2, -1, 0, 1], -9), ([-2, -1, 0, 1], -2)):
        assert np.isnan(made(times, [1, never]).contrasts[0].data.cohort[len(times) :]).all()


def test_periods_of_text_are_in_their_order_and_the_cohort_is_read_by_their_format() -> None:
    found = made(["W2", "W9", "W10", "W11"], ["W10", "never"])
    data = found.contrasts[0].data
    assert data.time_values.tolist() == [2.0, 9.0, 10.0, 11.0]
    assert data.treatment.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert "by the format 'number', from 2 to 11" in said(found, "periods of 't'")
    quarters = made(["Q4 2024", "Q1 2025", "Q2 2025"], ["Q1 2025", "never"])
    assert quarters.contrasts[0].data.treatment.tolist() == [0, 1, 1, 0, 0, 0]


def test_text_of_several_readings_sorts_as_text() -> None:
    times = pl.DataFrame({"t": ["4/9", "4/10", "4/11"]})
    assert time_column(times, {"time": "t"}).to_list() == ["4/9", "4/10", "4/11"]
