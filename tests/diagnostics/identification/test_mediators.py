"""Assumptions of mediated effects."""

from cqox.diagnostics.identification.mediators import mediation_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = mediation_assumptions(judged("mediation_acme", "mediation"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("unconfounded", "untested"),
        ("sequential_ignorability", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = mediation_assumptions(judged("mediation_acme", "mediation", assumes=["sequential_ignorability"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["sequential_ignorability"]


def test_the_correlation_that_would_undo_the_effect_is_named() -> None:
    entries = mediation_assumptions(
        judged("mediation_acme", "mediation", of_estimate={"sensitivity": {"rho_at_zero": 0.42}})
    )
    assert entries[1].evidence[0].params["rho"] == 0.42
    assert entries[1].status == "untested"
