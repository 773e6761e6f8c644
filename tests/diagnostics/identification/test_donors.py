"""Assumptions of a synthetic control."""

import pytest

from cqox.diagnostics.identification.donors import donor_assumptions
from cqox.estimators import Json
from tests.diagnostics.identification.judging import judged
from tests.diagnostics.looking import judged as whole
from tests.estimators.designs import factor_panel

GOOD: dict[str, Json] = {
    "misfit": 0.2, "donors": 20, "placebos": 20, "p_value_in_space": 1 / 21, "p_value_in_time": 0.4,
}  # fmt: skip


def status(table: dict[str, Json] | None, **options: object) -> str:
    diagnostics: dict[str, Json] = {} if table is None else {"donor_fit": {"synthetic_did": table}}
    match, event = donor_assumptions(judged("synthetic_did", "synthetic_control", diagnostics=diagnostics, **options))
    assert (match.name, event.name, event.caps) == ("donor_match", "no_concurrent_event", False)
    assert (match.remedy is None) == (match.status in ("supported", "declared"))
    return match.status


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    assert status(None) == "untested"
    assert status(None, assumes=["donor_match"]) == "declared"


def test_donors_that_fit_with_an_extreme_effect_and_a_quiet_past_support_it() -> None:
    assert status(GOOD) == "supported"


def unmet(table: dict[str, Json]) -> list[str]:
    """The sentences on conditions of support, of which the table meets none of those named."""
    found = donor_assumptions(
        judged("synthetic_did", "synthetic_control", diagnostics={"donor_fit": {"synthetic_did": table}})
    )[0]
    return [str(sentence) for sentence in found.evidence if "'supported' needs" in str(sentence)]


def test_the_condition_that_is_not_met_is_named_with_both_numbers() -> None:
    assert unmet(GOOD) == []
    assert unmet(GOOD | {"donors": 12}) == ["'supported' needs 19 donors or more; there are 12."]
    assert unmet(GOOD | {"p_value_in_space": 2 / 21, "misfit": 0.61}) == [
        "'supported' needs a gap of 0.5 standard deviations or less; it is 0.61.",
        "'supported' needs the smallest possible p in the placebo test in space, 0.0476; it is 0.0952.",
    ]


@pytest.mark.parametrize(
    "changed",
    [{"misfit": 0.6}, {"donors": 18}, {"p_value_in_space": 2 / 21}, {"p_value_in_time": 0.04},
     {"p_value_in_time": None}, {"p_value_in_space": None}],
)  # fmt: skip
def test_each_test_must_pass_to_support_it(changed: dict[str, Json]) -> None:
    assert status(GOOD | changed) == "untested"
    assert len(unmet(GOOD | changed)) == 1
    assert status(GOOD | changed, assumes=["donor_match"]) == "declared"


def test_a_fit_that_fails_contradicts_it_whatever_is_declared() -> None:
    assert status(GOOD | {"misfit": 1.1}, assumes=["donor_match"]) == "contradicted"


def test_the_tests_of_a_report_reach_the_ledger() -> None:
    found = whole(factor_panel(25, treated=1, effect=8.0), only=("synthetic_did", "synthetic_control"))
    assert found.identification is not None
    match = next(entry for entry in found.identification.assumptions if entry.name == "donor_match")
    assert match.status == "supported", match.evidence
    assert [sentence.code.rpartition(".")[2] for sentence in match.evidence] == [
        "donor-fit", "placebo-in-space", "placebo-date",
    ]  # fmt: skip
