"""Read options that are more than one word."""

import pytest

from cqox.contract import DropRows, Unpivot
from cqox.datasets import ReadOptions
from cqox.errors import InvalidRequest


def test_fields_of_a_form_and_values_are_the_same() -> None:
    form = ReadOptions(
        header_rows="2", fill_down='["a", "b, c"]', drop_rows='{"rows": [3]}', unpivot='{"columns": ["y1", "y2"]}'
    )
    values = ReadOptions(
        header_rows=2, fill_down=["a", "b, c"], drop_rows=[{"rows": [3]}], unpivot={"columns": ["y1", "y2"]}
    )
    assert form == values
    assert form.drop_rows == [DropRows(rows=[3])]
    assert form.unpivot == Unpivot(columns=["y1", "y2"])
    assert form.given() == values.given()
    assert form.given()["header_rows"] == 2


def test_names_may_be_separated_by_commas() -> None:
    assert ReadOptions(fill_down="a, b").fill_down == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"header_rows": "two"}, "header_rows"),
        ({"header_rows": 0}, "header_rows"),
        ({"header_row": "0"}, "header_row"),
        ({"header_row": 1001}, "header_row"),
        ({"drop_rows": "Total"}, "drop_rows"),
        ({"drop_rows": '{"column": "a"}'}, "drop_rows.0"),
        ({"unpivot": '{"columns": ["a"]}'}, "unpivot.columns"),
        ({"unpivot": '{"column": ["a", "b"]}'}, "unpivot.column"),
        ({"fill_down": "[1]"}, "fill_down.0"),
    ],
)
def test_what_is_no_option_is_refused_by_its_field(given: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ReadOptions(**given)
    assert refused.value.field == field
