"""Options come from JSON, so each is checked and named."""

import pytest

from cqox.datasets import Limits, ReadOptions
from cqox.errors import InvalidRequest, LimitExceeded


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"encoding": "no-such"}, "encoding"),
        ({"encoding": 3}, "encoding"),
        ({"encoding": "hex"}, "encoding"),
        ({"delimiter": "x"}, "delimiter"),
        ({"delimiter": ""}, "delimiter"),
        ({"decimal": "'"}, "decimal"),
        ({"decimal": ",", "delimiter": ","}, "decimal"),
        ({"sheet": 1.5}, "sheet"),
        ({"sheet": True}, "sheet"),
        ({"na": 3}, "na"),
        ({"na": ["a", 3]}, "na"),
        ({"na": {"a": 1}}, "na"),
    ],
)
def test_a_wrong_option_is_named(given, field):
    with pytest.raises(InvalidRequest) as caught:
        ReadOptions(**given)
    assert caught.value.field == field


def test_a_wrong_choice_lists_the_valid_ones():
    with pytest.raises(InvalidRequest) as caught:
        ReadOptions(encoding="Shift-JIX")
    assert "cp932" in caught.value.choices


def test_texts_for_missing_values_may_come_as_a_list_or_as_one():
    assert ReadOptions(na=["a", "b"]).na == ("a", "b")
    assert ReadOptions(na="a").na == ("a",)


@pytest.mark.parametrize(
    ("rows", "columns", "what"), [(11, 1, "rows.*CQOX_MAX_ROWS"), (1, 4, "columns.*CQOX_MAX_COLUMNS"), (10, 3, "cells")]
)
def test_each_bound_of_the_shape_is_named(rows, columns, what):
    limits = Limits(max_rows=10, max_columns=3, max_cells=29)
    with pytest.raises(LimitExceeded, match=what):
        limits.check_shape(rows, columns)
    limits.check_shape(9, 3)
