"""The kind of a column, by its values and its name."""

import pytest

from cqox.datasets import Column, Limits
from cqox.datasets.kinds import names_an_id
from tests.datasets.conftest import Read


def _column(read: Read, name: str, cells: list[object], limits: Limits | None = None) -> Column:
    text = f"_,{name}\n" + "".join(f"r,{'' if cell is None else cell}\n" for cell in cells)
    return read(text, limits=limits or Limits()).columns[1]


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("w", [0, 1, 0, 1], "binary"),
        ("w", [1, 2, None, 2], "binary"),
        ("w", ["A", "B", "A"], "binary"),
        ("w", ["あり", "なし", "あり"], "binary"),
        ("w", ["true", "false", "true"], "binary"),
        ("n", [0, 1, 2, 2], "count"),
        ("n", [-1, 1, 2, 2], "real"),
        ("n", [1.5, 2, 3, 4], "real"),
        ("year", [2019, 2020, 2021, 2022], "count"),
        ("g", ["a", "b", "c", "a", "b"], "category"),
        ("store_id", [11, 12, 13, 11], "id"),
        ("店舗ID", ["S1", "S2", "S3", "S1"], "id"),
        ("code", ["007", "008", "009"], "id"),
        ("処置", ["01", "02", "01"], "binary"),
        ("店舗コード", ["01", "02", "01"], "id"),
        ("区分", ["01", "02", "03", "01", "02"], "id"),
        ("key2", ["ab1", "ab2", "ab3", "ab4"], "id"),
        ("d", ["2024-01-05", "2024-01-06", "2024-01-07"], "date"),
        ("日付", [20240105, 20240106, 20240107], "date"),
        ("amount", [20240105, 20240106, 20240107], "count"),
        ("備考", ["とても良い 店でした", "また 来ます", "ふつう の店", "よい 品ぞろえ"], "text"),
    ],
)
def test_a_kind_follows_from_values_and_name(read: Read, name: str, cells: list[object], kind: str) -> None:
    assert _column(read, name, cells).kind == kind


def test_levels_are_listed_in_order_with_their_counts(read: Read) -> None:
    column = _column(read, "g", ["b", "a", None, "c", "a"])
    assert column.levels == ("a", "b", "c")
    assert column.level_counts == (2, 1, 1)
    assert (column.count, column.missing, column.distinct) == (4, 1, 3)
    assert (column.minimum, column.maximum, column.mean) == (None, None, None)


def test_numbers_have_bounds_and_a_mean(read: Read) -> None:
    column = _column(read, "x", [1.5, None, 4, -2])
    assert (column.minimum, column.maximum) == (-2, 4)
    assert column.mean == pytest.approx(3.5 / 3)


def test_dates_have_bounds_in_iso_form(read: Read) -> None:
    column = _column(read, "d", ["2024/1/5", "2024/3/1", "2024/2/1"])
    assert (column.minimum, column.maximum) == ("2024-01-05", "2024-03-01")


def test_more_levels_than_the_limit_are_not_listed_and_it_is_said_what_can_be_done(read: Read) -> None:
    cells = [f"村{number % 60}" for number in range(300)]
    column = _column(read, "村", cells)
    assert column.kind == "category"
    assert not column.levels
    assert column.distinct == 60
    assert any("fixed effect" in note for note in column.notes)
    assert len(_column(read, "村", cells, Limits(max_levels=60)).levels) == 60


def test_a_constant_is_pointed_out(read: Read) -> None:
    assert any("constant" in note for note in _column(read, "c", [3, 3, None, 3]).notes)


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "ID",
        "store_id",
        "storeId",
        "店舗ID",
        "会員番号",
        "都道府県コード",
        "user id",
        "customer-id",
        "No.",
        "顧客No",
    ],
)
def test_names_of_ids_are_known(name: str) -> None:
    assert names_an_id(name)


@pytest.mark.parametrize(
    "name",
    ["paid", "valid", "covid", "grid", "hybrid", "kid", "price", "income", "decode", "piano", "casino", "売上", "年齢"],
)
def test_words_that_end_like_an_id_are_none(name: str) -> None:
    assert not names_an_id(name)
