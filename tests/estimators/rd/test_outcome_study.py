import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.rd.outcome_study import fuzzy_study, outcome_sample, sharp_study
from tests.estimators.designs import discontinuity


def test_the_study_of_the_outcome_is_made_once_and_adjusts_for_its_covariates() -> None:
    plan = Plan(discontinuity(), Settings())
    found = sharp_study(plan)
    assert sharp_study(plan) is found
    assert (found.covariates, len(found.values)) == (2, 3)
    assert found.sample.n == outcome_sample(plan).n


def test_a_fuzzy_study_holds_the_treatment_as_its_second_value() -> None:
    data = discontinuity(fuzzy=True)
    found = fuzzy_study(Plan(data, Settings()))
    assert found.values[1].tolist() == data.treatment.tolist()


@pytest.mark.parametrize("fuzzy", [False, True])
def test_requested_bandwidths_are_in_units_of_the_score(fuzzy: bool) -> None:
    data, of = discontinuity(fuzzy=fuzzy), fuzzy_study if fuzzy else sharp_study
    given = of(Plan(data, Settings(rd_bandwidth=0.4, rd_bias_bandwidth=0.6)))
    unit = given.score.unit
    assert (given.bandwidths.h * unit, given.bandwidths.b * unit) == pytest.approx((0.4, 0.6))
    both = of(Plan(data, Settings(rd_bandwidth=0.4)))
    assert both.bandwidths.b == both.bandwidths.h
    every = of(Plan(data, Settings(rd_bandwidth="all", rd_order=2)))
    assert sum(every.jump.within_h) == data.n
    assert every.sides[0].kernel == "uniform"
    assert every.order == 2
    assert np.ptp(every.sides[0].window(every.bandwidths.h).weights) == 0


@pytest.mark.parametrize("fuzzy", [False, True])
def test_the_order_of_rows_moves_neither_the_lines_nor_the_bandwidths(fuzzy: bool) -> None:
    data, of = discontinuity(3_000, fuzzy=fuzzy), fuzzy_study if fuzzy else sharp_study
    found, sorted_ = (of(Plan(each, Settings())) for each in (data, data.rows(np.argsort(data.running))))
    np.testing.assert_allclose(sorted_.jump.intercepts, found.jump.intercepts, rtol=1e-10)
    assert sorted_.bandwidths.h == pytest.approx(found.bandwidths.h, rel=1e-12)
    assert sorted_.jump.plain == pytest.approx(found.jump.plain, rel=1e-12)
