"""Workbooks are read as their text would be, from the right sheet and the right row."""

import datetime
import io
import zipfile

import openpyxl
import pytest

from cqox.datasets import Limits
from cqox.errors import InvalidRequest, LimitExceeded, UnreadableFile


def workbook(*rows, title="データ", more=()) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for name, cells in more:
        other = book.create_sheet(name)
        for row in cells:
            other.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_typed_cells_become_numbers_dates_and_words(read):
    table = read(
        workbook(
            ["店舗", "売上", "率", "日付", "時刻", "有無"],
            ["渋谷", 1300, 0.05, datetime.date(2024, 1, 5), datetime.datetime(2024, 1, 5, 10, 30), True],
            ["梅田", 1 / 3, 1e-12, datetime.date(2024, 1, 6), datetime.datetime(2024, 1, 6), False],
            ["渋谷", 2**52 + 1, 123456789.0123, None, datetime.datetime(2024, 1, 7), True],
        )
    )
    assert table.frame["売上"].to_list() == [1300, 1 / 3, 2**52 + 1]
    assert table.frame["率"].to_list() == [0.05, 1e-12, 123456789.0123]
    assert table.frame["日付"].to_list() == [datetime.date(2024, 1, 5), datetime.date(2024, 1, 6), None]
    assert table.frame["時刻"].to_list()[0] == datetime.datetime(2024, 1, 5, 10, 30)
    assert [column.kind for column in table.columns] == ["binary", "real", "real", "date", "date", "binary"]


def test_numbers_typed_as_text_are_read_among_numbers(read):
    table = read(workbook(["v", "code"], [7, "007"], ["1,300", "010"], ["-", "011"], [2.5, "012"]))
    assert table.frame["v"].to_list() == [7.0, 1300.0, None, 2.5]
    assert table.frame["code"].to_list() == ["007", "010", "011", "012"]


def test_an_error_value_is_missing(read):
    content = workbook(["v", "w"], [1, "a"], [2, "b"], [3, "c"])
    book = openpyxl.load_workbook(io.BytesIO(content))
    book.active["A3"] = "#DIV/0!"
    buffer = io.BytesIO()
    book.save(buffer)
    assert read(buffer.getvalue()).frame["v"].to_list() == [1, None, 3]


def test_a_title_above_the_header_is_skipped_with_a_note(read):
    table = read(workbook(["2024年度 売上表"], [], ["店舗", "売上", "客数"], ["渋谷", 10, 1], ["梅田", 20, 2]))
    assert table.frame.columns == ["店舗", "売上", "客数"]
    assert table.frame.height == 2
    assert any("title" in note for note in table.notes)


def test_a_single_column_has_no_title(read):
    assert read(workbook(["v"], [1], [2])).frame.rows() == [(1,), (2,)]


def test_margins_and_blank_rows_at_the_end_are_left_out(read):
    table = read(workbook([], [None, "a", "b"], [None, 1, 2], [None, 3, 4], [None, " ", None]))
    assert table.frame.rows() == [(1, 2), (3, 4)]


def test_the_first_sheet_with_cells_is_read_and_the_others_are_named(read):
    content = workbook(title="空", more=[("一", [["a"], [1], [2]]), ("二", [["b"], [3], [4]])])
    table = read(content)
    assert table.frame.columns == ["a"]
    assert any("二" in note for note in table.notes)


@pytest.mark.parametrize("sheet", ["二", 2, "2"])
def test_a_sheet_is_chosen_by_name_or_by_position(sheet, read):
    content = workbook(title="空", more=[("一", [["a"], [1]]), ("二", [["b"], [3]])])
    assert read(content, sheet=sheet).frame.columns == ["b"]


@pytest.mark.parametrize("sheet", ["三", 3, -1, "-1"])
def test_a_sheet_that_is_not_there_lists_those_that_are(sheet, read):
    with pytest.raises(InvalidRequest) as caught:
        read(workbook(["a"], [1], more=[("一", [["a"], [1]])]), sheet=sheet)
    assert caught.value.choices == ("データ", "一")


def test_a_workbook_without_cells_is_refused(read):
    with pytest.raises(UnreadableFile, match="empty"):
        read(workbook())


def test_a_workbook_that_expands_too_far_is_stopped(read):
    content = workbook(["a"], [1])
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/blank.bin", bytes(40 << 20))
    with pytest.raises(LimitExceeded, match="decompresses"):
        read(buffer.getvalue())
    with pytest.raises(LimitExceeded, match="decompresses"):
        read(content, limits=Limits(max_expanded_bytes=1000))


def test_a_damaged_workbook_is_refused(read):
    content = workbook(["a", "b"], [1, 2], [3, 4])
    for size in (100, 1000, len(content) - 30):
        with pytest.raises(UnreadableFile):
            read(content[:size])


def test_a_panic_of_the_reader_is_a_damaged_workbook(read, monkeypatch):
    class PanicException(BaseException):
        pass

    def panics(content):
        raise PanicException("index out of bounds")

    monkeypatch.setattr("fastexcel.read_excel", panics)
    with pytest.raises(UnreadableFile, match="damaged"):
        read(workbook(["a"], [1]))


def test_an_interruption_while_reading_stays_one(read, monkeypatch):
    def interrupted(content):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastexcel.read_excel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(workbook(["a"], [1]))


def test_the_row_of_the_header_is_counted_as_a_spreadsheet_program_does(read):
    content = workbook(
        [], ["売上報告", "2025年"], [], [None, "店舗", "売上"], [None, "渋谷", 10], [None, "梅田", "x y"]
    )
    table = read(content, header_row=4)
    assert table.frame.to_dict(as_series=False) == {"店舗": ["渋谷", "梅田"], "売上": ["10", "x y"]}
    assert "The first 3 rows were skipped as a title." in table.notes
    for row in (3, 7):
        with pytest.raises(InvalidRequest) as refused:
            read(content, header_row=row)
        assert refused.value.field == "header_row"


def test_rows_in_messages_count_empty_ones_at_the_top(read):
    table = read(workbook([], [], ["v", "w"], [1, "a"], ["inf", "b"], *([2, "c"] for _ in range(40))))
    assert any("row 5" in note for column in table.columns for note in column.notes)
