"""Covariates that treatment may have changed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import cross_section, panel, with_covariates


def renamed(data, *labels: str):
    return replace(data, names={**data.names, "covariates": labels, "propensity_covariates": labels})


@pytest.mark.parametrize("name", ["score_after", "post_income", "followup_weight", "施策後売上"])
def test_a_name_that_says_after_is_suspected_and_warns(name: str):
    found = judged(renamed(cross_section(300), "age", name, "income", "size"), only=["aipw"])
    assert found.diagnostics["bad_controls"]["suspected"] == [name]
    gate = found.gates["bad_controls"]
    assert gate.status == "warn"
    assert name in gate.reason
    assert found.decision.verdict != "GO"


def test_names_that_say_nothing_pass():
    found = judged(renamed(cross_section(300), "age", "income_before", "income", "size"), only=["aipw"])
    assert found.diagnostics["bad_controls"]["suspected"] == []
    assert found.gates["bad_controls"].status == "pass"


def test_a_covariate_that_moves_when_treatment_starts_is_suspected():
    data = panel(120, staggered=True)
    calm = judged(data, only=["twfe"])
    assert calm.diagnostics["bad_controls"]["by_time"] == []
    second = np.random.default_rng(1).standard_normal(data.n) + 1.5 * data.treatment
    moved = with_covariates(data, np.column_stack([data.covariates[:, 0], second]))
    found = judged(moved, only=["twfe"])
    (reported,) = found.diagnostics["bad_controls"]["by_time"]
    assert reported["covariate"] == "x1"
    assert reported["t"] > 5
    assert found.gates["bad_controls"].status == "warn"


def test_a_calm_covariate_is_seldom_suspected():
    suspected = sum(
        bool(judged(panel(60, seed=seed), only=["twfe"]).diagnostics["bad_controls"]["by_time"]) for seed in range(100)
    )
    assert suspected <= 13


def test_without_covariates_there_is_nothing_to_suspect():
    data = trial(100)
    bare = replace(data, covariates=np.empty((100, 0)), propensity_covariates=np.empty((100, 0)))
    found = judged(bare, only=["difference_in_means"])
    assert found.gates["bad_controls"].status == "not_applicable"
