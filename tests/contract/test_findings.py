"""Options that settle findings, checked before any data are read."""

import pytest

from cqox.contract import FINDING_CODES, PERIOD_FORMATS, AnalyzeRequest, DropRows, parse_model
from cqox.contract.messages import LANGUAGES, template
from cqox.errors import InvalidRequest


def parsed(**options: object) -> AnalyzeRequest:
    return parse_model(
        AnalyzeRequest, {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": options}  # type: ignore[dict-item]
    )  # fmt: skip


def refused(**options: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        parsed(**options)
    return error.value


def test_every_code_has_a_sentence_in_every_language() -> None:
    for code in FINDING_CODES:
        assert all(template(language, f"findings.{code}") for language in LANGUAGES)


def test_one_drop_may_stand_without_a_list() -> None:
    assert parsed(drop_rows={"rows": [2]}).options.drop_rows == [DropRows(rows=[2])]


@pytest.mark.parametrize(
    "drop", [{}, {"column": "a"}, {"values": ["x"]}, {"rows": [1], "duplicates": True}, {"rows": [0]}, {"rows": "1"}]
)
def test_a_drop_has_one_of_its_forms(drop: dict[str, object]) -> None:
    assert refused(drop_rows=drop).field.startswith("options.drop_rows.0")


def test_an_unknown_member_names_those_that_there_are() -> None:
    assert set(refused(drop_rows={"colum": "a"}).choices) == {"column", "values", "rows", "duplicates"}


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    error = refused(period_formats={"week": "weeks"})
    assert error.field == "options.period_formats.week"
    assert set(error.choices) == set(PERIOD_FORMATS)


def test_an_unknown_finding_is_refused_with_the_choices() -> None:
    error = refused(accept=["totals"])
    assert (error.field, error.choices[0]) == ("options.accept", "totals-rows")
    assert set(error.choices) == set(FINDING_CODES)
