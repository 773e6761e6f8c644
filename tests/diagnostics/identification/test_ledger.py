"""The ledger of a primary estimate, and how it caps the verdict."""

from dataclasses import replace

import pytest

from cqox.diagnostics import identify
from cqox.estimators import Plan
from tests.diagnostics.identification.judging import judged
from tests.diagnostics.looking import judged as judge
from tests.diagnostics.looking import trial


def names(name: str, family: str, **options: object) -> list[str]:
    given = judged(name, family, **options)
    found = identify(given.plan, given.chosen, given.estimates, given.diagnostics, given.options)
    assert found is not None
    return [entry.name for entry in found.assumptions]


def test_each_design_has_its_own_list() -> None:
    common = ["no_interference", "complete_outcomes", "independent_units"]
    assert names("aipw", "doubly_robust") == ["unconfounded", *common]
    assert names("aipw", "doubly_robust", assignment="randomized") == ["randomized", *common]
    assert names("rd_local_linear", "discontinuity") == ["no_manipulation", "continuity", *common]
    assert names("interrupted_series", "interrupted_series") == [
        "no_concurrent_event", "stable_trend", "no_interference"
    ]  # fmt: skip
    assert names("exposure_total", "interference") == [
        "unconfounded", "exposure_mapping", "complete_outcomes", "independent_units"
    ]  # fmt: skip


def test_without_a_number_there_is_no_ledger() -> None:
    given = judged("aipw", "doubly_robust")
    assert identify(given.plan, None, given.estimates, given.diagnostics, given.options) is None


@pytest.mark.parametrize(("assignment", "verdict"), [("unknown", "CANARY"), ("randomized", "GO")])
def test_an_undeclared_comparison_is_at_most_canary(assignment: str, verdict: str) -> None:
    assert judge(trial(), assignment=assignment).decision.verdict == verdict


def test_an_association_of_an_amount_speaks_of_no_arms() -> None:
    given = judged("ols_adjustment", "regression")
    plan = Plan(replace(given.plan.data, treatment_kind="continuous"), given.plan.settings)
    found = identify(plan, given.chosen, given.estimates, given.diagnostics, given.options)
    assert found is not None
    assert "arms" not in str(found.statement)
