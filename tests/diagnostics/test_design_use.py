"""A design that is mapped and cannot be used is not replaced by the plain comparison that is left."""

from dataclasses import replace

from tests.diagnostics.looking import confounded, judged
from tests.estimators.designs import discontinuity, instrumented


def test_a_cutoff_that_no_row_crosses_leaves_nothing_to_decide_on() -> None:
    data = discontinuity(fuzzy=True)
    used = judged(data)
    assert used.gates["design"].status == "pass"
    assert used.primary.name == "rd_fuzzy"
    typo = judged(replace(data, cutoff=50.0))
    assert typo.primary.name == "aipw"
    assert typo.gates["design"].status == "fail"
    assert "'running' and 'cutoff'" in typo.gates["design"].reason
    assert "at or above" in typo.gates["design"].reason
    assert typo.decision.verdict == "HOLD"


def test_only_estimators_that_were_asked_count() -> None:
    seen = judged(replace(discontinuity(fuzzy=True), cutoff=50.0), only=["aipw"])
    assert seen.gates["design"].status == "pass"
    assert seen.diagnostics["design"] == {"roles": ["running", "cutoff"], "unused": []}


def test_an_instrument_is_a_design_and_covariates_are_none() -> None:
    assert judged(instrumented(400)).gates["design"].status == "pass"
    assert judged(confounded()).gates["design"].status == "not_applicable"
