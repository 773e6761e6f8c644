import re

import pytest

from cqox.exports.contents import document_of
from tests.exports.reports import STUDIES_OF, WHEN, decision, made, of_study

ORDER = ["effect", "assumptions", "gates", "estimates", "contrasts", "figures", "findings", "notes", "provenance"]


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_the_content_is_in_the_order_of_reading(kind):
    report, specs = of_study(kind)
    document = document_of(report, specs, language="en", created_at=WHEN)
    assert [section.name for section in document.sections] == [
        name for name in ORDER if document.section(name) is not None
    ]
    assert {"effect", "assumptions", "gates", "estimates", "figures", "provenance"} <= {
        section.name for section in document.sections
    }
    assert document.headline == report.decision.headline
    assert document.reasons == tuple(report.decision.reasons)
    assert document.verdict == report.decision.verdict


def test_the_verdicts_of_the_designs_are_not_all_alike():
    assert {of_study(kind)[0].decision.verdict for kind in STUDIES_OF} == {"GO", "HOLD"}


@pytest.mark.parametrize("kind", STUDIES_OF)
def test_a_japanese_document_has_no_english_sentence(kind):
    report, _ = of_study(kind)
    document = document_of(report, {}, language="ja", created_at=WHEN)
    texts = re.findall(r"'((?:[^'\\]|\\.)*)'", repr(document))
    # Names of columns, methods and people stay; three small words in a row are a sentence.
    english = [text for text in texts if re.search(r"(?:\b[a-z]{2,}\b[ ,]+){3,}", text)]
    assert english == []
    assert "[en]" not in repr(document)


@pytest.mark.parametrize(
    ("mapping", "title"),
    [
        ({"y": "sales", "treatment": "w"}, "Effect of w on sales"),
        ({"y": "sales", "time": "t"}, "Effect on sales"),
        ({"reward": "clicks", "action": "a"}, "Value of the target policy in clicks"),
        ({}, "Analysis"),
    ],
)
def test_the_title_is_made_of_the_mapping_unless_one_is_given(mapping, title):
    assert document_of(made(mapping=mapping), {}, language="en").title == title
    assert document_of(made(mapping=mapping), {}, language="en", title="Mine\n<b>").title == "Mine <b>"


def test_a_report_of_an_older_release_has_a_document_of_what_there_is():
    report = made(decision=decision(headline=None, primary=None), options={})
    document = document_of(report, {}, language="ja")
    assert document.headline == ""
    assert document.verdict_line == "判定：GO"
    assert [section.name for section in document.sections] == ["estimates", "provenance"]


def test_remarks_are_paragraphs_and_the_time_is_in_the_subtitle():
    document = document_of(made(), {}, language="en", created_at=WHEN, remarks="One\nline.\n\n\n\nTwo.")
    assert document.remarks == ("One line.", "Two.")
    assert document.subtitle == "Data set d1, computed 2025-04-07 09:30 UTC"
    assert document_of(made(), {}, language="en").subtitle == "Data set d1"
