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


def statuses(of_estimate: dict, diagnostics: dict | None = None, **options: object) -> dict[str, str]:
    found = judged("iv_2sls", "instruments", of_estimate=of_estimate, diagnostics=diagnostics, **options)
    return {entry.name: entry.status for entry in instrument_assumptions(found)}


def test_a_strong_first_stage_supports_relevance_and_an_unbounded_set_contradicts_it() -> None:
    bounded = {"anderson_rubin_robust": {"intervals": [[0.5, 1.5]]}}
    assert statuses({"effective_f": 30.0, **bounded})["relevance"] == "supported"
    assert statuses({"effective_f": 8.0, **bounded})["relevance"] == "untested"
    assert statuses({"effective_f": 3.0, "anderson_rubin_robust": {"intervals": [[None, None]]}})["relevance"] == (
        "contradicted"
    )


def test_surplus_instruments_that_disagree_contradict_a_declared_exclusion() -> None:
    assert statuses({"hansen_j": {"p_value": 0.002}}, assumes=["exclusion"])["exclusion"] == "contradicted"
    assert statuses({"hansen_j": {"p_value": 0.04}}, assumes=["exclusion"])["exclusion"] == "declared"
    assert statuses({"hansen_j": {"p_value": 0.4}})["exclusion"] == "untested"


def test_an_opposite_first_stage_contradicts_monotonicity() -> None:
    strata = {"first_stages": {"p_value": 0.001, "strata": [{}, {}]}}
    assert statuses({}, strata, assumes=["monotonicity"])["monotonicity"] == "contradicted"
    assert statuses({}, {"first_stages": {"p_value": 0.4, "strata": [{}]}})["monotonicity"] == "untested"
