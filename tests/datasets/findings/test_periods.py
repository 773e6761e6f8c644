"""Text that is an ordered period, and text that is not."""

import polars as pl
import pytest

from cqox.datasets import period_of_role
from tests.datasets.conftest import Read


@pytest.mark.parametrize(
    ("texts", "format_"),
    [
        (["W1", "W2", "W10"], "number"),
        (["Week 1", "Week 2", "Week 10"], "number"),
        (["第1週", "第2週", "第10週"], "number"),
        (["令和7年4月", "令和7年10月", "平成31年4月"], "month"),
        (["Q1 2025", "Q2 2024", "Q3 2024"], "quarter"),
        (["Apr 2025", "May 2025", "Jan 2026"], "month"),
        (["Apr", "May", "Jun", "Jul"], "month-name"),
        (["令和元年", "令和2年", "平成30年"], "year"),
    ],
)
def test_a_format_of_one_reading_is_a_note(read: Read, texts: list[str], format_: str) -> None:
    (finding,) = read("period,y\n" + "".join(f"{text},{y}\n" for y, text in enumerate(texts * 3))).findings
    assert (finding.code, finding.severity, finding.columns) == ("ordered-periods", "note", ["period"])
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"period_formats": {"period": format_}}


@pytest.mark.parametrize(
    ("texts", "format_"),
    [
        (["Apr-25", "May-25", "Jan-26"], "month"),
        (["4/7", "4/14", "10/1"], "month-day"),
        (["28/4", "4/5", "11/10"], "day-month"),
    ],
)
def test_a_format_of_several_readings_caps(read: Read, texts: list[str], format_: str) -> None:
    (finding,) = read("period,y\n" + "".join(f"{text},{y}\n" for y, text in enumerate(texts * 3))).findings
    assert (finding.code, finding.severity) == ("ambiguous-periods", "caps")
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"period_formats": {"period": format_}}


@pytest.mark.parametrize(
    "texts", [["S1", "S2", "S10"], ["a1", "b2", "c10"], ["W01", "W02", "W10"], ["2025Q1", "2025Q2", "2025Q3"]]
)
def test_ids_and_texts_that_sort_by_their_order_are_none(read: Read, texts: list[str]) -> None:
    assert read("code,y\n" + "".join(f"{text},{y}\n" for y, text in enumerate(texts * 3))).findings == ()


def test_a_letter_counts_periods_only_where_the_name_says_so(read: Read) -> None:
    rows = "".join(f"W{number},{number}\n" for number in (1, 2, 10) for _ in range(3))
    assert read(f"ward,y\n{rows}").findings == ()
    assert [f.code for f in read(f"week,y\n{rows}").findings] == ["ordered-periods"]


def test_in_a_role_of_time_any_numbered_text_is_a_period() -> None:
    found = period_of_role(pl.Series("stage", ["S1", "S2", "S10"]))
    assert found is not None
    assert found.code == "ordered-periods"
    assert period_of_role(pl.Series("stage", [1, 2, 10])) is None
    assert period_of_role(pl.Series("stage", ["S1", "S2", "S3"])) is None
