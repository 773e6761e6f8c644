"""JSON in its three layouts becomes columns, digits are kept, and what is no table says why."""

import json

import pytest

from cqox.datasets import Limits
from cqox.errors import LimitExceeded, UnreadableFile


def test_an_absent_key_and_null_are_missing(read):
    table = read('{"a":1,"b":"x"}\n{"b":null}\n\n{"a":3,"c":true}\n')
    assert table.frame["a"].to_list() == [1, None, 3]
    assert table.frame["b"].to_list() == ["x", None, None]
    assert table.frame["c"].to_list() == [None, None, "true"]


def test_numbers_keep_the_digits_that_they_were_written_with(read):
    table = read('[{"id":12345678901234567890123,"v":0.1,"e":1e3},{"id":7,"v":1.10,"e":-2E-3}]')
    assert table.frame["id"].to_list() == ["12345678901234567890123", "7"]
    assert table.frame["v"].to_list() == [0.1, 1.1]
    assert table.frame["e"].to_list() == [1000.0, -0.002]


def test_texts_in_json_are_read_by_the_rules_for_cells(read):
    table = read('{"売上":"1,300","日":"2024年1月5日"}\n{"売上":"NA","日":"2024/1/6"}\n{"売上":"９８０円","日":null}\n')
    assert table.frame["売上"].to_list() == [1300, None, 980]
    assert [column.kind for column in table.columns] == ["count", "date"]


def test_infinity_and_nan_are_missing_and_counted(read):
    (column,) = read('{"a":NaN}\n{"a":Infinity}\n{"a":-Infinity}\n{"a":1}\n').columns
    assert (column.missing, column.infinite) == (3, 2)
    assert any("infinite" in note for note in column.notes)


def test_nested_values_are_kept_as_text_with_a_note(read):
    table = read('[{"a":{"b":[1,2.50,"あ"]},"c":1},{"a":[],"c":2}]')
    assert [json.loads(value) for value in table.frame["a"].to_list()] == [{"b": [1, 2.5, "あ"]}, []]
    assert any("'a'" in note for note in table.notes)


def test_an_object_of_arrays_is_a_table(read):
    assert read('{"a":[1,2,3],"b":["x","y","x"]}').frame.rows() == [(1, "x"), (2, "y"), (3, "x")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[1,2],[3,4]]", "Element 1.*not an object"),
        ('[{"a":1},[2]]', "Element 2.*not an object"),
        ('[{"a":1}{"a":2}]', "after element 1"),
        ('[{"a":1},]', "Element 2"),
        ('[{"a":1}', "too early"),
        ('{"a":1}\n[1]\n', "Line 2"),
        ('{"a":1}\n{"a":1,}\n', "Line 2"),
        ('{"a":1,\n"b":{"c":2}}\n', "a single object, not a table"),
        ('{"a":[1,2],"b":[1]}', "different lengths.*'a' 2.*'b' 1"),
        ('{"a":' + "[" * 20_000 + "]" * 20_000 + "}", "nested too deeply"),
        ("[" * 20_000, "nested too deeply"),
        ('[{"a":"\\udc00"}]', "surrogate"),
    ],
)
def test_json_that_is_no_table_says_where_and_why(content, says, read):
    with pytest.raises(UnreadableFile, match=f"(?s){says}"):
        read(content)


def test_limits_are_checked_while_rows_arrive(read):
    with pytest.raises(LimitExceeded, match="rows"):
        read('{"a":1}\n' * 50_000, limits=Limits(max_rows=30_000))
    with pytest.raises(LimitExceeded, match="columns"):
        read("\n".join(json.dumps({f"k{number}": 1}) for number in range(100)), limits=Limits(max_columns=50))
    with pytest.raises(LimitExceeded, match="characters"):
        read(json.dumps([{"a": "x" * 500}]), limits=Limits(max_field_bytes=100))


def test_a_comma_separated_header_in_brackets_is_no_json(read):
    assert read("[a],[b]\n1,2\n3,4\n").frame.columns == ["[a]", "[b]"]


def test_a_value_nested_beyond_any_table_is_refused_by_its_depth(read):
    with pytest.raises(UnreadableFile, match="more than 32 levels"):
        read('{"a":' + "[" * 40 + "]" * 40 + "}")
    assert read('{"a":' + "[" * 30 + "]" * 30 + "}").frame.height == 1
