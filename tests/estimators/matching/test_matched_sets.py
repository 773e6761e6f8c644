"""Errors by matched set against regressions of the matched rows by statsmodels, clustered by set."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.matching.searches import arms_of, caliper_of, score_search
from cqox.estimators.matching.with_replacement import matching_weights
from tests.estimators.designs import cross_section, rows

ATT = next(entry for entry in catalog() if entry.name == "psm_att")


def few_treated() -> Data:
    data = rows(cross_section(weights=False), np.arange(300))
    return replace(data, treatment=np.where(np.arange(300) % 3 == 0, data.treatment, 0.0))


def answer(**settings: object) -> tuple[Plan, Estimate]:
    plan = Plan(few_treated(), Settings(match_replacement=False, caliper=0.2, **settings))
    return plan, run(ATT, plan)


@pytest.mark.parametrize("order", ["largest", "smallest", "data", "random"])
@pytest.mark.parametrize("matches", [1, 2])
def test_the_error_is_that_of_a_regression_clustered_by_matched_set(order: str, matches: int):
    plan, result = answer(match_order=order, matches=matches)
    sample = plan.propensity_sample()
    found = score_search(plan, sample).nearest(1, 0, matches, within=caliper_of(plan, sample))
    control, treated = arms_of(plan, sample).rows
    kept = np.flatnonzero(found.counts > 0)
    used = np.concatenate([treated[kept], control[found.target]])
    sets = np.concatenate([kept, found.query])
    weights = np.concatenate([np.ones(len(kept)), 1 / found.counts[found.query]])
    design = sm.add_constant(plan.data.treatment[used])
    fit = sm.WLS(plan.data.y[used], design, weights=weights).fit(cov_type="cluster", cov_kwds={"groups": sets})
    assert result.estimate == pytest.approx(fit.params[1], rel=1e-9)
    assert result.standard_error == pytest.approx(fit.bse[1], rel=1e-9)
    assert result.diagnostics["degrees_of_freedom"] == len(kept) - 1
    assert result.se_method == "Abadie-Spiess 2022"
    assert (len(kept) < len(found.query)) == (matches > 1)


def test_the_weights_of_the_matches_give_the_estimate():
    plan, result = answer(matches=2)
    _, treated, control = matching_weights(plan, "psm", "ATT")
    y = plan.data.y
    assert result.estimate == pytest.approx(np.average(y, weights=treated) - np.average(y, weights=control), rel=1e-9)


def test_another_error_that_is_asked_for_is_said_to_have_no_meaning():
    assert any("HC3" in note and "matched set" in note for note in answer(se="HC3")[1].diagnostics["notes"])
    assert not any("matched set" in note for note in answer(se="CRV1")[1].diagnostics.get("notes", []))
