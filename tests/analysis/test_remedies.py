"""Rows, periods and marks as the options of an analysis have them read."""

from datetime import date
from pathlib import Path

import pytest

from cqox.analysis.remedies import Remedied, remedied
from cqox.contract import Options
from cqox.datasets import describe, read_table, write_parquet
from cqox.errors import InvalidRequest

TEXT = (
    "shop,week,day,mark,start,y\n"
    "A,W2,2024-01-05,○,W2,1\nA,W10,20240106,,W2,2\nB,W2,2024-01-07,○,never,3\nB,W10,20240108,,never,4\n"
)


def read(
    folder: Path, text: str = TEXT, *, mapped: tuple[str, ...] = (), cohort: str | None = None, **options: object
) -> Remedied:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    path = folder / "t.parquet"
    write_parquet(read_table(folder / "t.csv", name="t"), path)
    return remedied(path, describe(path), Options(**options), mapped=mapped, cohort=cohort)


def test_without_options_the_table_is_as_it_was_stored(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.table.height, found.table.kept, found.table.replaced, found.notes) == (4, None, {}, [])


def test_rows_are_dropped_and_a_column_of_text_may_be_numbers_without_them(tmp_path: Path) -> None:
    text = "month,y\n1,5\n2,6\n3,8\n合計,19\n"
    found = read(tmp_path, text, mapped=("month", "y"), drop_rows={"column": "month", "values": ["合計"]})
    assert found.table["month"].to_list() == [1, 2, 3]
    assert found.table.load(["y", "month"]).rows() == [(5, 1), (6, 2), (8, 3)]
    assert (found.columns["month"].kind, found.columns["month"].distinct) == ("count", 3)
    assert found.notes == ["1 row left out by drop_rows."]


def test_batches_have_the_rows_and_columns_that_are_left(tmp_path: Path) -> None:
    found = read(tmp_path, drop_rows={"rows": [1]}, period_formats={"week": "number"})
    assert [batch.rows() for batch in found.table.batches(["y"])] == [[(2,), (3,), (4,)]]
    assert [batch.rows() for batch in found.table.batches(["week", "y"])] == [[(10, 2), (2, 3), (10, 4)]]


def test_a_drop_that_matches_nothing_is_noted(tmp_path: Path) -> None:
    assert read(tmp_path, drop_rows={"column": "shop", "values": ["C"]}).notes == ["drop_rows leaves out no row."]


def test_periods_are_numbers_or_dates(tmp_path: Path) -> None:
    found = read(tmp_path, period_formats={"week": "number", "day": "date"})
    assert found.table["week"].to_list() == [2, 10, 2, 10]
    assert found.table["day"].to_list() == [date(2024, 1, day) for day in (5, 6, 7, 8)]
    assert found.columns["day"].kind == "date"
    assert found.notes == [
        "The periods of 'week' are read by the format 'number', from 2 to 10.",
        "The periods of 'day' are read by the format 'date', from 2024-01-05 to 2024-01-08.",
    ]


def test_a_mark_is_1_and_an_empty_cell_0(tmp_path: Path) -> None:
    found = read(tmp_path, yes_no=["mark"])
    assert found.table["mark"].to_list() == [1, 0, 1, 0]
    assert found.columns["mark"].kind == "binary"
    assert found.notes == ["In 'mark', '○' counts as 1 and an empty cell as 0."]


def test_words_that_mean_never_have_no_period_in_a_cohort_alone(tmp_path: Path) -> None:
    found = read(tmp_path, cohort="start", period_formats={"start": "number"})
    assert found.table["start"].to_list() == [2, 2, None, None]
    with pytest.raises(InvalidRequest, match="'never' of 'start' is not of the format 'number'"):
        read(tmp_path, period_formats={"start": "number"})


@pytest.mark.parametrize(
    ("options", "field", "choice"),
    [
        ({"period_formats": {"weeks": "number"}}, "options.period_formats", "week"),
        ({"yes_no": ["marks"]}, "options.yes_no", "mark"),
        ({"drop_rows": {"column": "shops", "values": ["A"]}}, "options.drop_rows", "shop"),
        ({"period_formats": {"week": "month"}}, "options.period_formats.week", "number"),
    ],
)
def test_what_does_not_exist_or_does_not_fit_is_refused_with_the_choices(
    tmp_path: Path, options: dict[str, object], field: str, choice: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(tmp_path, **options)
    assert (refused.value.field, refused.value.choices[0]) == (field, choice)


def test_numbers_need_no_format_and_two_words_are_no_mark(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'y' holds no text"):
        read(tmp_path, period_formats={"y": "number"})
    with pytest.raises(InvalidRequest, match="'shop' has several values"):
        read(tmp_path, yes_no=["shop"])
