"""Different texts of columns of CSV files in place."""

import polars as pl
import pytest

from cqox.engines.csv_texts import different_texts, listed, literal, proves_words, texts_beyond
from cqox.engines.duckdb_engine import DuckDBEngine


@pytest.mark.parametrize("text", ["a", "x1", "t00017", "12 Main Street", "東京", "yes", "1a2"])
def test_a_word_is_proof_of_words(text: str) -> None:
    assert proves_words(pl.Series(["1", "none", text]))


@pytest.mark.parametrize(
    "text",
    ["1", "01", "1,5", "1.234,5", "5%", "3万", "inf", "∞", "2024-01-05", "1/2/2024", "31.1.2024 10:00", "令和6年1月5日",
     "NA", "none", "なし", "X", "-", "+", "TRUE", "false", "5 Jan 2024", "20240105", "99999999999999999999"],
)  # fmt: skip
def test_what_may_be_a_number_a_date_or_missing_next_to_others_proves_no_words(text: str) -> None:
    assert not proves_words(pl.Series([text]))


def test_different_texts_are_those_of_the_rules_of_missing_values() -> None:
    cells = pl.Series([" a", "a", None, "", "e\u0301", "\u00e9"])
    assert different_texts(cells).to_list() == ["a", "\u00e9"]


def test_texts_beyond_a_condition_are_all_or_some() -> None:
    rows = ", ".join(f"('{row % 30}', {'null' if row % 2 else repr('b')}, 'c')" for row in range(90))
    texts = {"number": "x", "word": "y", "known": "z"}
    conditions = {"number": "x = '3'", "word": "false", "known": "z = 'c'"}
    engine = DuckDBEngine.opened(threads=1, memory_bytes=2**28, spill=None)
    try:
        raw = f"(values {rows}) as r(x, y, z)"
        found = texts_beyond(engine, raw, texts, conditions, most=29)
        some = texts_beyond(engine, raw, texts, conditions, most=3)
    finally:
        engine.close()
    assert found.keys() == some.keys() == {"number", "word"}
    numbers, are_all = found["number"]
    assert are_all
    assert numbers.to_list() == sorted(str(number) for number in range(30) if number != 3)
    assert (found["word"][0].to_list(), found["word"][1]) == (["b"], True)
    assert not some["number"][1]
    assert set(some["number"][0]) <= set(numbers)


def test_literals_of_statements_keep_their_marks() -> None:
    assert literal("o'clock") == "'o''clock'"
    assert listed(["a", "b'"]) == "'a', 'b'''"
