"""Keyword arguments as mapping and options."""

import datetime

import numpy as np
import pandas as pd
import pytest

from cqox.api.arguments import as_json, check_language, reading_options, split
from cqox.contract import DropRows
from cqox.errors import InvalidRequest


def test_roles_and_options_are_parted() -> None:
    mapping, options = split(
        {"y": "sales", "treatment": "campaign", "covariates": ["age"], "assignment": "randomized", "alpha": 0.1}
    )
    assert mapping == {"y": "sales", "treatment": "campaign", "covariates": ["age"]}
    assert options == {"assignment": "randomized", "alpha": 0.1}


def test_none_is_absent_and_other_words_for_roles_are_roles() -> None:
    assert split({"outcome": "sales", "cluster": None, "seed": None}) == ({"outcome": "sales"}, {})


def test_covariates_may_be_a_column_or_the_word_auto() -> None:
    assert split({"covariates": "age"}) == ({"covariates": "age"}, {})
    assert split({"covariates": "auto"}) == ({}, {"covariates": "auto"})
    assert split({"covariates": ["auto"]}) == ({"covariates": ["auto"]}, {})


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (("a", "b"), ["a", "b"]), (pd.Index(["a", "b"]), ["a", "b"]), (np.array([1, 2]), [1, 2]),
        (np.float64(2.5), 2.5), ({"b", "a"}, ["a", "b"]), (datetime.date(2020, 1, 2), "2020-01-02"),
        (pd.Timestamp("2020-01-02"), "2020-01-02T00:00:00"), ({"a": np.int64(1)}, {"a": 1}),
        ({"a": 1}.keys(), ["a"]), (True, True), (DropRows(column="a", values=["x"]), {"column": "a", "values": ["x"]}),
    ],
)  # fmt: skip
def test_values_of_python_become_json(value: object, wanted: object) -> None:
    found = as_json({"name": value})["name"]
    assert found == wanted
    assert type(found) is type(wanted)


def test_a_value_without_json_form_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"'alpha' is of type object\.") as caught:
        split({"alpha": object()})
    assert caught.value.field == "alpha"


def test_an_unknown_keyword_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean treatment") as caught:
        split({"treatmnt": "w"})
    assert "treatment" in (caught.value.choices or ())
    with pytest.raises(InvalidRequest, match="no role and no option 'zzzzzz'") as caught:
        split({"zzzzzz": 1})
    assert {"y", "alpha"} <= set(caught.value.choices or ())


def test_options_of_reading_are_a_mapping() -> None:
    assert reading_options({"sheet": "2025", "na": None}) == {"sheet": "2025"}
    assert reading_options(None) == {}
    with pytest.raises(InvalidRequest, match=r"'read' is of type str\.") as caught:
        reading_options("utf8")  # type: ignore[arg-type]
    assert caught.value.field == "read"


def test_a_language_without_sentences_is_refused() -> None:
    check_language("ja")
    with pytest.raises(InvalidRequest, match="language") as caught:
        check_language("xx")
    assert caught.value.choices == ("en", "ja")
