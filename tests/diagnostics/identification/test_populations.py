"""Assumptions of a transported effect."""

from cqox.diagnostics.identification.populations import transport_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = transport_assumptions(judged("transport_dr", "transport"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("unconfounded", "untested"),
        ("transportable", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = transport_assumptions(judged("transport_dr", "transport", assumes=["transportable"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["transportable"]
