"""Rows to leave out."""

import polars as pl
import pytest

from cqox.contract import DropRows
from cqox.datasets import kept_rows
from cqox.datasets.row_drops import repeated_rows
from cqox.errors import InvalidRequest, UnusableData

FRAME = pl.DataFrame(
    {"shop": ["A", "B", " 合計", None, "B"], "year": [1, 2, 3, 4, 2], "y": [0.5, 1.5, None, 2.0, 1.5]},
    schema_overrides={"shop": pl.Enum([" 合計", "A", "B"])},
)


def kept(**drop: object) -> list[bool]:
    return kept_rows(FRAME, FRAME.columns, [DropRows(**drop)], field="drop_rows").to_list()


@pytest.mark.parametrize(
    ("drop", "gone"),
    [
        ({"column": "shop", "values": ["合計"]}, [3]),
        ({"column": "shop", "values": [None, "A"]}, [1, 4]),
        ({"column": "year", "values": [2, "3"]}, [2, 3, 5]),
        ({"column": "y", "values": [1.5, None]}, [2, 3, 5]),
        ({"column": "y", "values": ["word"]}, []),
        ({"rows": [1, 5]}, [1, 5]),
        ({"duplicates": True}, [5]),
    ],
)
def test_rows_are_left_out(drop: dict[str, object], gone: list[int]) -> None:
    assert [number for number, stays in enumerate(kept(**drop), 1) if not stays] == gone


def test_drops_are_joined() -> None:
    drops = [DropRows(rows=[1]), DropRows(column="shop", values=["B"])]
    assert kept_rows(FRAME, FRAME.columns, drops, field="f").sum() == 2


def test_a_column_or_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no column 'shops'") as refused:
        kept(column="shops", values=["A"])
    assert (refused.value.field, refused.value.choices[0]) == ("drop_rows", "shop")
    with pytest.raises(InvalidRequest, match="no row 6; the table has 5 rows"):
        kept(rows=[6])


def test_some_row_must_be_left() -> None:
    with pytest.raises(UnusableData, match="No row is left"):
        kept(rows=[1, 2, 3, 4, 5])


def test_rows_are_repeated_if_equal_in_every_column() -> None:
    assert repeated_rows(FRAME, ["shop", "year", "y"]).to_list() == [False, False, False, False, True]
    swapped = pl.DataFrame({"a": [1, 2], "b": [2, 1]})
    assert repeated_rows(swapped, ["a", "b"]).to_list() == [False, False]
