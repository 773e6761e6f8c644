"""Assumptions of a cutoff."""

from cqox.diagnostics.identification.cutoffs import cutoff_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = cutoff_assumptions(judged("rd_fuzzy", "discontinuity"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("no_manipulation", "untested"),
        ("continuity", "untested"),
        ("relevance", "untested"),
        ("exclusion", "untested"),
        ("monotonicity", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = cutoff_assumptions(
        judged("rd_fuzzy", "discontinuity", assumes=["no_manipulation", "continuity", "exclusion", "monotonicity"])
    )
    assert [entry.name for entry in entries if entry.status == "declared"] == [
        "no_manipulation",
        "continuity",
        "exclusion",
        "monotonicity",
    ]
