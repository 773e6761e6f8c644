"""Missing values, infinities, codes and words: what a whole column is taken to mean."""

import io
import unicodedata
from collections.abc import Callable
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.datasets import Limits, Table
from cqox.datasets import interpret as interpret_module
from cqox.datasets.headers import Header
from cqox.datasets.interpret import needs_decimal_comma
from cqox.datasets.kinds import describe_column
from cqox.datasets.table import Column
from tests.datasets.conftest import MESSY_CELLS, Read


def _column(read: Read, cells: list[str], name: str = "値", **options: object) -> tuple[list[object], str, str]:
    table: Table = read(f"番,{name}\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)), **options)
    column = table.columns[1]
    return table.frame[name].to_list(), column.kind, " ".join(column.notes)


@pytest.mark.parametrize(
    "token",
    [
        "NA",
        "N/A",
        "n/a",
        "null",
        "NULL",
        "NaN",
        "nan",
        "#N/A",
        "#DIV/0!",
        "欠損",
        "欠測",
        "-",
        "―",
        "?",
        "…",
        "なし",
        "不明",
        "None",
        "未回答",
    ],
)
def test_a_token_among_numbers_is_missing_and_said_so(read: Read, token: str) -> None:
    values, kind, notes = _column(read, ["1.5", token, "3", "4.25"])
    assert values == [1.5, None, 3.0, 4.25]
    assert kind == "real"
    assert f"'{token}' (1)" in notes


def test_a_token_among_dates_is_missing(read: Read) -> None:
    values, kind, _ = _column(read, ["2024-01-05", "不明", "2024-01-07"])
    assert kind == "date"
    assert values[1] is None


def test_a_word_for_nothing_is_a_level_among_other_words(read: Read) -> None:
    assert _column(read, ["あり", "なし", "あり", "なし"])[0] == ["あり", "なし", "あり", "なし"]
    assert _column(read, ["糖尿病", "なし", "高血圧", "なし"])[0] == ["糖尿病", "なし", "高血圧", "なし"]
    assert _column(read, ["none", "daily", "weekly", "none", "daily"])[0] == [
        "none",
        "daily",
        "weekly",
        "none",
        "daily",
    ]


def test_a_dash_is_a_level_only_together_with_a_plus(read: Read) -> None:
    assert _column(read, ["+", "-", "+", "-"])[0] == ["+", "-", "+", "-"]
    assert _column(read, ["赤", "-", "青", "赤", "青"])[0] == ["赤", None, "青", "赤", "青"]


def test_tokens_of_the_client_replace_the_built_in_ones(read: Read) -> None:
    assert _column(read, ["1", "-999", "3", "4"], na=["-999"])[0] == [1, None, 3, 4]
    assert _column(read, ["NA", "US", "NA", "US"], na=["x"])[0] == ["NA", "US", "NA", "US"]
    assert _column(read, ["1", "2", "", "4"], na=[])[0] == [1, 2, None, 4]


@pytest.mark.parametrize("text", ["inf", "-inf", "Infinity", "∞", "1e999"])
def test_infinity_holds_no_value_is_counted_and_its_row_is_said(read: Read, text: str) -> None:
    table = read(f"a,b\n1,1.5\n2,{text}\n3,2.5\n")
    column = table.columns[1]
    assert table.frame["b"].to_list() == [1.5, None, 2.5]
    assert (column.infinite, column.missing) == (1, 1)
    assert any("infinit" in note.lower() or "infinite" in note for note in column.notes)
    assert any("3" in note for note in column.notes)


def test_a_value_of_a_word_like_infinity_stays_a_word(read: Read) -> None:
    assert _column(read, ["inf", "fin", "inf", "fin"])[0] == ["inf", "fin", "inf", "fin"]


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "008", "010"],
        ["0", "01", "10"],
        ["12345678901234567890", "1", "2"],
        ["9007199254740993", "9007199254740995", "5"],
    ],
)
def test_codes_keep_their_digits(read: Read, cells: list[str]) -> None:
    values, kind, notes = _column(read, cells)
    assert values == cells
    assert kind == "id"
    assert notes


def test_whole_numbers_are_whole_whatever_the_notation(read: Read) -> None:
    plain, pointed = read("a,b\n1,x\n2,y\n-3,x\n"), read("a,b\n1.0,x\n2.0,y\n-3.00,x\n")
    assert plain.frame.equals(pointed.frame)
    assert plain.frame.schema == pointed.frame.schema
    assert read("a,b\n1.0円,x\n2円,y\n-3円,x\n").frame.equals(plain.frame)


def test_words_are_trimmed_and_composed(read: Read) -> None:
    values, kind, notes = _column(read, [" あり", "あり\u3000", "か\u3099", "が"])
    assert values == ["あり", "あり", "が", "が"]
    assert kind == "binary"
    assert "NFC" in notes


@pytest.mark.parametrize("word", ["e\u0301", "\u212b", "\u1100\u1161\u11a8", "語\ufa19", "\u0391\u0301", "ab\u0323"])
def test_words_of_any_script_are_composed(read: Read, word: str) -> None:
    values, _, notes = _column(read, [word, "語", "word"])
    assert values == [unicodedata.normalize("NFC", word), "語", "word"]
    assert "NFC" in notes


def test_one_column_with_a_decimal_comma_decides_for_the_file(read: Read) -> None:
    table = read("a;b\n1,5;1,300\n2,25;2,500\n3,5;1,100\n")
    assert table.frame["a"].to_list() == [1.5, 2.25, 3.5]
    assert table.frame["b"].to_list() == [1.3, 2.5, 1.1]


def test_a_column_of_nothing_is_read_as_missing(read: Read) -> None:
    for cells in (["", "", ""], ["NA", "NA", "NA"], ["-", "", "NA"]):
        values, _, notes = _column(read, cells)
        assert values == [None, None, None]
        assert notes


def test_a_sentence_with_a_number_in_it_is_no_number(read: Read) -> None:
    values, _, _ = _column(read, ["3 個入り", "5 個入り", "7 個いり"])
    assert values == ["3 個入り", "5 個入り", "7 個いり"]


def test_a_percentage_in_a_text_file_equals_the_number_that_a_sheet_holds(read: Read) -> None:
    assert _column(read, ["5%", "12%", "100%"])[0] == [0.05, 0.12, 1.0]


@pytest.mark.parametrize("numbers", [[1, -999, 3, None], [1.5, -999.0, 3.25, None]])
def test_a_number_of_a_typed_format_is_missing_where_the_client_says_so(read: Read, numbers: list[float]) -> None:
    file = io.BytesIO()
    pl.DataFrame({"id": range(4), "v": numbers}).write_parquet(file)
    marked = read(file.getvalue(), na=["-999", "x"])
    assert marked.frame["v"].to_list() == [None if number == -999 else number for number in numbers]
    assert "Read as missing: '-999' (1)." in marked.columns[1].notes
    assert read(file.getvalue()).frame["v"].to_list() == numbers


def test_a_column_without_a_comma_is_not_looked_at_closely_for_a_decimal_comma(monkeypatch) -> None:
    def closely(cells: pl.Series) -> pl.Series:
        raise AssertionError(cells.name)

    monkeypatch.setattr(interpret_module, "_words", closely)
    assert not needs_decimal_comma(pl.Series("v", ["1.5", "words", None]))
    with pytest.raises(AssertionError, match="v"):
        needs_decimal_comma(pl.Series("v", ["1,5"]))


_CELLS = st.sampled_from(MESSY_CELLS)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=30), words=st.data())
def test_texts_that_repeat_are_understood_as_if_each_cell_were_looked_at(
    cells: list[int], words: st.DataObject
) -> None:
    few = words.draw(st.lists(_CELLS, min_size=4, max_size=4))
    column = pl.Series("店舗", [few[cell] or None for cell in cells])
    na_tokens, decimal = words.draw(st.sampled_from([None, ("2.5", "x")])), words.draw(st.sampled_from([".", ","]))

    def described(
        repeated: Callable[[pl.Series], tuple[pl.Series, pl.Series] | None],
    ) -> tuple[list[object], pl.DataType, Column]:
        with mock.patch.object(interpret_module, "_repeated", repeated):
            interpreted = interpret_module.interpret(column, decimal=decimal, na_tokens=na_tokens)
        series, description = describe_column(Header("店舗", "店舗"), interpreted, Limits())
        return series.to_list(), series.dtype, description

    def different(cells: pl.Series) -> tuple[pl.Series, pl.Series] | None:
        keys = cells.drop_nulls().unique(maintain_order=True)
        return (keys, cells.cast(pl.Enum(keys)).to_physical().cast(pl.UInt32)) if keys.len() else None

    assert described(different) == described(lambda cells: None)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(_CELLS, min_size=1, max_size=6), na_tokens=st.sampled_from([None, ("2.5", "x"), ()]))
def test_the_different_texts_that_are_known_are_those_that_remain(
    cells: list[str], na_tokens: tuple[str, ...] | None
) -> None:
    interpreted = interpret_module.interpret(pl.Series("v", [cell or None for cell in cells]), na_tokens=na_tokens)
    assert interpreted.distinct in (None, interpreted.values.drop_nulls().n_unique())
    codes = interpret_module.interpret(pl.Series("v", ["007", "なし", "010"]))
    assert (codes.is_code, codes.distinct) == (True, 2)


def test_rows_of_each_text_are_counted_in_slices() -> None:
    cells = pl.Series("v", ["NA", "a", None, "-", "b"] * 7)
    with mock.patch.object(interpret_module, "_COUNTED_ROWS", 4):
        notes = " ".join(interpret_module.interpret(cells).notes)
    assert "'NA' (7)" in notes
    assert "'-' (7)" in notes


@pytest.mark.parametrize("last", ["late", "a", None])
@pytest.mark.parametrize("late", [10, 100_000, 199_990])
def test_texts_have_one_form_wherever_the_last_of_them_first_occurs(last: str | None, late: int) -> None:
    texts = ["b", "a", None, "c"] * 50_000
    texts[late], texts[-1] = "late", last
    values = interpret_module.interpret(pl.Series("v", texts)).values
    assert values.to_list() == texts
    assert values.dtype == pl.Enum(["a", "b", "c", "late"])


def test_few_of_the_texts_of_a_column_repeat_where_only_its_first_rows_do() -> None:
    texts = ["a"] * 60_000 + [f"t{number}" for number in range(100_000)]
    interpreted = interpret_module.interpret(pl.Series("v", texts))
    assert interpreted.values.to_list() == texts
    assert not interpreted.has_levels
