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


@pytest.mark.parametrize("quoted", [False, True], ids=["bare", "quoted"])
@pytest.mark.parametrize("content", CONTENTS)
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
