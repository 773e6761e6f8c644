"""Reasons of skipped and failed estimators as sentences in both languages."""

import pytest

from cqox.contract.messages import LANGUAGES, Message, codes, template
from cqox.dashboards import Span
from cqox.dashboards.analyses.reasons import reason_bars, sentence, with_reasons
from cqox.dashboards.analyses.shapes import table
from cqox.dashboards.views import ViewRows

SPAN = Span(start=100, end=130, step=10)
HEADS = (Message("studies.column-estimator"), Message("studies.column-reason"), Message("studies.column-number"))


def test_a_missing_role_is_named_as_in_the_report() -> None:
    found = sentence("estimators.missing-role", "instrument")
    assert found == Message("estimators.missing-role", role="instrument")
    assert isinstance(found, Message)
    assert "'instrument'" in found.in_language("ja")
    assert not found.in_language("ja").startswith("[en]")


def test_words_that_facts_do_not_have_are_an_ellipsis() -> None:
    assert sentence("estimators.needs-two-levels", None) == ("The estimator needs a treatment of two levels; '…' is ….")
    assert (
        sentence("estimators.missing-roles", None)
        == "The estimator needs the roles …, which the mapping does not name."
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_a_catalog_can_be_made(language: str) -> None:
    for code in codes("en"):
        found = sentence(code, None)
        assert isinstance(found, Message), code
        assert template(language, code) is None or not found.in_language(language).startswith("[en]"), code  # type: ignore[arg-type]


def test_a_code_of_another_version_is_shown_as_it_is() -> None:
    assert sentence("estimators.of-another-version", "time") == "estimators.of-another-version"
    assert sentence(None, None) is None


def test_reasons_with_the_same_sentence_are_one_bar() -> None:
    rows = [("rd.weak-jump", None, 2.0), ("estimators.missing-role", "time", 3.0), ("rd.weak-jump", "time", 4.0)]
    found = reason_bars([ViewRows(rows=rows)], SPAN)
    assert found is not None
    assert [(type(line.name), line.points) for line in found.lines] == [
        (Message, [(130, 6.0)]),
        (Message, [(130, 3.0)]),
    ]
    assert reason_bars([ViewRows(rows=[])], SPAN) is None


def test_a_table_has_the_sentence_in_the_place_of_code_and_role() -> None:
    shape = with_reasons(table(*HEADS, timed=False, reported=False), 1)
    found = shape([ViewRows(rows=[("iv_2sls", "estimators.missing-role", "instrument", 4.0)])], SPAN)
    assert found is not None
    assert found.rows == [["iv_2sls", Message("estimators.missing-role", role="instrument"), 4.0]]
