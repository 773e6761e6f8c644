"""Assumptions of effects under interference."""

from cqox.diagnostics.identification.exposures import exposure_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = exposure_assumptions(judged("exposure_total", "interference"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("unconfounded", "untested"),
        ("exposure_mapping", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = exposure_assumptions(judged("exposure_total", "interference", assumes=["exposure_mapping"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["exposure_mapping"]


def test_a_finer_exposure_supports_or_contradicts_the_mapping() -> None:
    found = [
        exposure_assumptions(judged("exposure_total", "interference", diagnostics={"finer_exposure": {"p_value": p}}))
        for p in (0.5, 0.03, 0.001)
    ]
    assert [entries[1].status for entries in found] == ["supported", "untested", "contradicted"]
