"""Every verdict, gate, assumption, status and data finding that a report may name is defined, in both languages."""

from typing import get_args

from cqox.contract import FINDING_CODES, Assumption, Decision
from cqox.contract.messages import Message, of
from cqox.diagnostics import definitions, gates
from cqox.diagnostics.donor_fit import MISFIT_FAILS
from cqox.diagnostics.identification import cutoffs
from cqox.diagnostics.identification.designs import DESIGNS
from cqox.diagnostics.identification.donors import FEWEST_DONORS
from cqox.diagnostics.primary import Primary


def names(kind: str) -> list[str]:
    return [each.name for each in definitions() if each.kind == kind]


def test_everything_that_a_report_names_is_defined() -> None:
    assert names("verdict") == list(get_args(Decision.model_fields["verdict"].annotation))
    assert names("status") == list(get_args(Assumption.model_fields["status"].annotation))
    assert names("gate") == [*gates({}, [], Primary(name=None, rule=Message("verdict.nothing-applies"))), "refutation"]
    assert sorted(names("finding")) == sorted(FINDING_CODES)
    declarable = {name for design in DESIGNS.values() for name in design.declarable}
    assert {each.name for each in definitions() if each.kind == "assumption" and each.designs} == declarable
    assert set(names("assumption")) - declarable == {"randomized", "unconfounded", "relevance", "proxy_relevance"}


def test_every_assumption_has_the_thresholds_of_the_code() -> None:
    rules = {each.name: str(each.rule) for each in definitions() if each.kind == "assumption"}
    assert all(rule != "None" for rule in rules.values())
    assert f"{FEWEST_DONORS} donors or more" in rules["donor_match"]
    assert f"a gap above {MISFIT_FAILS:g}" in rules["donor_match"]
    assert f"p below {cutoffs.CONTRADICTS:g}" in rules["continuity"]
    assert all(each.rule is None for each in definitions() if each.kind != "assumption")


def test_every_definition_is_a_sentence_in_both_languages() -> None:
    for each in definitions():
        assert isinstance(each.meaning, Message)
        assert "[en]" not in each.meaning.in_language("ja"), each.name
        assert each.rule is None or "[en]" not in of(each.rule).in_language("ja"), each.name
