"""Every mistake in a body is refused with what to change, in words of the field and not in those of a program."""

import pytest

from cqox.contract import AnalyzeRequest, parse_model
from cqox.errors import InvalidRequest

MAPPING = {"y": "y", "treatment": "w"}


def refused(**body: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_model(AnalyzeRequest, {"dataset_id": "test", "mapping": MAPPING, **body}).roles()
    return caught.value


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rd_bandwidth": -1}, "'options.rd_bandwidth' is not valid: it must be a number above 0, not -1."),
        ({"period_formats": "x"}, "'options.period_formats' is not valid: it must be an object, not"),
        ({"expected_share": "x"}, "'options.expected_share' is not valid: it must be a number or an object, not"),
        (
            {"expected_share": 2},
            "'options.expected_share' is not valid: a share lies between 0 and 1, both excluded, and the shares of "
            "several levels sum to at most 1.",
        ),
        ({"alpha": 5}, "'options.alpha' is not valid: it must be a number below 0.5, not 5."),
        ({"alpha": "x"}, "'options.alpha' is not valid: it must be a number, not \"x\"."),
        ({"folds": 1}, "'options.folds' is not valid: it must be a number of at least 2, not 1."),
        ({"folds": 51}, "'options.folds' is not valid: it must be a number of at most 50, not 51."),
        ({"caliper": 0}, "'options.caliper' is not valid: it must be a number above 0, not 0."),
        ({"seed": 1.5}, "'options.seed' is not valid: it must be a whole number, not 1.5."),
        ({"seed": None}, "'options.seed' is not valid: it must be a whole number, not null."),
        (
            {"mediation_interaction": "perhaps"},
            "'options.mediation_interaction' is not valid: it must be true or false",
        ),
        ({"estimators": "aipw"}, "'options.estimators' is not valid: it must be a list, such as [\"aipw\"]."),
        ({"categorical": "地域"}, "'options.categorical' is not valid: it must be a list, such as [\"地域\"]."),
        ({"categorical": {"a": 1}}, "'options.categorical' is not valid: it must be a list, not an object."),
        ({"categorical": ["a", 5]}, "'options.categorical.1' is not valid: it must be text, not 5."),
        ({"estimators": []}, "'options.estimators' is not valid: it names no estimator; omit it to run all"),
        (
            {"outcome_range": [3, 1]},
            "'options.outcome_range' is not valid: the first number must be less than the second.",
        ),
        ({"outcome_range": [1, 2, 3]}, "'options.outcome_range' is not valid: it must have 2 values, not 3."),
        ({"outcome_range": [1]}, "The field 'options.outcome_range.1' is missing."),
        (
            {"reference_level": ["a"]},
            "'options.reference_level' is not valid: it must be text or a number or true or false",
        ),
        ({"seed": 10**400}, "'options.seed' is not valid: "),
    ],
)
def test_a_value_that_an_option_does_not_take_is_refused_with_what_it_takes(
    options: dict[str, object], words: str
) -> None:
    assert refused(options=options).detail.startswith(words)


def test_a_word_that_is_none_of_an_options_choices_is_refused_with_the_nearest_and_all() -> None:
    error = refused(options={"se": "hc1"})
    assert error.detail == (
        "'options.se' must be one of auto, iid, HC0, HC1, HC2, HC3, CRV1, CRV3, not \"hc1\". Did you mean HC1?"
    )
    assert error.choices == ("HC1", "auto", "iid", "HC0", "HC2", "HC3", "CRV1", "CRV3")


def test_a_field_under_another_name_is_refused_with_the_right_one() -> None:
    with pytest.raises(InvalidRequest, match=r"no field 'dataset'\. Did you mean dataset_id"):
        parse_model(AnalyzeRequest, {"dataset": "test", "mapping": MAPPING})
    with pytest.raises(InvalidRequest, match="field 'dataset_id' is missing"):
        parse_model(AnalyzeRequest, {"mapping": MAPPING})
    assert refused(dataset_id="").detail == "'dataset_id' is not valid: it must be text of at least 1 character."
    assert refused(dataset_id="x" * 201).detail.endswith("it must be text of at most 200 characters.")


def test_an_option_outside_the_options_is_refused_with_its_place() -> None:
    assert refused(alpha=0.1).detail == (
        'There is no field \'alpha\'. It is an option. Send it as {"options": {"alpha": …}}.'
    )
    assert refused(options={"alfa": 0.1}).detail == "There is no option 'alfa'. Did you mean alpha?"
    assert refused(options=[]).detail == "'options' is not valid: it must be an object, not an array."


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (None, '\'mapping\' must not be null. Send an object such as {"y": "sales", "treatment": "campaign"}'),
        ("y", "'mapping' must not be a string. Send an object"),
        (["y", "w"], "'mapping.0' must not be a string. Send an object"),
        (
            {**MAPPING, "x": None},
            "The role 'x' takes a column name or a list of column names, not null. Omit roles",
        ),
        ({**MAPPING, "x": {}}, "The role 'x' takes a column name or a list of column names, not an object."),
        ({**MAPPING, "x": ["a", None]}, "The role 'x' takes column names, but its list contains null."),
        ({**MAPPING, "cutoff": 10**400}, "The role 'cutoff' does not accept a number of this magnitude."),
        ([{"role": "y", "col": "y"}], "There is no field 'col'. Did you mean column or role?"),
        ([{"role": "y"}], "The field 'mapping.0.column' is missing."),
        ([{"role": 1, "column": "y"}], "'mapping.0.role' is not valid: it must be text, not 1."),
        (
            [{"role": "y", "column": None}],
            "'mapping.0.column' takes a column name or a list of column names, not null.",
        ),
        ({"y": "y", "treament": "w"}, "There is no role 'treament'. Did you mean treatment"),
        ({"outcomes": "y", "treatment": "w"}, "There is no role 'outcomes'. Did you mean y or proxy_outcome"),
    ],
)
def test_a_mapping_of_another_form_is_refused_with_what_is_wrong_in_it(mapping: object, words: str) -> None:
    error = refused(mapping=mapping)
    assert error.detail.startswith(words)
    assert error.field.startswith("mapping")
