"""Assumptions of proximal estimates."""

from cqox.diagnostics.identification.proxies import proxy_assumptions
from tests.diagnostics.identification.judging import judged


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    entries = proxy_assumptions(judged("proximal_2sls", "proximal"))
    assert [(entry.name, entry.status) for entry in entries] == [
        ("proxy_relevance", "untested"),
        ("proxy_exclusion", "untested"),
    ]
    assert all(entry.remedy for entry in entries)


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    entries = proxy_assumptions(judged("proximal_2sls", "proximal", assumes=["proxy_exclusion"]))
    assert [entry.name for entry in entries if entry.status == "declared"] == ["proxy_exclusion"]


def test_a_strong_first_stage_supports_relevance_and_surplus_proxies_may_contradict_exclusion() -> None:
    strong = proxy_assumptions(judged("proximal_2sls", "proximal", of_estimate={"effective_f": 20.0}))
    assert strong[0].status == "supported"
    several = proxy_assumptions(
        judged("proximal_2sls", "proximal", of_estimate={"effective_f": None, "first_stage_f": 5.0})
    )
    assert several[0].status == "untested"
    disagree = proxy_assumptions(judged("proximal_2sls", "proximal", of_estimate={"hansen_j_p_value": 0.001}))
    assert disagree[1].status == "contradicted"
