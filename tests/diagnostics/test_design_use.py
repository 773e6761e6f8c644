"""A design that is mapped and cannot be used is not replaced by the plain comparison that is left."""

from dataclasses import replace

import numpy as np

from cqox.estimators import Data
from tests.diagnostics.looking import confounded, judged
from tests.estimators.designs import discontinuity, instrumented, panel


def test_a_cutoff_that_no_row_crosses_leaves_nothing_to_decide_on() -> None:
    data = discontinuity(fuzzy=True)
    used = judged(data)
    assert used.gates["design"].status == "pass"
    assert used.primary.name == "rd_fuzzy"
    typo = judged(replace(data, cutoff=50.0))
    assert typo.primary.name == "lin_interacted"
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


def repeated(data: Data) -> Data:
    """The data with some rows of the panel twice."""
    return data.rows(np.concatenate([np.arange(data.n), np.arange(5)]))


def test_units_over_time_whose_rows_repeat_are_no_experiment() -> None:
    data = panel(60, 6, 0, staggered=True)
    assert judged(data).gates["design"].status == "pass"
    seen = judged(repeated(data))
    assert seen.primary.name not in ("did_callaway_santanna", "twfe")
    assert seen.gates["design"].status == "fail"
    assert "'unit_id' and 'time'" in seen.gates["design"].reason
    assert "several rows in one period" in seen.gates["design"].reason
    assert seen.decision.verdict == "HOLD"


def test_a_cohort_that_nothing_was_computed_by_fails_though_no_estimator_must_have_it() -> None:
    data = panel(60, 6, 0, staggered=True)
    starts = np.full(60, np.nan)
    for unit in range(60):
        treated = data.time[(data.unit == unit) & (data.treatment > 0)]
        starts[unit] = treated.min() if len(treated) else np.nan
    data = replace(data, cohort=starts[data.unit], names={**data.names, "cohort": ("first",)})
    assert judged(data).gates["design"].status == "pass"
    seen = judged(repeated(data))
    assert seen.diagnostics["design"]["unused"] == ["cohort", "unit_id", "time"]
    assert seen.diagnostics["design"]["unused_reason"].startswith("did_callaway_santanna was not computed.")
    assert seen.gates["design"].status == "fail"


def test_a_treatment_that_stays_the_same_within_units_is_no_design_over_time() -> None:
    data = panel(60, 6, 0)
    ever = np.isin(data.unit, np.unique(data.unit[data.treatment > 0])).astype(float)
    assert judged(replace(data, treatment=ever)).gates["design"].status == "not_applicable"
