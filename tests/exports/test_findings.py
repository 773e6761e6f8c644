from cqox.contract.messages import Message
from cqox.exports.findings import findings, notes
from cqox.exports.reading import translated
from tests.exports.reports import ENGLISH, JAPANESE, estimate, made

TOTALS = {
    "code": "totals-rows",
    "severity": "caps",
    "message": "Two rows are totals.",
    "remedy": {"at": "analyze", "parameters": {"drop_rows": [{"column": "店舗", "values": ["合計"]}]}},
}


def entry(**changes: object):
    (entries,) = findings(made(findings=[{**TOTALS, **changes}]), ENGLISH).blocks
    return entries.entries[0]


def test_a_finding_says_what_to_send_against_it():
    found = entry()
    assert (found.name, found.text, found.badge, found.tone) == (
        "totals-rows", "Two rows are totals.", "caps the verdict", "caution",
    )  # fmt: skip
    assert found.action == 'What to do: send options {"drop_rows": [{"column": "店舗", "values": ["合計"]}]}'
    upload = entry(remedy={"at": "upload", "parameters": {"header_rows": 2}})
    assert upload.action == 'What to do: upload the file once more with {"header_rows": 2}'
    assert entry(remedy=None).action is None


def test_accepted_findings_and_notes_are_plain():
    assert (entry(accepted=True).badge, entry(accepted=True).tone) == ("accepted", "plain")
    assert (entry(severity="note").badge, entry(severity="note").tone) == ("note", "plain")
    assert findings(made(), ENGLISH).blocks == ()


def test_errors_warnings_and_notes_are_counted_and_those_that_there_are_shown():
    found = notes(made(errors=["e"], warnings=["w", "v"]), ENGLISH)
    assert [(block.summary, block.lines) for block in found.blocks] == [
        ("Errors (1)", ("e",)), ("Warnings (2)", ("w", "v")),
    ]  # fmt: skip
    assert notes(made(notes=["n"]), JAPANESE).blocks[0].summary == "注記（1件）"
    assert notes(made(), ENGLISH).blocks == ()


def test_a_warning_that_several_estimators_share_is_written_once():
    estimates = [estimate("aipw"), estimate("ipw_ate")]
    messages = [
        Message("analysis.of-estimator", estimator=name, text=text)
        for name, text in (("aipw", "Thin."), ("ipw_ate", "Thin."), ("aipw", "Other: more."))
    ]
    report = made(estimates=estimates, warnings=[*messages, "Not finite: a, b.", "Thin: no estimator."])
    (folded,) = notes(report, ENGLISH).blocks
    assert folded.summary == "Warnings (5)"
    assert folded.lines == (
        "aipw, ipw_ate: Thin.", "aipw: Other: more.", "Not finite: a, b.", "Thin: no estimator.",
    )  # fmt: skip
    (folded,) = notes(translated(report, "ja"), JAPANESE).blocks
    assert folded.lines[0] == "aipw、ipw_ate：Thin."
