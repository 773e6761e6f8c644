from dataclasses import fields

import pytest

from cqox.cli.analyze_flags import READ_OPTIONS
from cqox.cli.arguments import mapping_of, options_of, pairs_of, read_options_of, source_of
from cqox.datasets import ReadOptions
from cqox.errors import InvalidRequest
from cqox.sources import sql


def test_names_of_columns_are_separated_by_commas_and_quoted_as_in_csv():
    given = {"y": ["売上"], "covariates": ["a, b", '"c,d"'], "cutoff": ["3"], "treatment": []}
    assert mapping_of(given) == {"y": "売上", "covariates": ["a", "b", "c,d"], "cutoff": "3"}


def test_an_option_without_a_value_is_refused_with_the_names_that_there_are():
    assert pairs_of(["a=1", "b=x=y"], "--option") == {"a": "1", "b": "x=y"}
    with pytest.raises(InvalidRequest) as caught:
        pairs_of(["seed"], "--option")
    assert "seed" in caught.value.choices


def test_options_are_json_text_or_lists_separated_by_commas():
    given = ["seed=7", "estimators=aipw, ipw_ate", "se=HC3", 'drop_rows=[{"rows": [1]}]', "outcome_range=-1,2.5"]
    assert options_of(given) == {
        "seed": 7,
        "estimators": ["aipw", "ipw_ate"],
        "se": "HC3",
        "drop_rows": [{"rows": [1]}],
        "outcome_range": ["-1", "2.5"],
    }


def test_read_options_are_those_of_the_reader():
    assert read_options_of(["na=-, none", "encoding=cp932"]) == {"na": ["-", "none"], "encoding": "cp932"}
    with pytest.raises(InvalidRequest) as caught:
        read_options_of(["colour=red"])
    assert set(caught.value.choices) == {field.name for field in fields(ReadOptions)} == set(READ_OPTIONS)


def test_data_are_a_place_or_the_result_of_a_query_there():
    assert source_of("a.csv", None) == "a.csv"
    assert source_of("sqlite:///a.db", " SELECT 1; ") == sql("SELECT 1", "sqlite:///a.db")
    with pytest.raises(InvalidRequest, match=r"a\.csv"):
        source_of("a.csv", "SELECT 1")
