"""The status of an entry: a contradiction beats a declaration, and support needs none."""

import pytest

from cqox.contract.messages import of
from cqox.diagnostics.identification.entry import Evidence, assumption
from tests.diagnostics.identification.judging import judged


@pytest.mark.parametrize(
    ("supports", "contradicts", "declared", "status"),
    [
        (False, False, False, "untested"), (False, False, True, "declared"), (True, False, True, "supported"),
        (True, False, False, "supported"), (False, True, True, "contradicted"), (False, True, False, "contradicted"),
    ],
)  # fmt: skip
def test_a_declaration_never_beats_a_contradiction(
    supports: bool, contradicts: bool, declared: bool, status: str
) -> None:
    found = assumption(
        "exclusion", of("It is so."), Evidence(supports=supports, contradicts=contradicts), declared=declared,
        remedy=of("Look."),
    )  # fmt: skip
    assert found.status == status
    assert (found.remedy is None) == (status in {"supported", "declared"})


@pytest.mark.parametrize(("declared", "evidence"), [(False, ["It fits.", "It lacks power."]), (True, ["It fits."])])
def test_only_an_untested_entry_says_what_its_tests_lack(declared: bool, evidence: list[str]) -> None:
    tests = Evidence(sentences=(of("It fits."),), unmet=(of("It lacks power."),))
    found = assumption("exclusion", of("It is so."), tests, declared=declared, remedy=None)
    assert list(found.evidence) == evidence
    nothing = assumption("exclusion", of("It is so."), Evidence(unmet=tests.unmet), declared=False, remedy=None)
    assert nothing.evidence == ()


@pytest.mark.parametrize(("better", "minimum", "seen"), [("higher", 0.25, 0.75), ("lower", 0.25, 1.25)])
def test_what_is_seen_is_the_distance_to_the_minimum_effect(better: str, minimum: float, seen: float) -> None:
    assert judged("aipw", "doubly_robust", better=better, minimum_effect=minimum).seen == seen
