"""Assumptions of comparisons over time."""

from cqox.diagnostics.identification.trends import trend_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = trend_assumptions(judged("did_2x2_block", "did"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("parallel_trends", "untested"),
        ("no_anticipation", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = trend_assumptions(judged("did_2x2_block", "did", assumes=["parallel_trends", "no_anticipation"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["parallel_trends", "no_anticipation"]
