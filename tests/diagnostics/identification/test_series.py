"""Assumptions of an interrupted series."""

from cqox.diagnostics.identification.series import series_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = series_assumptions(judged("interrupted_series", "interrupted_series"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("no_concurrent_event", "untested"),
        ("stable_trend", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = series_assumptions(
        judged("interrupted_series", "interrupted_series", assumes=["no_concurrent_event", "stable_trend"])
    )
    assert [entry.name for entry in entries if entry.status == "declared"] == ["no_concurrent_event", "stable_trend"]
