from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.engines.place_opening import opened_table
from cqox.engines.place_table import PlaceTable
from cqox.errors import InvalidRequest, UnusableData

FRAME = pl.DataFrame(
    {
        "x": [1.5, float("nan"), None, 2.0, 3.0],
        "X": [1, 2, 3, 4, None],
        "word": ["a", "", None, "b", "\"'"],
        "flag": [True, False, None, True, False],
        "day": [date(1969, 12, 31), None, date(2026, 1, 1), None, None],
        "at": pl.Series([datetime(2026, 1, 1, 9), None, None, None, None]).dt.replace_time_zone("Asia/Tokyo"),
        "list": [[1], [2], [], None, [3]],
    }
)


def no_server(question: object) -> bytes:
    raise AssertionError(question)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[PlaceTable]:
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    FRAME.head(2).write_parquet(paths[0])
    FRAME.tail(3).write_parquet(paths[1])
    place = {"source": "lake", "table": "t", "files": [str(path) for path in paths]}
    with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server) as found:
        yield found


def test_columns_have_kinds_and_lists_none(table: PlaceTable) -> None:
    assert table.kinds == {"x": "real", "X": "whole", "word": "word", "flag": "word", "day": "day", "at": "moment"}
    assert list(table.others) == ["list"]
    with pytest.raises(InvalidRequest, match="'list' has the type List"):
        table.columns(["x", "list"])


def test_rows_are_numbered_through_the_files_and_read_by_their_numbers(table: PlaceTable) -> None:
    rows, aliases = table.columns(["X", "x"])
    numbers, values = table.engine.read(f"select rownumber, {aliases['X']} from {rows} order by rownumber")
    np.testing.assert_array_equal(numbers, np.arange(5))
    np.testing.assert_array_equal(values, [1, 2, 3, 4, np.nan])
    assert table.read(np.array([2]), ["X"]).rows() == table.read(np.array([0, 2]), ["X"]).rows()[1:]
    assert table.read(np.array([], dtype=np.int64), ["X"]).is_empty()
    found = table.read(np.array([1, 3]), ["X", "x", "word", "flag"])
    assert found.rows() == [(2, None, "", "false"), (4, 2.0, "b", "true")]
    assert table.read(None, ["at", "day"]).row(0) == (datetime(2026, 1, 1), date(1969, 12, 31))


def test_words_are_texts_with_their_gaps(table: PlaceTable) -> None:
    rows, aliases = table.columns(["word"])
    found = table.words(f"select {aliases['word']}, count(*) from {rows} group by 1")
    assert sorted(found, key=str) == sorted([("a", "1"), ("", "1"), (None, "1"), ("b", "1"), ("\"'", "1")], key=str)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({"a": [1]}, "'1.parquet' has no column 'b', which '0.parquet' has"),
        ({"a": [1], "b": ["x"], "c": [1]}, "'0.parquet' has no column 'c', which '1.parquet' has"),
        ({"b": ["x"], "a": [1.5]}, "'a' has the type Float64 in the file '1.parquet', and Int64 in '0.parquet'"),
    ],
)
def test_files_of_other_columns_are_named(tmp_path: Path, second: dict[str, list[object]], reason: str) -> None:
    first = pl.DataFrame({"a": [1], "b": ["x"]})
    open_files(tmp_path, first, first.select("b", "a"))
    with pytest.raises(UnusableData, match=reason):
        open_files(tmp_path, first, pl.DataFrame(second))


def test_columns_in_the_names_of_folders_are_read_and_summed_like_others(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        pl.DataFrame({"x": [number, number], "X": [0.5, 1.5], "own": [7, 8]}).write_parquet(path)
    partitions = {
        "year": ["2024", None, "2025"], "day": ["2024-01-31", "2024-02-29", None], "it's": ["a'b", None, "c"],
        "own": ["1", "2", "3"],
    }  # fmt: skip
    place = {"source": "lake", "table": "t", "files": [str(path) for path in paths], "partitions": partitions}
    with opened_table(place, tmp_path, threads=2, after_read=lambda: None, ask=no_server) as table:
        kinds = {"x": "whole", "X": "real", "own": "whole", "year": "whole", "day": "day", "it's": "word"}
        assert table.kinds == kinds
        found = table.read(np.array([0, 2, 5]), ["year", "day", "it's", "own"])
        assert found.rows() == [
            (2024, date(2024, 1, 31), "a'b", 7), (None, date(2024, 2, 29), None, 7), (2025, None, "c", 8),
        ]  # fmt: skip
        rows, names = table.columns(["year", "it's", "x"])
        year, word, x = (names[name] for name in ("year", "it's", "x"))
        sums = table.engine.read(f"select sum({year}), count({word}), sum({x} * {year}) from {rows}")
        assert [float(column[0]) for column in sums] == [2 * (2024 + 2025), 4, 2 * 2 * 2025]
        assert table.words(f"select distinct {word} from {rows} where {word} is not null order by 1") == [
            ("a'b",), ("c",),
        ]  # fmt: skip


def open_files(folder: Path, *frames: pl.DataFrame) -> None:
    paths = [folder / f"{number}.parquet" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        frame.write_parquet(path)
    place = {"source": "lake", "table": "t", "files": [str(path) for path in paths]}
    with opened_table(place, folder, threads=1, after_read=lambda: None, ask=no_server):
        pass


@pytest.mark.parametrize("name", ["file_row_number", "File_Index"])
def test_a_column_by_which_the_engine_numbers_rows_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableData, match=name):
        open_files(tmp_path, pl.DataFrame({"a": [1], name: [0]}))


def test_names_that_differ_in_case_alone_need_one_order_in_all_files(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0], "X": [2.0], "y": [3.0]})
    open_files(tmp_path, frame, frame)
    open_files(tmp_path, frame.drop("X"), frame.select("y", "x"))
    with pytest.raises(UnusableData, match="'x' has the name of another but for its case"):
        open_files(tmp_path, frame, frame.select("X", "y", "x"))
