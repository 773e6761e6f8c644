from collections.abc import Mapping

import pytest

from cqox.estimators import Json
from cqox.figures._reading import at, listed, number_in, text_in

TREE: Mapping[str, Json] = {"a": {"n": 2, "x": 0.5, "yes": True, "t": "text", "l": [1, "b"], "none": None}, "n": 7}


def test_a_path_leads_to_a_value_and_to_none_where_it_breaks_off() -> None:
    assert at(TREE) == TREE
    assert at(TREE, "a", "t") == "text"
    for path in (("b",), ("a", "b"), ("n", "b"), ("a", "l", "0"), ("a", "none", "b")):
        assert at(TREE, *path) is None
        assert (listed(TREE, *path), number_in(TREE, *path), text_in(TREE, *path)) == ([], None, "")


@pytest.mark.parametrize(("key", "number"), [("n", 2.0), ("x", 0.5), ("yes", None), ("t", None), ("none", None)])
def test_a_number_is_a_float_and_a_truth_value_is_no_number(key: str, number: float | None) -> None:
    found = number_in(TREE, "a", key)
    assert found == number
    assert found is None or type(found) is float


def test_lists_and_texts_are_returned_as_they_are_and_others_are_empty() -> None:
    assert listed(TREE, "a", "l") == [1, "b"]
    assert text_in(TREE, "a", "t") == "text"
    assert listed(TREE, "a", "t") == []
    assert text_in(TREE, "a", "n") == ""
    assert at(None, "a") is None
