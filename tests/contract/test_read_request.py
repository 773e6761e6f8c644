"""Options of reading as values, and as the text that an upload has."""

import pytest

from cqox.contract import ReadRequest, dataset_id, parse_model, read_fields
from cqox.errors import InvalidRequest


def test_text_and_values_are_accepted_alike() -> None:
    text = {"header_row": "4", "fill_down": "a, b", "drop_rows": '{"rows": [1]}', "na": "-, NA", "sheet": "2"}
    values = {"header_row": 4, "fill_down": ["a", "b"], "drop_rows": [{"rows": [1]}], "na": ["-", "NA"], "sheet": "2"}
    assert parse_model(ReadRequest, text) == parse_model(ReadRequest, values)
    assert parse_model(ReadRequest, {}) == parse_model(ReadRequest, {"sheet": None})


def test_values_become_the_text_of_an_upload_so_that_the_id_is_the_same() -> None:
    values = {
        "header_row": 4,
        "na": ["-", " NA"],
        "sheet": 0,
        "fill_down": ["地域"],
        "decimal": None,
        "encoding": "cp932",
    }
    fields = read_fields(values)
    assert fields == {"header_row": "4", "na": ["-", "NA"], "sheet": "0", "fill_down": '["地域"]', "encoding": "cp932"}
    upload = {"header_row": "4", "na": "-,NA", "sheet": "0", "fill_down": '["地域"]', "encoding": "cp932"}
    assert dataset_id("0" * 32, fields) == dataset_id("0" * 32, read_fields(upload))


@pytest.mark.parametrize(
    ("body", "field", "choices"),
    [
        ({"delimiter": 1}, "delimiter", ()),
        ({"decimal": "'"}, "decimal", (".", ",")),
        ({"header_row": 0}, "header_row", ()),
        ({"header_row": "four"}, "header_row", ()),
        ({"drop_rows": "Total"}, "drop_rows", ()),
        ({"na": [1]}, "na.0", ()),
    ],
)
def test_what_is_no_option_is_refused_by_its_field(body: dict[str, object], field: str, choices: tuple[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_model(ReadRequest, body)
    assert (refused.value.field, refused.value.choices) == (field, choices)


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_model(ReadRequest, {"headers": 4})
    assert refused.value.field == "headers"
    assert refused.value.choices
