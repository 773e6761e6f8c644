"""The gate on refutations: only where they were requested, and part of the decision."""

import pytest

from cqox.analysis.refutation import refutation_gate
from cqox.contract import Gate
from cqox.diagnostics.refuters import _too_few
from cqox.estimators import Estimate, Json

STANDS: dict[str, Json] = {"computed": 100, "mean": 1.0, "sd": 0.1, "p_value": 0.9, "stands": True}
PRIMARY = Estimate(
    name="aipw", family="doubly_robust", estimand="ATE", status="ok",
    estimate=1.0, standard_error=0.2, ci_lower=0.6, ci_upper=1.4, n=100,
)  # fmt: skip
UNSURE = Estimate(
    name="aipw", family="doubly_robust", estimand="ATE", status="ok",
    estimate=0.1, standard_error=0.2, ci_lower=-0.3, ci_upper=0.5, n=100,
)  # fmt: skip


def gate(chosen: Estimate | None = PRIMARY, replications: int = 100, **changed: dict[str, Json]) -> Gate:
    names = ("placebo_treatment", "dummy_outcome", "random_common_cause", "data_subset")
    found: dict[str, Json] = {name: {**STANDS, **changed.get(name, {})} for name in names}
    judged = refutation_gate({"refutations": found}, chosen, replications=replications)
    assert judged is not None
    assert judged.rule.endswith(".")
    return judged


def test_there_is_no_gate_where_nothing_was_asked_for() -> None:
    assert refutation_gate({"refutations": {"reason": "Not asked for."}}, PRIMARY, replications=0) is None


def test_an_estimate_that_every_refuter_leaves_standing_passes() -> None:
    found = gate()
    assert (found.status, found.value, found.threshold, found.reason) == ("pass", 0.0, 0.0, None)


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("placebo_treatment", {"sd": 0.6, "p_value": 0.1}, "10% of the effects are at least as large as 1"),
        ("dummy_outcome", {"mean": 0.15}, "the mean effect is 0.15 instead of 0"),
        ("random_common_cause", {"mean": 1.15}, "1.15 instead of 1"),
        ("data_subset", {"mean": 0.85}, "on 80% of the rows, the mean effect is 0.85"),
    ],
)
def test_a_refuter_that_contradicts_by_little_is_a_warning_that_says_what_it_found(
    name: str, changed: dict[str, Json], words: str
) -> None:
    found = gate(**{name: {**changed, "stands": False}})
    assert (found.status, found.value) == ("warn", 1.0)
    assert found.reason is not None
    assert name in found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("placebo_treatment", {"sd": 1.2, "p_value": 0.4}),
        ("dummy_outcome", {"mean": -0.25}),
        ("random_common_cause", {"mean": 1.25}),
        ("data_subset", {"mean": 0.75}),
    ],
)
def test_one_that_contradicts_by_more_than_the_estimates_own_error_fails_it(
    name: str, changed: dict[str, Json]
) -> None:
    assert gate(**{name: {**changed, "stands": False}}).status == "fail"


def test_an_effect_that_claims_nothing_is_not_failed_by_its_placebos() -> None:
    found = gate(UNSURE, placebo_treatment={"sd": 0.2, "p_value": 0.6, "stands": False})
    assert (found.status, found.value) == ("warn", 1.0)


def test_several_warnings_are_counted_and_the_grave_ones_come_first() -> None:
    found = gate(
        placebo_treatment={"sd": 0.6, "p_value": 0.1, "stands": False}, data_subset={"mean": 0.0, "stands": False}
    )
    assert (found.status, found.value) == ("fail", 2.0)
    assert str(found.reason).index("data_subset") < str(found.reason).index("placebo_treatment")


def test_a_refuter_without_a_number_is_a_warning() -> None:
    diagnostics: dict[str, Json] = {"refutations": {"dummy_outcome": {"reason": "No number: singular."}}}
    found = refutation_gate(diagnostics, PRIMARY, replications=50)
    assert found is not None
    assert (found.status, found.value) == ("warn", 1.0)
    assert "dummy_outcome (gave no result: No number: singular)" in str(found.reason)


def test_what_cannot_be_refuted_says_why_it_does_not_apply() -> None:
    of_design: dict[str, Json] = {"refutations": {"reason": "The primary, twfe, depends on its design."}}
    found = refutation_gate(of_design, PRIMARY, replications=50)
    assert found == Gate(status="not_applicable", rule=gate().rule, reason="The primary, twfe, depends on its design.")
    assert gate(None).status == "not_applicable"
    assert "options.refute" in str(gate(replications=1).reason)


def test_one_replication_is_reported_as_too_few_and_not_as_a_failure_of_the_estimator() -> None:
    assert _too_few(1, 1, "").startswith("One replication gives no distribution. Set options.refute")
    assert "one of 40 replications gave an estimate" in _too_few(1, 40, "Too few rows.")
    assert _too_few(0, 40, "Too few rows.") == "The estimator gave no estimate on the modified data: Too few rows."
    assert not _too_few(0, 1, "").endswith(": ")
