"""Tables in CSV files that stay where they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from cqox.datasets import read_table
from cqox.engines import csv_kinds
from cqox.engines.place_opening import opened_table
from cqox.engines.place_table import PlaceTable
from cqox.errors import UnusableData

FIRST = """id,x,word,day,at,flag,late
1,1.5,a,2026-01-01,2026-01-01 09:00:00,true,
2,NA, b ,2026/1/2,2026-01-01T09:00:00.5,false,
"""
SECOND = '''id,x,word,day,at,flag,late
3,-2e-3,"c,""d""",,,true,7
4,NaN,,0999-12-31,,,
5,.5,NULL,,,true,8
'''


@contextmanager
def opened(
    folder: Path, files: Mapping[str, str | bytes], types: Mapping[str, str] | None = None
) -> Iterator[PlaceTable]:
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    place = {
        "source": "lake", "table": "t", "files": [str(folder / name) for name in files], "format": "csv",
        "types": types or {},
    }  # fmt: skip
    with opened_table(place, folder, threads=2, after_read=lambda: None, ask=no_server) as table:
        yield table


def no_server(question: object) -> bytes:
    raise AssertionError(question)


def test_kinds_are_those_of_the_values_and_what_programs_write_for_nothing_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path, {"0.csv": FIRST, "1.csv": SECOND}) as table:
        assert table.kinds == {
            "id": "whole", "x": "real", "word": "word", "day": "day", "at": "moment", "flag": "word", "late": "whole",
        }  # fmt: skip
        assert table.count() == 5
        found = table.read(None, list(table.kinds))
        assert found.rows() == [
            (1, 1.5, "a", date(2026, 1, 1), datetime(2026, 1, 1, 9), "true", None),
            (2, None, "b", date(2026, 1, 2), datetime(2026, 1, 1, 9, 0, 0, 500_000), "false", None),
            (3, -0.002, 'c,"d"', None, None, "true", 7),
            (4, None, None, date(999, 12, 31), None, None, None),
            (5, 0.5, None, None, None, "true", 8),
        ]


def test_rows_are_numbered_through_the_files_and_read_by_their_numbers(tmp_path: Path) -> None:
    with opened(tmp_path, {"0.csv": FIRST, "1.csv": SECOND}) as table:
        rows, aliases = table.columns(["id"])
        numbers, values = table.engine.read(f"select rownumber, {aliases['id']} from {rows}")
        np.testing.assert_array_equal(values, numbers + 1)
        assert table.read(np.array([1, 3]), ["id", "word"]).rows() == [(2, "b"), (4, None)]


def test_columns_in_the_names_of_folders_are_those_of_the_table(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.csv").write_text(f"x,own\n{number},a\n{number},b\n")
    place = {
        "source": "lake", "table": "t", "files": [str(tmp_path / f"{number}.csv") for number in range(2)],
        "format": "csv", "partitions": {"year": ["2024", None], "own": ["c", "d"]},
    }  # fmt: skip
    with opened_table(place, tmp_path, threads=2, after_read=lambda: None, ask=no_server) as table:
        assert table.kinds == {"x": "whole", "own": "word", "year": "whole"}
        assert table.read(np.array([1, 2]), ["year", "own", "x"]).rows() == [(2024, "b", 0), (None, "a", 1)]


def test_columns_may_have_names_that_the_engine_has_for_itself(tmp_path: Path) -> None:
    (tmp_path / "0.csv").write_text("file_index,c1,cqox:file\n1,2,3\n")
    place = {
        "source": "lake", "table": "t", "files": [str(tmp_path / "0.csv")], "format": "csv",
        "partitions": {"year": ["2024"]},
    }  # fmt: skip
    with opened_table(place, tmp_path, threads=2, after_read=lambda: None, ask=no_server) as table:
        assert table.read(None, list(table.kinds)).rows() == [(1, 2, 3, 2024)]


def test_a_million_rows_of_several_files_have_one_order(tmp_path: Path) -> None:
    count = 250_000
    files = {
        f"{place}.csv": "id,x\n" + "".join(f"{row},{row % 7}.5\n" for row in range(place * count, (place + 1) * count))
        for place in range(4)
    }
    with opened(tmp_path, files) as table:
        rows, aliases = table.columns(["id"])
        (misplaced,) = table.engine.read(f"select count(*) from {rows} where rownumber <> {aliases['id']}")
        assert misplaced[0] == 0


@pytest.mark.parametrize(
    ("value", "column", "kind"),
    [("1.5", "id", "whole"), ("99999999999999999999", "id", "whole"), ("1_000", "x", "real"), ("1,000", "x", "real")],
)
def test_a_value_that_is_not_of_its_kind_is_named_with_file_and_column(
    tmp_path: Path, value: str, column: str, kind: str
) -> None:
    cells = {"id": "3", "x": "1", column: f'"{value}"'}
    files = {"0.csv": "id,x\n1,1.5\n2,2\n", "bad 'one'.csv": f"id,x\n{cells['id']},{cells['x']}\n"}

    def summed() -> None:
        with opened(tmp_path, files, {column: kind}) as table:
            assert table.kinds[column] == kind
            rows, aliases = table.columns(["id", "x"])
            table.engine.read(f"select sum({aliases['id']}), sum({aliases['x']}) from {rows}")

    with pytest.raises(UnusableData, match=f"the value '{value}' in the column '{column}'") as caught:
        summed()
    assert "The file 'bad 'one'.csv'" in str(caught.value)
    assert f"of the kind '{kind}'" in str(caught.value)
    with opened(tmp_path, files, {column: "word"}) as table:
        assert table.read(None, [column]).to_series().to_list()[-1] == value


def test_what_a_pass_does_not_read_is_not_its_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_kinds, "_SAMPLE_ROWS", 1)
    with opened(tmp_path, {"0.csv": "id,x\n1,1\n2,none of it\n"}) as table:
        rows, aliases = table.columns(["id"])
        (total,) = table.engine.read(f"select sum({aliases['id']}) from {rows}")
        assert total[0] == 3


@pytest.mark.parametrize("second", ["x,id\n1,2\n", "id,y\n1,2\n", "id;x\n1;2\n", "id,x,y\n1,2,3\n", ""])
def test_files_have_one_header(tmp_path: Path, second: str) -> None:
    with pytest.raises(UnusableData, match=r"'1.csv' has other columns than '0.csv'"):
        with opened(tmp_path, {"0.csv": "id,x\n1,2\n3,4\n", "1.csv": second}):
            pass


@pytest.mark.parametrize("second", [b"id,x\n1,2\n3,4\n5,6,7,8\n", b'id,x\n1,2\n3,"4\n'], ids=["cells", "quote"])
def test_a_file_that_is_no_csv_of_its_header_is_named(tmp_path: Path, second: bytes) -> None:
    with pytest.raises(UnusableData, match=r"The file '1.csv'"):
        with opened(tmp_path, {"0.csv": "id,x\n1,2\n3,4\n", "1.csv": second}) as table:
            table.read(None, ["id", "x"])


@pytest.mark.parametrize("before", ["\n", "# exported today\n", "\n\n"])
def test_what_is_before_the_names_of_columns_is_not_taken_for_them(tmp_path: Path, before: str) -> None:
    content = "id,x\n" + "".join(f"{number},a\n" for number in range(50))
    for number in (0, 1):
        files = {f"{place}.csv": (before if place == number else "") + content for place in (0, 1)}
        with pytest.raises(UnusableData, match=f"The file '{number}.csv' has something else before the names"):
            with opened(tmp_path, files):
                pass


def test_a_delimiter_is_that_of_the_first_file(tmp_path: Path) -> None:
    with opened(tmp_path, {"0.csv": "id;x\n1;2.5\n3;4\n"}) as table:
        assert table.kinds == {"id": "whole", "x": "real"}


def test_columns_have_the_names_that_an_upload_gives_them(tmp_path: Path) -> None:
    content = '\ufeffy,Y, two  words ,,y,NA,"line\nbreak"\n1,2,3,4,5,6,7\n'
    with opened(tmp_path, {"0.csv": content, "1.csv": content}) as table:
        uploaded = read_table(tmp_path / "0.csv", name="0.csv").frame
        assert list(table.kinds) == uploaded.columns
        assert table.read(None, list(table.kinds)).rows() == [*uploaded.rows(), *uploaded.rows()]


def test_stated_kinds_are_those_of_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    with opened(tmp_path, {"0.csv": "y,Y\n1,2\n"}, {"Y": "word"}) as table:
        assert table.kinds == {"y": "whole", "Y": "word"}


@pytest.mark.parametrize("content", ["sep=;\na;b\n1;2\n", "My table,,\na,b,c\n1,2,3\n"])
def test_a_title_and_a_line_with_the_delimiter_are_no_header(tmp_path: Path, content: str) -> None:
    with pytest.raises(UnusableData, match="has something else before the names"):
        with opened(tmp_path, {"0.csv": content}):
            pass
