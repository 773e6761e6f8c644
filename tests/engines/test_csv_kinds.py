"""Columns of CSV files in place: those that the same file has when it is read."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from cqox.analysis.place_sample import whole_table
from cqox.datasets import Column, read_table
from cqox.engines import csv_kinds
from cqox.engines.place_opening import opened_table
from cqox.errors import InvalidRequest

ATTRIBUTES = (
    "name", "kind", "dtype", "count", "missing", "infinite", "distinct", "minimum", "maximum", "mean", "levels",
    "level_counts",
)  # fmt: skip
WORDS = (
    "", " ", "-", "--", "–", "?", ".", "...", "***", "NA", "na", "Na", "nA", "N/A", "n.a.", "<NA>", "NaN", "nan",
    "NULL", "Null", "#N/A", "#DIV/0!", "\\N", "欠損", "データなし", "None", "NONE", "none",
    "なし", "不明", "x", "X", "ｘ", "missing", "Unknown", "no data", "*", "nil", "/",
    "+", "++", "±", "inf", "-Infinity", "∞", "1e400", "01", "007", "0", "1.0",
    "1e3", "9007199254740993", "99999999999999999999", "true", "TRUE", "no", "2024-01-05", "\u3000", "e\u0301",
    "1_000", "0x10",
)  # fmt: skip
CONTENTS = {
    "whole": ("3", "1", "2", "7", "5"),
    "real": ("1.5", "-2e-3", ".5", "7.", "+4"),
    "whole reals": ("1.0", "2.0", "3", "4e0", "5.00"),
    "binary": ("0", "1", "1", "0", "1"),
    "codes": ("01", "02", "02", "11", "12"),
    "words": ("a", "b", "b", "Ä", "c d"),
    "one word": ("○", "○", "○", "○", "○"),
    "truths": ("true", "FALSE", "True", "false", "TRUE"),
    "yes": ("yes", "Y", "no", "n", "yes"),
    "plus": ("+", "++", "+", "±", "+"),
    "days": ("2024-01-05", "2024/1/6", "2024-12-31", "0999-01-01", "9999-12-31"),
    "moments": ("2024-01-05 09:00", "2024-01-06T10:11:12.5", "2024-01-07 00:00:00", "2024-01-08", "2024-01-09 1:00"),
    "zoned": ("2024-01-05T09:00:00Z", "2024-01-06T10:11:12Z", "2024-01-07T00:00Z", "2024-01-08T1:00Z", "2024-1-9 1:0Z"),
    "offsets": ("2024-01-05T09:00:00+09:00",) * 3 + ("2024-01-06T10:11:12+09:00",) * 2,
    "european days": ("31.01.2024", "1.2.2024", "15.3.2024", "4.4.2024", "5.5.2024"),
    "american days": ("1/31/2024", "2/1/2024", "3/15/2024", "4/4/2024", "5/5/2024"),
    "eras": ("令和6年1月5日", "令和6年1月6日", "R6.1.5", "平成元年1月8日", "令和6年1月5日"),
    "months": ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05"),
    "thousands": ("1,300", "12", "1,234,567.5", "-2,000", "7"),
    "money": ("¥1,300", "300円", "12円", "¥5", "1円"),
    "percent": ("5%", "10%", "7.5%", "0%", "100%"),
    "full width": ("１２", "３", "４．５", "6", "7"),
    "decimal comma": ("1,5", "12,25", "3", "-4,75", "5,5"),
    "long": ("9007199254740993", "9007199254740994", "9007199254740995", "1", "2"),
    "huge": ("99999999999999999999", "99999999999999999998", "1", "2", "3"),
}  # fmt: skip
LATER = {
    "maybe": ("true", "Maybe"),
    "odd codes": ("x1", "01"),
    "long code": ("1234567890123456", "12345678901234567"),
    "real and code": ("1.5", "01"),
    "one moment": ("2024-01-05", "2024-01-05 09:00:01"),
    "late american": ("1/31/2024", "1/31/2024"),
    "late european": ("31/1/2024", "1/2/2024"),
    "compact": ("20240105", "20240106"),
    "plus and mark": ("+", "-"),
    "marked word": ("ab1", "-"),
}


def _some(names: Sequence[str], *, every: int) -> list[object]:
    """Return parameters of which most are of the slow suite."""
    return [
        pytest.param(name, marks=() if place % every == 0 else pytest.mark.slow) for place, name in enumerate(names)
    ]


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _compared(path: Path, folder: Path) -> tuple[tuple[pl.DataFrame, list[dict[str, object]]], ...]:
    read = read_table(path, name=path.name)
    place = {"source": "files", "table": path.name, "files": [str(path)], "format": "csv", "own": True}
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=_no_server) as table:
        frame, columns = whole_table(table, list(table.kinds))
    return (read.frame, _described(read.description.columns)), (frame, _described(list(columns.values())))


def _no_server(question: object) -> bytes:
    raise AssertionError(question)


def _described(columns: Sequence[Column]) -> list[dict[str, object]]:
    return [{name: getattr(column, name) for name in ATTRIBUTES} for column in columns]


@pytest.mark.parametrize(
    ("content", "quoted"),
    [
        pytest.param(content, quoted, marks=pytest.mark.slow if quoted and place % 3 else (), id=f"{content}-{way}")
        for place, content in enumerate(CONTENTS)
        for quoted, way in ((False, "bare"), (True, "quoted"))
    ],
)
def test_every_word_among_every_content_is_what_a_file_that_is_read_makes_of_it(
    tmp_path: Path, content: str, quoted: bool
) -> None:
    cells = CONTENTS[content]
    # A tab would be taken for the delimiter where a cell has a comma; one file has all words, each in a column.
    rows = [[str(place), *(cell for _ in WORDS)] for place, cell in enumerate(cells)]
    rows.insert(2, ["9", *WORDS])
    write = _quoted if quoted else str
    names = "\t".join(["row", *(f"w{place}" for place in range(len(WORDS)))])
    path = tmp_path / "t.csv"
    path.write_text(names + "\n" + "".join("\t".join(map(write, row)) + "\n" for row in rows), encoding="utf-8")
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    wrong = [
        (WORDS[int(one["name"][1:])], one, other)  # type: ignore[index]
        for one, other in zip(described, of_place, strict=True)
        if one != other
    ]
    assert not wrong
    assert placed.equals(read.select(placed.columns))


def test_a_notation_is_looked_up_however_many_rows_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 2)
    path = tmp_path / "t.csv"
    path.write_text("row,price,day\n" + "".join(f"{row},{row}円,{row % 28 + 1}.1.2024\n" for row in range(50)))
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    assert described == of_place
    assert placed.equals(read)
    monkeypatch.setattr(csv_kinds, "_MOST_TEXTS", 40)
    place = {"source": "files", "table": "t", "files": [str(path)], "format": "csv", "own": True}
    with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=_no_server) as table:
        assert list(table.kinds) == ["row", "day"]
        with pytest.raises(InvalidRequest, match="'price' has numbers or dates in a notation"):
            table.columns(["price"])


def test_a_mark_next_to_one_word_is_a_level_by_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 2)
    path = tmp_path / "t.csv"
    path.write_text("row,a,b\n1,○,○\n2,○,-\n3,-,△\n4,○,-\n5,○,△\n")
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    assert [column["levels"] for column in of_place[1:]] == [("-", "○"), ("△", "○")]
    assert described == of_place
    assert placed.equals(read)


@pytest.mark.parametrize("first", _some(list(CONTENTS), every=5))
def test_texts_below_the_first_rows_count_as_in_a_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    # A file that is read looks at as many cells for a decimal comma.
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 1000)
    some = ("-", "NA", "none", "+", "inf", "01", "1.0", "1e3", "9007199254740993", "TRUE")
    later = {**CONTENTS, **{f"word {word}": (word, word) for word in some}, **LATER}
    above, below = CONTENTS[first], max(map(len, later.values()))
    rows = [[str(row), *[above[row % len(above)]] * len(later)] for row in range(1000)]
    rows += [[str(row), *(cells[row % len(cells)] for cells in later.values())] for row in range(1000, 1000 + below)]
    names = "\t".join(["row", *(f"w{place}" for place in range(len(later)))])
    path = tmp_path / "t.csv"
    path.write_text(names + "\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    wrong = [
        (list(later)[int(str(one["name"])[1:])], one, other)
        for one, other in zip(described[1:], of_place[1:], strict=True)
        if one != other
    ]
    assert not wrong
    assert placed.equals(read)


@pytest.mark.parametrize("first", _some(["none", "", "-", "01", "1/2/2024"], every=5))
def test_what_proves_nothing_in_the_first_rows_waits_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    later = {**CONTENTS, **{f"word {word}": (word, word) for word in WORDS}, **LATER}
    # A decimal comma in one column is that of all.
    later.pop("decimal comma")
    # Without any value, no kind of number is another one.
    later.pop("word ∞")
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 2)
    rows = [[str(row), *[first] * len(later)] for row in range(2)]
    rows += [[str(row), *(cells[row % len(cells)] for cells in later.values())] for row in range(2, 14)]
    path = tmp_path / "t.csv"
    names = "\t".join(["row", *(f"w{place}" for place in range(len(later)))])
    path.write_text(names + "\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    for name, one, other in zip(["row", *later], described, of_place, strict=True):
        assert one == other, name
    assert placed.equals(read)


def test_more_different_texts_than_are_looked_up_may_contradict_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 10)
    monkeypatch.setattr(csv_kinds, "_MOST_TEXTS", 20)
    rows = ["none,none,7,none,01,7,2024-01-01"] * 10
    rows += [f"{row},{row}.5,{row}.5,w{row},{row:04},w{row},2024-01-{row % 28 + 1:02} 10:{row:02}" for row in range(60)]
    path = tmp_path / "t.csv"
    path.write_text("whole,real,late,word,code,text,moment\n" + "".join(f"{row}\n" for row in rows))
    (read, described), (placed, of_place) = _compared(path, tmp_path)
    assert described == of_place
    assert placed.equals(read)
