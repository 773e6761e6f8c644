import json

from cqox.contract.messages import LANGUAGES, Message, collect_messages
from cqox.planning import PowerReport, power


def test_a_report_is_a_document_with_the_codes_of_its_sentences() -> None:
    report = power(effect=0.2, baseline=0.1, relative=True)
    document = report.to_dict()
    assert json.loads(json.dumps(document))["n"] == report.n
    assert document["curve"] == [list(point) for point in report.curve]
    codes = collect_messages(document)
    assert codes["/headline"]["code"] == "power.needed"
    assert codes["/assumptions/0"]["code"] == "power.rate"


def test_a_report_is_a_text_in_each_language() -> None:
    report = power(n=128, sd=1)
    assert str(report) == report.text("en")
    for language in LANGUAGES:
        lines = report.text(language).splitlines()
        assert lines[0] == report.headline.in_language(language)
        assert lines[1] == f"- {report.method.in_language(language)}"
        assert len(lines) == 2 + len(report.assumptions)


def test_a_report_cannot_be_changed_and_keeps_messages() -> None:
    report = power(n=128, sd=1)
    assert isinstance(report, PowerReport)
    assert isinstance(report.headline, Message)
    assert hash(report) == hash(power(n=128, sd=1))
