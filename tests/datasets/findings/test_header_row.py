"""A header below notes about the table."""

import io

import openpyxl

from tests.datasets.conftest import Read

NOTES = [["作成日", "2025-04-01"], ["担当", "山田"], []]
TABLE = [["店舗", "週", "売上", "来客"], ["渋谷", 1, 10.5, 3], ["梅田", 1, 12, 4], ["渋谷", 2, 11, 5]]
TEXT = "\n".join(",".join(str(cell) for cell in [*row, *[""] * (4 - len(row))]) for row in NOTES + TABLE)


def test_a_header_in_row_4_of_a_text_is_found_and_its_remedy_settles_it(read: Read) -> None:
    (finding,) = read(TEXT).findings
    assert (finding.code, finding.severity) == ("header-row", "caps")
    assert finding.remedy is not None
    assert finding.remedy.model_dump() == {"at": "upload", "parameters": {"header_row": "4"}}
    table = read(TEXT, **finding.remedy.parameters)
    assert table.findings == ()
    assert table.frame.columns == ["店舗", "週", "売上", "来客"]
    assert table.frame["売上"].to_list() == [10.5, 12, 11]


def test_a_header_in_row_4_of_a_sheet_is_found_and_its_remedy_settles_it(read: Read) -> None:
    book = openpyxl.Workbook()
    for row in NOTES + TABLE:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    (finding,) = read(content.getvalue()).findings
    assert finding.remedy is not None
    assert finding.remedy.parameters == {"header_row": "4"}
    table = read(content.getvalue(), header_row=4)
    assert table.findings == ()
    assert table.frame["来客"].to_list() == [3, 4, 5]


def test_a_client_that_says_how_many_rows_the_header_takes_gets_no_proposal(read: Read) -> None:
    assert "header-row" not in [finding.code for finding in read(TEXT, header_rows=4).findings]
