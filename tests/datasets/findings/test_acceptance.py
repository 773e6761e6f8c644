"""Accepted findings, and those that cap the verdict."""

from cqox.contract import DataFinding
from cqox.contract.messages import Message
from cqox.datasets import capping, with_accepted


def finding(code: str, severity: str = "caps") -> DataFinding:
    return DataFinding(code=code, severity=severity, message=Message("findings.rows-dropped", rows=len(code)))


def test_an_accepted_finding_caps_nothing() -> None:
    found, notes = with_accepted([finding("wide-panel"), finding("totals-rows")], ["wide-panel"])
    assert [each.accepted for each in found] == [True, False]
    assert [each.code for each in capping(found)] == ["totals-rows"]
    assert notes == []


def test_a_note_caps_nothing() -> None:
    assert capping([finding("ordered-periods", "note")]) == []


def test_an_accepted_code_that_is_absent_is_noted() -> None:
    _, notes = with_accepted([], ["mixed-dates"])
    assert notes == ["The finding 'mixed-dates' was accepted, but these data do not have it."]
