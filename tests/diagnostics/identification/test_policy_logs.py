"""Assumptions of the log of a policy."""

from cqox.diagnostics.identification.policy_logs import policy_log_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = policy_log_assumptions(judged("ope_dr", "off_policy"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("logged_propensities", "untested"),
        ("no_unlogged_context", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = policy_log_assumptions(
        judged("ope_dr", "off_policy", assumes=["logged_propensities", "no_unlogged_context"])
    )
    assert [entry.name for entry in entries if entry.status == "declared"] == [
        "logged_propensities",
        "no_unlogged_context",
    ]


def status(p_value: float, error: float, **options: object) -> str:
    table = {"logged_propensities": {"p_value": p_value, "tests": 3, "mean_weight_standard_error": error}}
    return policy_log_assumptions(judged("ope_dr", "off_policy", diagnostics=table, **options))[0].status


def test_weights_support_the_probabilities_where_a_departure_would_have_been_seen() -> None:
    assert status(0.3, 0.02) == "supported"
    assert status(0.3, 0.2) == "untested"
    assert status(0.01, 0.02) == "untested"
    assert status(0.0001, 0.02, assumes=["logged_propensities"]) == "contradicted"
