"""The first rows of a file as they are."""

import gzip
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from cqox.datasets import FileLook, Limits, look
from cqox.errors import InvalidRequest, LimitExceeded, NotFound, UnreadableFile


def looked(path: Path, content: bytes | None = None, **options: object) -> FileLook:
    if content is not None:
        path.write_bytes(content)
    return look(path, limits=Limits(), **options)


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Ten sheets; the third has its header in row 4, the fourth is hidden, the last is empty."""
    path = tmp_path / "book"
    with xlsxwriter.Workbook(path) as book:
        for number in range(1, 11):
            sheet = book.add_worksheet(f"第{number}表")
            if number == 3:
                for row, cells in enumerate([["売上報告", "2025年"], [], [], ["店舗", "週", "売上"], ["渋谷", 1, 1.5]]):
                    sheet.write_row(row, 0, cells)
            elif number == 4:
                sheet.hide()
                sheet.write_row(0, 0, ["x" * 500])
            elif number < 10:
                sheet.write_row(0, 0, ["a", "b"])
                sheet.write_row(70, 0, [1, 2])
    return path


def test_each_sheet_of_a_workbook_has_its_size_and_its_first_rows(workbook: Path) -> None:
    found = looked(workbook)
    assert (found.format, len(found.sheets)) == ("workbook", 10)
    third = found.sheets[2]
    assert (third.name, third.rows, third.columns, third.header_row, third.hidden) == ("第3表", 5, 3, 4, False)
    assert third.cells[0] == ["売上報告", "2025年", None]
    assert third.cells[3:] == [["店舗", "週", "売上"], ["渋谷", "1", "1.5"]]
    assert found.sheets[3].hidden
    assert found.sheets[3].cells == [["x" * 200]]
    assert (found.sheets[4].rows, len(found.sheets[4].cells)) == (71, 20)
    assert (found.sheets[9].rows, found.sheets[9].columns, found.sheets[9].header_row) == (0, 0, None)


def test_one_sheet_is_shown_alone_by_name_or_position(workbook: Path) -> None:
    for sheet in ("第3表", "2", 2):
        (found,) = looked(workbook, sheet=sheet).sheets
        assert found.name == "第3表"
    with pytest.raises(InvalidRequest) as refused:
        looked(workbook, sheet="売上")
    assert (refused.value.field, len(refused.value.choices)) == ("sheet", 10)


def test_a_text_is_shown_line_by_line_in_its_encoding(tmp_path: Path) -> None:
    text = "売上報告\n2025年4月;全店\n\n店舗;週;売上\n渋谷;1;10\n梅田;1;12\n渋谷;2;11\n"
    for content in (text.encode("cp932"), text.encode("utf-8-sig"), gzip.compress(text.encode())):
        found = looked(tmp_path / "file", content)
        (sheet,) = found.sheets
        assert (found.format, found.delimiter, sheet.name, sheet.rows) == ("text", ";", None, None)
        assert (sheet.columns, sheet.header_row) == (3, 4)
        assert sheet.cells[:4] == [["売上報告"], ["2025年4月", "全店"], [], ["店舗", "週", "売上"]]
    assert looked(tmp_path / "file", text.encode("cp932")).encoding == "cp932"
    assert looked(tmp_path / "file", b"sep=|\na,b|c\n1|2\n").sheets[0].cells[1] == ["a,b", "c"]
    assert looked(tmp_path / "file", b"a|b,c\n1|2,3\n", delimiter="|").sheets[0].cells == [["a", "b,c"], ["1", "2,3"]]


def test_long_texts_are_shown_in_part(tmp_path: Path) -> None:
    line = ",".join(f"c{number}" for number in range(400))
    (sheet,) = looked(tmp_path / "file", "\n".join([line] * 50_000).encode()).sheets
    assert (sheet.columns, len(sheet.cells), {len(row) for row in sheet.cells}) == (400, 20, {100})


def test_a_file_that_names_its_columns_has_no_sheet_and_says_so(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    frame.write_parquet(tmp_path / "parquet")
    frame.write_ipc(tmp_path / "arrow")
    (tmp_path / "json").write_text('{"a": 1}\n{"a": 2}\n')
    for kind in ("parquet", "arrow", "json"):
        found = looked(tmp_path / kind)
        assert (found.format, found.sheets) == (kind, ())
        assert found.note is not None
        assert found.note.code == "datasets.one-table-in-file"


def test_what_is_no_table_and_what_is_too_large_is_refused(tmp_path: Path, workbook: Path) -> None:
    with pytest.raises(NotFound):
        looked(tmp_path / "gone")
    with pytest.raises(UnreadableFile):
        looked(tmp_path / "file", b"PK\x03\x04broken")
    with pytest.raises(LimitExceeded):
        look(workbook, limits=Limits(max_rows=10))
