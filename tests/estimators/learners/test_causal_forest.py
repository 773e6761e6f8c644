import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, entries, run
from cqox.estimators.learners import honest_forest
from tests.estimators.designs import cross_section, rows
from tests.estimators.learners.stepped import stepped
from tests.validation import Validated, half_width, record

ENTRY = next(entry for entry in entries() if entry.name == "causal_forest")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honest_forest, "TREES", 40)


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ENTRY, Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def test_it_finds_the_average_and_which_covariate_the_effect_depends_on():
    result = answer(stepped())
    assert abs(result.estimate - 2.0) < 4 * result.standard_error
    importance = result.diagnostics["importance"]
    assert max(importance, key=importance.get) == "x0"
    assert sum(importance.values()) == pytest.approx(1.0)
    groups = result.diagnostics["judged_by_scores"]["groups"]
    assert abs(groups[0]["estimate"] - 1.0) < 4 * groups[0]["standard_error"]
    assert abs(groups[-1]["estimate"] - 3.0) < 4 * groups[-1]["standard_error"]
    assert result.diagnostics["judged_by_scores"]["equal_groups"]["p_value"] < 1e-4


def test_the_order_of_the_rows_changes_nothing():
    data = stepped(500)
    order = np.random.default_rng(2).permutation(500)
    left, right = answer(data), answer(rows(data, order))
    assert right.estimate == pytest.approx(left.estimate, rel=1e-12)
    assert right.standard_error == pytest.approx(left.standard_error, rel=1e-12)
    np.testing.assert_allclose(right.influence, left.influence[order], rtol=1e-9, atol=1e-9)


def test_other_units_of_the_outcome_scale_everything():
    data = stepped(500)
    left, right = answer(data), answer(replace(data, y=5 + 1e3 * data.y))
    assert right.estimate == pytest.approx(1e3 * left.estimate, rel=1e-6)
    assert right.standard_error == pytest.approx(1e3 * left.standard_error, rel=1e-6)


def test_clusters_weights_and_missing_values_are_taken():
    data = cross_section(n=900)
    codes = np.random.default_rng(3).integers(0, 150, 900)
    y = data.y.copy()
    y[:50] = np.nan
    result = answer(replace(data, y=y, clusters=(codes,), row_key=codes.astype(np.uint64)))
    assert result.n == 850
    assert result.se_method == "CRV1 (influence function)"
    assert not result.influence[:50].any()


def test_a_known_probability_is_used():
    data = replace(stepped(600), pscore=np.full(600, 0.5))
    assert answer(data).diagnostics["propensity"] == "given"


def test_few_rows_of_an_arm_are_refused_by_number():
    result = run(ENTRY, Plan(rows(stepped(), np.arange(150)), Settings()))
    assert result.status == "skipped"
    assert "needs at least 100 complete rows of each arm" in result.reason


def test_few_clusters_are_refused_by_number():
    data = stepped(500)
    codes = np.arange(500) % 12
    result = run(ENTRY, Plan(replace(data, clusters=(codes,), row_key=codes.astype(np.uint64)), Settings()))
    assert result.status == "skipped"
    assert "there are 12" in result.reason


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cqox.estimators.learners.scikit_learn.find_spec", lambda name: None)
    result = run(ENTRY, Plan(stepped(), Settings()))
    assert (result.status, result.reason) == (
        "skipped", "The estimator needs scikit-learn, which is not installed here: install cqox[forest]."
    )  # fmt: skip


def test_it_runs_only_where_it_is_named():
    assert "causal_forest" not in {entry.name for entry in catalog()}


def test_effects_and_average_are_near_those_of_econml():
    dml = pytest.importorskip("econml.dml", reason="econml is not among the peers installed here")
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    data = stepped(2000)
    plan = Plan(data, Settings())
    folds = plan.folds(0)
    trees = {"max_iter": 100, "max_depth": 3, "learning_rate": 0.1, "early_stopping": False, "random_state": 0}
    peer = dml.CausalForestDML(
        model_y=HistGradientBoostingRegressor(**trees), model_t=HistGradientBoostingClassifier(**trees),
        discrete_treatment=True, n_estimators=200, min_samples_leaf=10, drate=True, random_state=0, n_jobs=1,
        cv=[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)],
    )  # fmt: skip
    peer.fit(data.y, data.treatment.astype(int), X=data.covariates)
    result = answer(data)
    assert result.estimate == pytest.approx(float(peer.ate_[0]), abs=0.3 * result.standard_error)
    assert result.standard_error == pytest.approx(float(peer.ate_stderr_[0]), rel=0.05)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_intervals_of_the_average_cover_and_are_wide_where_few_rows_make_trees_overfit(
    capsys: pytest.CaptureFixture[str],
):
    replications, values, errors = 50, [], []
    for replication in range(replications):
        result = answer(stepped(600, 20_240 + replication, step=1.0))
        values.append(result.estimate)
        errors.append(result.standard_error)
    inside = float(np.mean(np.abs(np.asarray(values) - 1.5) <= 1.96 * np.asarray(errors)))
    bias, sd = float(np.mean(values)) - 1.5, float(np.std(values, ddof=1))
    with capsys.disabled():
        print(f"\ncausal_forest coverage {inside:.3f}  bias {bias:+.4f}  sd {sd:.4f}  se/sd {np.mean(errors) / sd:.3f}")
    found = Validated(
        design="Effects that step with a covariate", estimator="causal_forest, 40 trees", replications=replications,
        rows=600, truth=1.5, bias=bias, sd=sd, se_ratio=float(np.mean(errors) / sd), coverage=inside,
        note="conservative in small samples",
    )  # fmt: skip
    record(found)
    half = half_width(inside, replications)
    assert inside + half >= 0.93
    assert abs(bias) <= 3 * sd / math.sqrt(replications) + 0.02 * sd
    assert np.mean(errors) > 0.93 * sd
