"""Designs by the primary estimator, and what may be declared of each."""

import pytest

from cqox.contract import Options
from cqox.diagnostics import check_assumes
from cqox.diagnostics.identification.designs import design_of
from cqox.errors import InvalidRequest
from cqox.estimators import entries
from tests.diagnostics.identification.judging import judged

PLAN = judged("aipw", "doubly_robust").plan


def test_every_estimator_of_an_effect_has_a_design() -> None:
    for entry in entries():
        if entry.name != "rd_density_test":
            assert design_of(entry.name, entry.family, PLAN).declarable


def test_an_assumption_that_the_design_lacks_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_assumes("iv_2sls", PLAN, Options(assumes=["parallel_trends"]))
    assert refused.value.field == "options.assumes"
    assert refused.value.choices[:2] == ("exclusion", "monotonicity")
    check_assumes("iv_2sls", PLAN, Options(assumes=["exclusion"]))


def test_the_assignment_of_a_cutoff_cannot_be_declared() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_assumes("rd_local_linear", PLAN, Options(assignment="randomized"))
    assert refused.value.field == "options.assignment"
