"""Assumptions of synthetic controls."""

from cqox.diagnostics.identification.donors import donor_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = donor_assumptions(judged("synthetic_control", "synthetic_control"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("donor_match", "untested"),
        ("no_concurrent_event", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = donor_assumptions(
        judged("synthetic_control", "synthetic_control", assumes=["donor_match", "no_concurrent_event"])
    )
    assert [entry.name for entry in entries if entry.status == "declared"] == ["donor_match", "no_concurrent_event"]
