"""Wide panels, and columns that are numbered for another reason."""

import pytest

from tests.datasets.conftest import Read

WIDE = "id,y2001,y2002,y2003,x2001,x2002,x2003\na,1,2,3,5,6,7\nb,2,3,4,5,6,8\n"


def test_a_wide_panel_is_found_and_its_remedy_makes_rows_of_it(read: Read) -> None:
    (finding,) = read(WIDE).findings
    assert (finding.code, finding.severity) == ("wide-panel", "caps")
    assert finding.columns == ["y2001", "y2002", "y2003", "x2001", "x2002", "x2003"]
    assert finding.remedy is not None
    assert finding.remedy.at == "upload"
    table = read(WIDE, **finding.remedy.parameters)
    assert table.findings == ()
    assert table.frame.columns == ["id", "period", "y", "x"]
    assert table.frame.rows()[2:4] == [("a", 2003, 3, 7), ("b", 2001, 2, 5)]


@pytest.mark.parametrize(
    "header",
    [
        "売上_1月,売上_2月,売上_3月",
        "2023,2024,2025",
        "2024年1月,2024年2月,2024年3月",
        "Jan,Feb,Mar",
        "sales_w1,sales_w2,sales_w3",
        "Q1 2024,Q2 2024,Q3 2024",
    ],
)
def test_months_years_and_weeks_are_periods(read: Read, header: str) -> None:
    assert [f.code for f in read(f"id,{header}\na,10,2,3\nb,2,3,4\nc,5,1,7\n").findings] == ["wide-panel"]


@pytest.mark.parametrize(
    "header", ["x1,x2,x3", "re74,re75,re78", "y2001,y2005,y2006", "score_a,score_b,score_c", "market,may,marital"]
)
def test_numbered_covariates_and_a_few_years_are_none(read: Read, header: str) -> None:
    assert read(f"id,{header}\na,10,2,3\nb,2,3,4\nc,5,1,7\n").findings == ()


def test_indicators_of_years_are_none(read: Read) -> None:
    assert read("id,d2001,d2002,d2003\na,1,0,0\nb,0,1,0\nc,0,0,1\nd,0,0,0\n").findings == ()
