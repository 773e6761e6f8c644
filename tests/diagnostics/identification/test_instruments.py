"""Assumptions of instruments."""

from cqox.diagnostics.identification.instruments import instrument_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = instrument_assumptions(judged("iv_2sls", "instruments"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("unconfounded", "untested"),
        ("relevance", "untested"),
        ("exclusion", "untested"),
        ("monotonicity", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = instrument_assumptions(judged("iv_2sls", "instruments", assumes=["exclusion", "monotonicity"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["exclusion", "monotonicity"]
