from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.learners.effect_models import (
    Trainings,
    by_arms,
    by_imputation,
    predict,
    trainings,
)
from cqox.estimators.nuisance.orthogonal_scores import effect_scores
from tests.estimators.designs import EFFECT, cross_section, rows, with_covariates

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
LEARNERS = ("t_learner", "x_learner", "dr_learner")


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def linear(x: np.ndarray, y: np.ndarray):
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(x, y)


def known(n: int = 1500, **changes: object) -> Data:
    """Data with a known probability of treatment."""
    data = cross_section(n=n, weights=False)
    e = np.random.default_rng(3).uniform(0.3, 0.7, n)
    return replace(data, pscore=e, **changes)


def test_the_estimate_is_the_mean_of_the_effects_without_the_rows_fold():
    data = known()
    plan = Plan(data, Settings(seed=7))
    frame = plan.frame("xty", plan.doubly_robust_sample())
    blocks, counts = plan.blocks(frame)
    folds, k, y = plan.folds(0), frame.at["x"].stop, frame.column("y")
    t = predict(frame, by_arms(blocks, k, y, trainings(counts, k)), folds)
    x = predict(frame, by_imputation(blocks, k, y, trainings(counts, k)), folds, data.pscore)
    assert answer("t_learner", data, seed=7).estimate == pytest.approx(t.without.mean() * frame.scale[y])
    assert answer("x_learner", data, seed=7).estimate == pytest.approx(x.without.mean() * frame.scale[y])


def test_the_single_model_gives_all_the_coefficient_of_treatment():
    data = cross_section(weights=False)
    folds = Plan(data, Settings()).folds(0)
    slopes = [
        linear(np.column_stack([data.covariates, data.treatment])[folds != fold], data.y[folds != fold]).coef_[-1]
        for fold in range(5)
    ]
    result = answer("s_learner", data)
    assert result.estimate == pytest.approx(np.average(slopes, weights=np.bincount(folds)), rel=1e-9)
    ols = answer("ols_adjustment", data, se="HC0")
    assert result.standard_error == pytest.approx(ols.standard_error, rel=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_average_of_the_arms_difference_has_the_error_of_g_computation(weighted: bool):
    data = cross_section(n=2000, weights=weighted)
    left, right = answer("t_learner", data), answer("g_computation_ate", data)
    assert left.estimate == pytest.approx(right.estimate, abs=0.05 * right.standard_error)
    assert left.standard_error == pytest.approx(right.standard_error, rel=5e-3)
    assert answer("x_learner", data).standard_error == pytest.approx(left.standard_error, rel=2e-3)


def test_the_average_of_the_scores_is_double_machine_learnings():
    data = cross_section()
    left, right = answer("dr_learner", data), answer("dml_irm_ate", data)
    assert left.estimate == pytest.approx(right.estimate, rel=1e-12)
    assert left.standard_error == pytest.approx(right.standard_error, rel=1e-12)


def peer(data: Data, folds: np.ndarray):
    import doubleml as dml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    standard = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    table = dml.DoubleMLData.from_arrays(standard, data.y, data.treatment)
    logit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    model = dml.DoubleMLIRM(table, LinearRegression(), logit, n_folds=5)
    model.set_sample_splitting([[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]])
    return model.fit()


def test_the_best_linear_predictor_equals_doublemls_on_the_same_folds():
    import pandas as pd

    data = cross_section(n=1000, weights=False)
    model = peer(data, Plan(data, Settings(seed=7)).folds(0))
    basis = pd.DataFrame(np.column_stack([np.ones(data.n), data.covariates]), columns=["c", "x0", "x1", "x2", "x3"])
    blp = model.cate(basis).blp_model[0]
    found = answer("dr_learner", data, seed=7).diagnostics["best_linear_predictor"]["coefficients"]
    assert [each["label"] for each in found] == ["(intercept)", "x0", "x1", "x2", "x3"]
    assert [each["estimate"] for each in found] == pytest.approx(blp.params.to_list(), rel=1e-4, abs=1e-5)
    errors = np.sqrt(np.diag(blp.cov_HC1))
    assert [each["standard_error"] for each in found] == pytest.approx(list(errors), rel=1e-4)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_linear_predictor_and_its_test_equal_statsmodels(clustered: bool, weighted: bool):
    import statsmodels.api as sm
    from scipy import stats

    data = cross_section(n=600, weights=weighted)
    codes = np.random.default_rng(2).integers(0, 80, 600)
    data = replace(data, clusters=(codes,) if clustered else ())
    plan = Plan(data, Settings())
    frame = plan.frame("xty", plan.doubly_robust_sample())
    scores = effect_scores(plan, frame, plan.propensity(), 0).values * frame.scale[frame.column("y")]
    model = sm.WLS(scores, sm.add_constant(data.covariates), weights=1.0 if data.weights is None else data.weights)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": codes}) if clustered else model.fit(cov_type="HC1")
    table = run(ENTRIES["dr_learner"], plan).diagnostics["best_linear_predictor"]
    assert [each["estimate"] for each in table["coefficients"]] == pytest.approx(list(fit.params), rel=1e-8)
    assert [each["standard_error"] for each in table["coefficients"]] == pytest.approx(list(fit.bse), rel=1e-8)
    wald = fit.wald_test(np.eye(5)[1:], use_f=False, scalar=True)
    tested, slopes, degrees = table["test"], 4, len(np.unique(codes)) - 1
    if clustered:
        hotelling = float(wald.statistic) * (degrees - slopes + 1) / (degrees * slopes)
        assert tested["statistic"] == pytest.approx(hotelling, rel=1e-7)
        assert tested["denominator_degrees"] == degrees - slopes + 1
        assert tested["p_value"] == pytest.approx(stats.f.sf(hotelling, slopes, degrees - slopes + 1), rel=1e-5)
    else:
        assert tested["statistic"] == pytest.approx(float(wald.statistic), rel=1e-7)
        assert tested["p_value"] == pytest.approx(float(wald.pvalue), rel=1e-5)


def test_the_groups_equal_doublemls_group_effects():
    import pandas as pd

    data = known(2000)
    plan = Plan(data, Settings(seed=7))
    frame = plan.frame("xty", plan.doubly_robust_sample())
    scores = effect_scores(plan, frame, plan.propensity(), 0).values * frame.scale[frame.column("y")]
    folds = plan.folds(0)
    blocks, counts = plan.blocks(frame)
    effects = predict(frame, by_arms(blocks, frame.at["x"].stop, frame.column("y"), trainings(counts, 5)), folds)
    group = np.zeros(data.n, dtype=int)
    for fold in range(1, 5):
        own = np.flatnonzero(folds == fold)
        group[own] = ((np.argsort(np.argsort(effects.before[own])) + 0.5) * 5 / len(own)).astype(int) + 1
    found = run(ENTRIES["t_learner"], plan).diagnostics["judged_by_scores"]
    judged = group > 0
    from doubleml.utils import DoubleMLBLP

    basis = pd.DataFrame({f"g{place}": group[judged] == place for place in range(1, 6)})
    peer = DoubleMLBLP(scores[judged], basis, is_gate=True).fit(cov_type="HC0").blp_model[0]
    assert [each["estimate"] for each in found["groups"]] == pytest.approx(list(peer.params), rel=1e-8)
    n = int(judged.sum())
    errors = np.asarray(peer.bse) * np.sqrt(n / (n - 5))
    assert [each["standard_error"] for each in found["groups"]] == pytest.approx(list(errors), rel=1e-8)
    ends = found["top_minus_bottom"]
    assert ends["estimate"] == pytest.approx(peer.params.iloc[-1] - peer.params.iloc[0], rel=1e-8)


@pytest.mark.parametrize("name", LEARNERS)
def test_effects_that_vary_are_distinguished_and_those_that_do_not_are_not(name: str):
    varying = answer(name, cross_section(n=4000, weights=False)).diagnostics
    alike = answer(name, cross_section(n=4000, weights=False, heterogeneous=False)).diagnostics
    judged = varying["judged_by_scores"]
    effects = [group["estimate"] for group in judged["groups"]]
    assert effects[-1] > effects[0]
    assert judged["equal_groups"]["p_value"] < 1e-4
    assert judged["autoc"]["ci_lower"] > 0
    assert judged["qini"]["ci_lower"] > 0
    assert abs(judged["slope"]["estimate"] - 1) < 4 * judged["slope"]["standard_error"]
    assert alike["judged_by_scores"]["equal_groups"]["p_value"] > 0.01
    assert alike["judged_by_scores"]["autoc"]["p_value"] > 0.01
    assert varying["predicted_effects"]["sd"] > 2 * alike["predicted_effects"]["sd"]
    assert varying["predicted_effects"]["mean"] == pytest.approx(EFFECT, abs=0.2)


def test_several_splits_are_medians_with_twice_the_median_p_value():
    data = cross_section(n=1500, weights=False)
    result = answer("t_learner", data, repetitions=3)
    assert result.estimate == np.median(result.diagnostics["estimates_by_split"])
    table = result.diagnostics["judged_by_scores"]
    assert table["qini"]["ci_lower"] < table["qini"]["estimate"] < table["qini"]["ci_upper"]
    assert 0 <= table["equal_groups"]["p_value"] <= 1
    one = answer("t_learner", data)
    assert table["qini"]["estimate"] != one.diagnostics["judged_by_scores"]["qini"]["estimate"]


@pytest.mark.parametrize("name", LEARNERS)
def test_with_few_rows_the_average_stands_and_the_judgement_says_why_it_does_not(name: str):
    result = answer(name, rows(cross_section(weights=False), np.arange(110)))
    assert result.estimate is not None
    assert "at least 100 are needed" in result.diagnostics["judged_by_scores"]["reason"]


def test_covariates_of_one_kind_of_unit_make_groups_of_equal_predictions():
    data = cross_section(n=3000, weights=False)
    kind = (data.covariates[:, :1] > np.median(data.covariates[:, 0])).astype(float)
    result = answer("dr_learner", with_covariates(data, kind))
    assert len(result.diagnostics["judged_by_scores"]["groups"]) == 2


def test_a_learner_needs_both_arms_in_every_training():
    data = cross_section(n=120, weights=False)
    treatment = np.zeros(120)
    treatment[np.flatnonzero(Plan(data, Settings()).folds(0) == 1)[:8]] = 1.0
    for name in ("s_learner", "t_learner"):
        result = run(ENTRIES[name], Plan(replace(data, treatment=treatment), Settings()))
        assert result.status == "skipped"
        assert "Without fold 2 of 5 there are 0 treated rows" in result.reason


def test_an_amount_of_treatment_is_refused():
    result = run(ENTRIES["dr_learner"], Plan(cross_section(continuous=True), Settings()))
    assert result.status == "skipped"
    assert "two levels" in result.reason


def test_the_learners_equal_econmls():
    metalearners = pytest.importorskip("econml.metalearners", reason="econml is not among the peers installed here")
    from econml.dr import LinearDRLearner
    from sklearn.base import BaseEstimator
    from sklearn.linear_model import LinearRegression, LogisticRegression

    class Arms(BaseEstimator):
        """A linear model in each arm, where the last column says which."""

        def fit(self, x: np.ndarray, y: np.ndarray):
            self.fits = [linear(x[x[:, -1] == arm, :-1], y[x[:, -1] == arm]) for arm in (0, 1)]
            return self

        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.where(x[:, -1] > 0, self.fits[1].predict(x[:, :-1]), self.fits[0].predict(x[:, :-1]))

    data = cross_section(n=1500, weights=False)
    standard = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    data = with_covariates(data, standard)
    plan = Plan(data, Settings(seed=7))
    folds = plan.folds(0)
    peer = LinearDRLearner(
        model_propensity=LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000), model_regression=Arms(),
        min_propensity=0.01, cv=[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)],
    )  # fmt: skip
    peer.fit(data.y, data.treatment.astype(int), X=standard, inference="auto")
    found = run(ENTRIES["dr_learner"], plan).diagnostics["best_linear_predictor"]["coefficients"]
    assert [each["estimate"] for each in found] == pytest.approx([peer.intercept_(T=1), *peer.coef_(T=1)], rel=1e-6)
    frame = plan.frame("xty", plan.doubly_robust_sample())
    whole = plan.blocks(frame)[0].sum(axis=0, keepdims=True)
    once = Trainings(members=np.array([[True], [True]]), first=0)
    k, y = frame.at["x"].stop, frame.column("y")
    mine = by_arms(whole, k, y, once)[0, 0] @ frame.matrix[:k] * frame.scale[y]
    for learner in (metalearners.TLearner, metalearners.XLearner):
        effects = learner(models=LinearRegression()).fit(data.y, data.treatment, X=standard).effect(standard)
        np.testing.assert_allclose(effects, mine, rtol=1e-9, atol=1e-9)
