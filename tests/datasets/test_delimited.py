"""Delimited text: delimiters, quotes, line ends, ragged rows, and a round trip of any table in any encoding."""

import csv
import io
import unicodedata

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cqox.errors import InvalidRequest, UnreadableFile
from tests.datasets.conftest import Read


@pytest.mark.parametrize(
    ("text", "columns", "first"),
    [
        ("a;b\n1,5;2\n3,4;1\n", ["a", "b"], (1.5, 2)),
        ("a\tb\n1,200\tx, y\n3\tz\n4\tz\n", ["a", "b"], (1200, "x, y")),
        ("a|b\n1|2\n3|4\n", ["a", "b"], (1, 2)),
        ('a,b\n"x|y|z",1\n"p|q|r",2\n"s",3\n', ["a", "b"], ("x|y|z", 1)),
        ("a,b\r1,2\r3,4\r", ["a", "b"], (1, 2)),
        ("a,b\r\n1,2\r\n3,4", ["a", "b"], (1, 2)),
        ("\n\na,b\n\n1,2\n\n3,4\n\n", ["a", "b"], (1, 2)),
        ('a,b\n1, "x, y"\n2, z\n3, z\n', ["a", "b"], (1, "x, y")),
        ('a,b\n5" pipe,3\n6" pipe,4\n7" pipe,5\n', ["a", "b"], ('5" pipe', 3)),
        ('"a\nb",c\n"1\n2",x\n"3",y\n"4",z\n', ["a b", "c"], ("1\n2", "x")),
        ('a,b\n"say ""hi""",1\nno,2\nyes,3\n', ["a", "b"], ('say "hi"', 1)),
        ("only\n3\n4\n5\n", ["only"], (3,)),
        ("[a],[b]\n1,2\n3,4\n", ["[a]", "[b]"], (1, 2)),
        ("{a},b\n1,2\n3,4\n", ["{a}", "b"], (1, 2)),
        ("#a,b\n#1,2\n#2,4\n#3,4\n", ["#a", "b"], ("#1", 2)),
    ],
)
def test_text_is_cut_where_its_writer_meant_it(
    read: Read, text: str, columns: list[str], first: tuple[object, ...]
) -> None:
    table = read(text)
    assert table.frame.columns == columns
    assert table.frame.row(0) == first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1\n2,3\n1,2,3\n", "row 2 has 1.*row 4 has 3"),
        ("a,b\r1,2\r3\r", "row 3 has 1"),
        ("売上の表\na,b\n1,2\n3,4\n", "(?i)title|header"),
        ("name,price\nTokyo, Japan,3\nOsaka,4\n", "row 2 has 3"),
        ('a,b\n"x"y,3\n', "line 2"),
        ('a,b\n1,"open\n' + "2,3\n" * 5, "never closed"),
        ('a,b\n"1\n2",3\n4\n', "row 3 has 1"),
    ],
)
def test_rows_that_cannot_be_cut_are_named_by_number(read: Read, text: str, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        read(text)


def test_a_title_that_a_program_filled_up_to_the_width_of_the_table_is_left_out(read: Read) -> None:
    table = read("売上レポート 2024,,\n,,\n店舗,売上,率\n" + "".join(f"S{row},{row},inf\n" for row in range(4, 7)))
    assert table.frame.columns == ["店舗", "売上", "率"]
    assert table.frame["売上"].to_list() == [4, 5, 6]
    assert "The first 2 rows were skipped as a title." in table.notes
    assert "row 4, 5, 6" in " ".join(table.columns[2].notes)


@pytest.mark.parametrize(
    "text",
    [
        "a,,\n1,2,3\n4,5,6\n",
        "a,,\nx,y,\nz,w,v\n",
        "a,\nb,c\nd,e\n",
        ",,a\nb,c,d\ne,f,g\n",
        "a,,\nb,c,d\n",
        "a,,\nb,,\n",
    ],
)
def test_a_header_without_names_is_no_title(read: Read, text: str) -> None:
    table = read(text)
    assert not any("title" in note for note in table.notes)
    assert table.rows == text.count("\n") - 1


def test_a_title_above_the_header_is_said_to_be_one(read: Read) -> None:
    with pytest.raises(
        UnreadableFile, match=r"Split at each semicolon, the first row has one cell and row 3 has 3 cells, .* title"
    ):
        read("Umsatz 2024\n\na;b;c\n" + "1;2;3\n" * 40)


def test_many_ragged_rows_are_counted_and_only_the_first_are_listed(read: Read) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read("a,b\n" + "1,2\n3\n" * 5000)
    assert "row 3 has 1" in caught.value.detail
    assert "more rows" in caught.value.detail
    assert len(caught.value.detail) < 700


def test_a_first_row_of_numbers_is_a_header_with_a_warning(read: Read) -> None:
    assert any("header" in note for note in read("1,2\n3,4\n5,6\n").notes)


def test_blank_lines_inside_are_skipped_and_counted(read: Read) -> None:
    table = read("a,b\n1,2\n\n3,4\n\n\n5,6\n\n")
    assert table.frame["a"].to_list() == [1, 3, 5]
    assert any("3 blank lines" in note for note in table.notes)


# Texts that no rule of interpretation touches: they hold a letter from which no token, number or date starts.
_LETTERS = {
    "utf-8": st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Co", "Zl", "Zp"]),
    "cp932": st.sampled_from("あいうアイウ漢字表示能力東京都処置①㈱髙﨑～ｱｲ,\";|\t\nabcXYZ0189 -_'\\"),
    "euc_jp": st.sampled_from("あいうアイウ漢字表示能力東京都処置ー、。,\";|\t\nabcXYZ0189 -_'"),
    "utf-16": st.characters(codec="utf-16", exclude_categories=["Cs", "Cc", "Cf", "Co", "Zl", "Zp"]),
}
_NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def _tables(draw: st.DrawFn, encoding: str) -> tuple[list[str | None], list[float | None]]:
    rows = draw(st.integers(3, 12))
    text = st.text(_LETTERS[encoding], max_size=8).map(lambda inner: f"語{inner}語")
    words = draw(st.lists(st.one_of(st.none(), text), min_size=rows, max_size=rows))
    numbers = draw(st.lists(_NUMBERS, min_size=rows, max_size=rows))
    return words, numbers


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp", "utf-16"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_table_of_words_and_numbers_survives_a_csv_in_any_encoding(
    read: Read, encoding: str, data: st.DataObject
) -> None:
    words, numbers = data.draw(_tables(encoding))
    delimiter = data.draw(st.sampled_from([",", "\t", ";", "|"]))
    line_end = data.draw(st.sampled_from(["\n", "\r\n"]))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["見出し", "数値", "番"])
    for position, (word, number) in enumerate(zip(words, numbers, strict=True)):
        writer.writerow(["" if word is None else word, "" if number is None else repr(number), position])
    table = read(buffer.getvalue().encode(encoding), delimiter=delimiter)
    expected = [None if word is None else unicodedata.normalize("NFC", word) for word in words]
    assert table.frame["見出し"].cast(pl.String).to_list() == expected
    found = table.frame["数値"].to_list()
    assert [None if value is None else float(value) for value in found] == [
        None if value is None else float(value) for value in numbers
    ]
    assert table.frame["番"].to_list() == list(range(len(words)))


def test_the_row_of_the_header_may_be_chosen_and_what_is_above_it_is_left_out(read):
    text = "\n".join(["売上報告", "2025年4月; 全店", "", "店舗;売上", "渋谷;10", "梅田;多い"])
    table = read(text.encode("cp932"), header_row=4)
    assert table.frame.to_dict(as_series=False) == {"店舗": ["渋谷", "梅田"], "売上": ["10", "多い"]}
    assert "The first 3 rows were skipped as a title." in table.notes
    assert read("sep=;\na\nb;c\n1;2\n", header_row=3).frame.columns == ["b", "c"]
    assert read("a\rb\r1\r2", header_row=2).frame.columns == ["b"]
    assert read("店舗,,\n店,売,客\nA,1,2\n", header_row=1).frame.height == 2


def test_a_chosen_row_that_holds_nothing_is_refused(read):
    for text, row in (("a,b\n\n1,2\n", 2), ("a,b\n1,2\n", 3), ("a,b\n1,2\n", 9)):
        with pytest.raises(InvalidRequest) as refused:
            read(text, header_row=row)
        assert refused.value.field == "header_row"


def test_ragged_notes_above_a_header_are_refused_with_the_row_of_the_header(read):
    with pytest.raises(UnreadableFile) as refused:
        read("店舗,全店\n\n店舗,週,売上,来客\n渋谷,1,10,3\n梅田,1,12,4\n")
    assert (refused.value.field, refused.value.choices) == ("header_row", ("3",))
    assert refused.value.detail.endswith("send header_row=3.")
    with pytest.raises(UnreadableFile) as refused:
        read("a,b\n1,2\n1,2,3\n")
    assert refused.value.choices == ()
