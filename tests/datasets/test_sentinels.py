import polars as pl
import pytest

from cqox.datasets.sentinels import sentinel_note
from tests.datasets.conftest import Read


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([1.5, -999.0, 40.0, -999.0, 12.0], "-999 (2 rows)"),
        ([18, 999, 79, 999, 40, None], "999 (2 rows)"),
        ([0, 50, 100, -99, -99], "-99 (2 rows)"),
        ([0, 1, 9, 9, 1, 0], "9 (2 rows)"),
        ([3, 5, -9, -8, -9, -8, -8], "-9 (2 rows) and -8 (3 rows)"),
    ],
)
def test_a_code_beyond_all_other_numbers_is_reported_with_its_rows(values: list[float | None], codes: str) -> None:
    column = pl.Series("v", values)
    (note,) = sentinel_note(column, column.min(), column.max())
    assert note.startswith(f"Numbers such as {codes} stand for missing values in some files")
    assert "all other values are from " in note


@pytest.mark.parametrize(
    "values",
    [
        [1.5, -999.0, 40.0],
        [18, 99, 79, 99, 40],
        [-50, -99, 100, -99],
        [0, 1, 2, 3, 8, 8],
        [1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9],
        [0, 9, 9, 0],
        [999, 999],
        [2.5, 3.5],
        [None, None],
        [],
    ],
)
def test_a_number_among_the_others_or_of_one_row_is_not(values: list[float | None]) -> None:
    column = pl.Series("v", values, dtype=pl.Float64)
    assert sentinel_note(column, column.min(), column.max()) == []


def test_the_numbers_themselves_stay_as_they_are(read: Read) -> None:
    table = read("id,y\n" + "".join(f"{place},{-999 if place % 10 == 3 else place}\n" for place in range(40)))
    assert table.frame["y"].to_list().count(-999) == 4
    assert any(note.startswith("Numbers such as -999 (4 rows)") for note in table.columns[1].notes)
