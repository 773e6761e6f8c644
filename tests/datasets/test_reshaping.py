"""Files that are read into another form."""

import io

import openpyxl
import polars as pl
import pytest

from cqox.datasets import Limits
from cqox.errors import InvalidRequest, LimitExceeded, UnusableData
from tests.datasets.conftest import Read


def test_names_of_upper_rows_reach_over_blanks_where_a_lower_row_has_a_name(read: Read) -> None:
    table = read("shop,2024,,note\n,sales,guests,\nA,1,2,x\nB,2,3,y\n", header_rows=2)
    assert table.frame.columns == ["shop", "2024 sales", "2024 guests", "note"]
    assert [str(note) for note in table.notes] == ["The header takes 2 rows; the last column is called 'note'."]


def test_a_spreadsheet_has_header_rows_as_well(read: Read) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["shop", "2024", None], [None, "sales", "guests"], ["A", 1, 3], ["B", 2, 4]):
        book.active.append(row)
    book.save(out)
    table = read(out.getvalue(), header_rows=2)
    assert table.frame.columns == ["shop", "2024 sales", "2024 guests"]


def test_dropped_rows_change_what_a_column_is(read: Read) -> None:
    table = read("month,y\n1,5\n2,6\n合計,11\n", drop_rows='{"column": "month", "values": ["合計"]}')
    assert table.frame["month"].to_list() == [1, 2]
    assert table.findings == ()


def test_columns_are_filled_down_before_they_are_typed(read: Read) -> None:
    table = read("a,b,y\n2024-01-05,1,5\n, ,6\n2024-01-06,2,7\n", fill_down="a, b")
    assert table.frame["a"].dtype == pl.Date
    assert table.frame["b"].to_list() == [1, 1, 2]


def test_a_wide_table_without_ids_gets_a_number_for_each_row(read: Read) -> None:
    table = read("kind,2023,2024\nx,1,2\nx,3,\n", unpivot={"columns": ["2023", "2024"], "period": "year"})
    assert table.frame.columns == ["kind", "unit", "year", "value"]
    assert table.frame.rows() == [("x", 1, 2023, 1), ("x", 1, 2024, 2), ("x", 2, 2023, 3), ("x", 2, 2024, None)]


def test_measures_that_lack_a_period_are_empty_in_it(read: Read) -> None:
    table = read("id,y2001,y2002,x2002\na,1,2,3\nb,4,5,6\n", unpivot={"columns": ["y2001", "y2002", "x2002"]})
    assert table.frame.rows() == [("a", 2001, 1, None), ("a", 2002, 2, 3), ("b", 2001, 4, None), ("b", 2002, 5, 6)]


@pytest.mark.parametrize(
    "options",
    [
        {"drop_rows": {"column": "q", "values": [1]}},
        {"fill_down": "q"},
        {"unpivot": {"columns": ["y2001", "q"]}},
        {"unpivot": {"columns": ["y2001", "id"]}},
    ],
)
def test_a_column_that_does_not_exist_or_has_no_period_is_refused_with_the_choices(
    read: Read, options: dict[str, object]
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read("id,y2001,y2002\na,1,2\nb,4,5\n", **options)
    assert refused.value.field.partition(".")[0] == next(iter(options))
    assert set(refused.value.choices) == {"id", "y2001", "y2002"}


def test_a_header_needs_rows_below_it(read: Read) -> None:
    with pytest.raises(UnusableData, match="no row below 3 header rows"):
        read("a,b\nc,d\n1,2\n", header_rows=3)


def test_the_rows_of_a_wide_table_are_limited(read: Read) -> None:
    with pytest.raises(LimitExceeded):
        read("id,y2001,y2002\na,1,2\nb,4,5\n", unpivot={"columns": ["y2001", "y2002"]}, limits=Limits(max_rows=3))
