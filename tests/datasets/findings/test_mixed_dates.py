"""Days in several styles."""

from tests.datasets.conftest import Read


def test_days_in_several_styles_are_found(read: Read) -> None:
    (finding,) = read("day,y\n2024-01-05,1\n2024/1/6,2\n令和6年1月7日,3\n20240108,4\n").findings
    assert (finding.code, finding.severity, finding.columns) == ("mixed-dates", "caps", ["day"])
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"period_formats": {"day": "date"}}


def test_a_day_that_could_be_a_month_has_no_remedy_and_a_sentence_that_says_what_to_choose(read: Read) -> None:
    (finding,) = read("day,y\n2024-01-05,1\n06/01/2024,2\n2024-01-07,3\n").findings
    assert finding.remedy is None
    assert "date-day-first or date-month-first" in finding.message


def test_a_row_of_totals_does_not_hide_them(read: Read) -> None:
    found = read("day,y\n2024-01-05,1\n令和6年1月7日,3\n20240108,4\n合計,8\n").findings
    assert [finding.code for finding in found] == ["totals-rows", "mixed-dates"]


def test_one_style_and_other_texts_are_none(read: Read) -> None:
    assert read("day,y\n2024-01-05,1\n2024-01-06,2\n2024-01-07,3\n").findings == ()
    assert read("note,y\n2024-01-05,1\nclosed,2\n20240107,3\n").findings == ()
