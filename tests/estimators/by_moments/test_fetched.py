from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.estimators import Estimate
from cqox.estimators.by_moments import fetched
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.fetched import fetched_plan
from cqox.estimators.by_moments.rounds import run_rounds
from tests.estimators.by_moments.tables_of import around_cutoff, replaced, tables


def test_a_plan_of_all_rows_has_the_columns_that_were_asked_for_and_no_others() -> None:
    data = around_cutoff(fuzzy=True, weights=True, clusters=60)
    made = tables(data)
    plan = fetched_plan(made, "y", "treatment")
    assert fetched_plan(made, "y", "treatment") is plan
    known = np.flatnonzero(~np.isnan(data.running))
    order = known[np.argsort(data.running[known])]
    assert plan.data.n == len(order) < data.n
    for name in ("running", "y", "treatment", "weights"):
        np.testing.assert_array_equal(getattr(plan.data, name), getattr(data, name)[order])
    np.testing.assert_array_equal(plan.data.clusters[0], data.clusters[0][order])
    assert not plan.has("covariates")
    assert plan.data.cutoff == data.cutoff
    assert plan.label("running") == made.pilot.label("running")


def test_columns_of_many_rows_are_left_to_the_sample_and_the_density_has_the_fewest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = around_cutoff(missing=False)
    monkeypatch.setattr(fetched, "MOST_NUMBERS", 2 * data.n)
    made = tables(data)
    found = run_rounds(made, {name: partial(BY_MOMENTS[name], made) for name in ("rd_local_linear", "rd_density_test")})
    refused = found["rd_local_linear"]
    assert isinstance(refused, NotByMoments)
    assert str(refused.why) == "4,000 rows of 4 columns are more than the 8,000 numbers that are fetched"
    assert isinstance(found["rd_density_test"], Estimate)


def test_periods_of_too_many_words_are_left_to_the_sample() -> None:
    data = around_cutoff()
    time = np.arange(data.n) % 4
    data = replaced(data, time=time, time_values=np.arange(4.0), names={**data.names, "time": ("m",)})
    made = tables(data)
    made.encoded = replace(made.encoded, time=None)
    found = run_rounds(made, {name: partial(BY_MOMENTS[name], made) for name in ("rd_local_linear", "rd_density_test")})
    assert isinstance(found["rd_local_linear"], NotByMoments)
    assert found["rd_local_linear"].why.code == "by_moments.many-periods"
    assert isinstance(found["rd_density_test"], Estimate)
