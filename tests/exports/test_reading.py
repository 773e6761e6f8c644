import pytest

from cqox.contract.messages import Message
from cqox.exports.reading import level_of, main_contrast, other_decisions, outcome_and_treatment, translated
from tests.exports.reports import decision, estimate, made


def test_sentences_are_translated_and_what_another_release_wrote_without_codes_stays():
    report = made(notes=[Message("analysis.no-covariate-taken"), "An old note."])
    found = translated(report, "ja")
    assert found.notes[0] == Message("analysis.no-covariate-taken").in_language("ja")
    assert found.notes[1] == "An old note."
    assert translated(report, "en") is report


def test_the_level_is_that_of_the_request():
    options = made().options
    assert level_of(made(options={**options, "alpha": 0.1})) == pytest.approx(90)
    assert level_of(made(options={})) == pytest.approx(95)


@pytest.mark.parametrize(
    ("mapping", "found"),
    [
        ({"y": "sales", "treatment": "w"}, ("sales", "w")),
        ({"reward": "clicks", "action": "arm"}, ("clicks", "arm")),
        ({"y": "sales", "dose": "hours"}, ("sales", "hours")),
        ({"y": "sales", "running": "score", "cutoff": 50.0}, ("sales", None)),
        ({}, (None, None)),
    ],
)
def test_outcome_and_treatment_are_those_of_the_mapping(mapping, found):
    assert outcome_and_treatment(made(mapping=mapping)) == found


def test_the_decision_is_about_the_contrast_that_is_not_among_the_others():
    estimates = [estimate("aipw", contrast="b vs a"), estimate("aipw", contrast="c vs a")]
    others = {"b vs a": {"decision": decision(verdict="HOLD")}}
    report = made(estimates=estimates, diagnostics={"contrasts": others})
    assert main_contrast(report) == "c vs a"
    assert other_decisions(report)["b vs a"].verdict == "HOLD"
    assert main_contrast(made()) is None
    assert other_decisions(made()) == {}
