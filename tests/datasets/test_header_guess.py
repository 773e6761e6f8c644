"""Detection of the header among the first rows."""

import pytest

from cqox.datasets.header_guess import guess_header_row, proposed_header_row, split_lines

NOTES = [["作成日", "2025-04-01", "", ""], ["担当", "山田", None, None], ["", " ", None, ""]]
TABLE = [["店舗", "週", "売上", "来客"], ["渋谷", "1", "10", "3"], ["梅田", "1", "12", "4"], ["渋谷", "2", "11", ""]]


def test_the_header_is_the_first_row_as_wide_as_most() -> None:
    assert guess_header_row(NOTES + TABLE) == 4
    assert guess_header_row(TABLE) == 1
    assert guess_header_row([["売上"], ["1"], ["2"]]) == 1
    assert guess_header_row([[None], ["", "売上"], ["", "1"]]) == 2
    assert guess_header_row([]) is None
    assert guess_header_row([[None, ""], [" "]]) is None


def test_a_header_below_notes_is_proposed_where_a_note_was_read_as_the_header() -> None:
    assert proposed_header_row(NOTES + TABLE, 1) == 4
    assert proposed_header_row(NOTES + TABLE, 4) is None
    assert proposed_header_row(TABLE, 1) is None


@pytest.mark.parametrize(
    "rows",
    [
        # A header of two rows: names of merged cells above, blanks below the first one.
        [["shop", "2024", "", "2025", ""], ["", "sales", "n", "sales", "n"], ["A", "1", "2", "3", "4"]],
        [
            ["", "", "2024", "", ""],
            ["shop", "area", "a", "b", "c"],
            ["A", "x", "1", "2", "3"],
            ["B", "x", "1", "2", "3"],
        ],
        # Numbers, and the same word twice, are no names.
        [["shop", "", "", ""], ["A", "1", "2", "3"], ["B", "1", "2", "3"]],
        [["shop", "", "", ""], ["A", "x", "x", "y"], ["B", "x", "z", "z"]],
        # Nothing below it.
        [["note", "", "", ""], ["a", "b", "c", "d"]],
    ],
)
def test_nothing_is_proposed_where_the_row_that_was_read_may_belong_to_the_header(rows: list[list[str]]) -> None:
    assert proposed_header_row(rows, 1) is None


def test_lines_are_split_by_themselves_as_an_editor_numbers_them() -> None:
    assert split_lines('a,"b, c"\r\n\n"d\n1,2', ",") == [["a", "b, c"], [], ["d"], ["1", "2"]]
    assert split_lines("a\rb\rc", ",", most=2) == [["a"], ["b"]]
    long = f"x{'y' * 200_000},z"
    assert split_lines(long, ",") == [[long[:-2], "z"]]
