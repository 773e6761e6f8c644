from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings, catalog, entries, run
from cqox.estimators.learners.boosted_trees import boosted_interactive_rule, boosted_partially_linear_rule
from tests.estimators.designs import EFFECT, cross_section, rows

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
BOOSTED = {entry.name: entry for entry in entries() if entry.name.endswith("_boosted")}
TREES = {"max_iter": 100, "max_depth": 3, "learning_rate": 0.1, "early_stopping": False, "random_state": 0}


@pytest.mark.parametrize(
    ("name", "kind"), [("dml_plr_boosted", "plr"), ("dml_irm_ate_boosted", "ATE"), ("dml_irm_att_boosted", "ATTE")]
)
def test_boosted_nuisances_equal_doubleml_with_the_same_trees_on_the_same_folds(name: str, kind: str):
    import doubleml as dml
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    data = cross_section(n=600, weights=False)
    plan = Plan(data, Settings(seed=7))
    folds = plan.folds(0)
    table = dml.DoubleMLData.from_arrays(data.covariates, data.y, data.treatment)
    trees, classes = HistGradientBoostingRegressor(**TREES), HistGradientBoostingClassifier(**TREES)
    if kind == "plr":
        model = dml.DoubleMLPLR(table, trees, classes, n_folds=5)
    else:
        model = dml.DoubleMLIRM(table, trees, classes, n_folds=5, score=kind)
    model.set_sample_splitting([[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]])
    with threadpool_limits(1):
        model.fit()
    result = run(BOOSTED[name], plan)
    assert result.estimate == pytest.approx(float(model.coef[0]), rel=1e-6)
    assert result.standard_error == pytest.approx(float(model.se[0]), rel=1e-6)


@pytest.mark.parametrize("name", list(BOOSTED))
def test_the_order_of_the_rows_moves_no_split_of_a_tree(name: str):
    data = cross_section(n=300)
    order = np.random.default_rng(2).permutation(300)
    left, right = (run(BOOSTED[name], Plan(each, Settings())) for each in (data, rows(data, order)))
    assert right.estimate == pytest.approx(left.estimate, rel=1e-12)
    assert right.standard_error == pytest.approx(left.standard_error, rel=1e-12)
    np.testing.assert_allclose(right.influence, left.influence[order], rtol=1e-9, atol=1e-9)


def test_boosted_trees_find_an_effect_that_a_line_and_a_logit_miss():
    rng = np.random.default_rng(4)
    n = 4000
    x = rng.standard_normal((n, 2))
    bend = (np.abs(x[:, 0]) < 0.7).astype(float)
    t = (rng.random(n) < 0.2 + 0.6 * bend).astype(float)
    y = EFFECT * t + 3 * bend + rng.standard_normal(n)
    data = replace(cross_section(n=n, p=2, weights=False), y=y, treatment=t, covariates=x, propensity_covariates=x)
    linear, trees = (
        run(ENTRIES["dml_irm_ate"], Plan(data, Settings())),
        run(BOOSTED["dml_irm_ate_boosted"], Plan(data, Settings())),
    )
    assert abs(linear.estimate - EFFECT) > 10 * linear.standard_error
    assert abs(trees.estimate - EFFECT) < 4 * trees.standard_error


def test_without_scikit_learn_boosted_estimators_say_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cqox.estimators.learners.scikit_learn.find_spec", lambda name: None)
    for entry in BOOSTED.values():
        result = run(entry, Plan(cross_section(n=100), Settings()))
        assert result.status == "skipped"
        assert result.reason.endswith("install cqox[boost].")


def test_boosted_estimators_run_only_where_they_are_named():
    assert not set(BOOSTED) & set(ENTRIES)
    assert set(BOOSTED) == {"dml_plr_boosted", "dml_irm_ate_boosted", "dml_irm_att_boosted"}


@pytest.mark.parametrize("name", list(BOOSTED))
def test_trees_refuse_folds_with_too_few_rows_of_an_arm(name: str):
    data = cross_section(n=120, weights=False)
    treatment = np.zeros(120)
    treatment[:15] = 1.0
    result = run(BOOSTED[name], Plan(replace(data, treatment=treatment), Settings()))
    assert result.status == "skipped"
    assert "treated rows; boosted trees need at least 20" in result.reason


def test_rules_refuse_one_arm_fixed_effects_and_probabilities_outside():
    data = cross_section(n=200)
    assert boosted_partially_linear_rule(Plan(data, Settings())) is None
    assert boosted_interactive_rule(Plan(data, Settings())) is None
    refused = {
        "inference.arm-too-small": replace(data, treatment=np.zeros(200)),
        "inference.effects-not-absorbed": replace(data, fixed_effects=(np.arange(200) % 4,)),
    }
    for code, each in refused.items():
        assert boosted_partially_linear_rule(Plan(each, Settings())).code == code
        assert boosted_interactive_rule(Plan(each, Settings())).code == code
    outside = Plan(replace(data, pscore=np.where(np.arange(200) == 3, 1.0, 0.5)), Settings())
    assert boosted_interactive_rule(outside).code == "nuisance.given-outside"


def test_an_amount_of_treatment_needs_only_an_outcome_that_varies():
    data = cross_section(n=200, continuous=True)
    assert boosted_partially_linear_rule(Plan(data, Settings())) is None
    flat = boosted_partially_linear_rule(Plan(replace(data, y=np.ones(200)), Settings()))
    assert flat.code == "inference.constant-outcome"
