from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.adjustment import weighting
from cqox.estimators.adjustment.weighting import balanced_weights, balancing_weights
from tests.estimators.designs import EFFECT, cross_section, rows, with_covariates

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def test_the_propensity_equals_statsmodels_in_the_columns_own_units():
    import statsmodels.api as sm

    data = cross_section(weights=False)
    peer = sm.Logit(data.treatment, sm.add_constant(data.covariates)).fit(disp=0, tol=1e-13, maxiter=100)
    propensity = Plan(data, Settings()).propensity()
    np.testing.assert_allclose(list(propensity.coefficients.values()), peer.params, rtol=1e-8)
    np.testing.assert_allclose(propensity.e, peer.predict(), rtol=1e-9)
    assert list(propensity.coefficients) == ["(intercept)", "x0", "x1", "x2", "x3"]


def test_sampling_weights_enter_the_logit_as_in_statsmodels():
    import statsmodels.api as sm

    data = cross_section()
    family = sm.families.Binomial()
    design = sm.add_constant(data.covariates)
    peer = sm.GLM(data.treatment, design, family=family, freq_weights=data.weights).fit(tol=1e-13)
    np.testing.assert_allclose(Plan(data, Settings()).propensity().e, peer.predict(), rtol=1e-8)


@pytest.mark.parametrize("target", ["ate", "att"])
def test_weighting_equals_statsmodels(target: str):
    import statsmodels.api as sm
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    data = cross_section(weights=False)
    design = sm.add_constant(data.covariates)
    selection = sm.Logit(data.treatment, design).fit(disp=0, tol=1e-13)
    peer = TreatmentEffect(sm.OLS(data.y, design), data.treatment.astype(int), results_select=selection)
    group = {"ate": "all", "att": 1}[target]
    expected = peer.ipw(return_results=True, effect_group=group, disp=False)
    result = answer(f"ipw_{target}", data)
    assert result.estimate == pytest.approx(float(np.ravel(expected.effect)[0]), abs=1e-4)
    assert result.standard_error == pytest.approx(float(expected.results_gmm.bse[0]), abs=1e-3)


@pytest.mark.parametrize("target", ["ATE", "ATT", "ATC", "ATO"])
def test_weights_computed_in_blocks_are_the_same(target: str, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(8)
    t, e = rng.integers(0, 2, 50).astype(float), rng.uniform(0.1, 0.9, 50)
    whole = balancing_weights(target, t, e)
    monkeypatch.setattr(weighting, "_BLOCK", 7)
    np.testing.assert_array_equal(balancing_weights(target, t, e), whole)


def test_the_score_correction_equals_a_numerical_sandwich():
    data = rows(cross_section(weights=True), np.arange(300))
    t, y, w = data.treatment, data.y, data.weights
    z = np.column_stack([np.ones(data.n), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])

    def moments(theta: np.ndarray) -> np.ndarray:
        e = 1 / (1 + np.exp(-z @ theta[2:]))
        first = t / e * (y - theta[0])
        second = (1 - t) / (1 - e) * (y - theta[1])
        return w[:, None] * np.column_stack([first, second, (t - e)[:, None] * z])

    plan = Plan(data, Settings())
    result = run(ENTRIES["ipw_ate"], plan)
    e = plan.propensity().e
    beta = np.linalg.lstsq(z, np.log(e / (1 - e)), rcond=None)[0]
    theta = np.concatenate([[result.diagnostics["mean_treated"], result.diagnostics["mean_control"]], beta])
    step = 1e-6
    jacobian = np.column_stack(
        [(moments(theta + d).mean(0) - moments(theta - d).mean(0)) / (2 * step) for d in np.eye(len(theta)) * step]
    )
    scores = np.linalg.solve(jacobian, moments(theta).T)
    expected = np.linalg.norm(scores[0] - scores[1]) / data.n
    assert np.abs(moments(theta).mean(0)).max() < 1e-8
    assert result.standard_error == pytest.approx(expected, rel=1e-6)


def test_a_given_probability_needs_no_correction():
    data = cross_section(weights=False)
    e = Plan(data, Settings()).propensity().e
    known = replace(data, pscore=e)
    fitted, given = answer("ipw_ate", data), answer("ipw_ate", known)
    assert given.estimate == pytest.approx(fitted.estimate, rel=1e-12)
    assert given.standard_error > fitted.standard_error
    assert given.diagnostics["propensity"] == "given"


def test_a_given_probability_of_one_is_refused():
    data = cross_section()
    pscore = np.full(data.n, 0.5)
    pscore[3] = 1.0
    result = run(ENTRIES["ipw_ate"], Plan(replace(data, pscore=pscore), Settings()))
    assert result.status == "skipped"
    assert "1 given probability" in result.reason


def test_covariates_that_give_the_treatment_away_are_refused():
    data = cross_section()
    x = np.column_stack([data.covariates, data.treatment + 0.1 * np.random.default_rng(1).random(data.n)])
    for name in ("ipw_ate", "ipw_att", "aipw", "ipwra", "dml_irm_ate"):
        result = run(ENTRIES[name], Plan(replace(data, covariates=x, propensity_covariates=x), Settings()))
        assert result.status == "skipped"
        assert "rows perfectly" in result.reason


def test_rows_without_counterparts_are_a_warning():
    data = cross_section(weights=False)
    only_treated = np.zeros(data.n)
    only_treated[np.flatnonzero(data.treatment == 1)[:40]] = 1.0
    x = np.column_stack([data.covariates, only_treated])
    result = answer("ipw_ate", replace(data, covariates=x, propensity_covariates=x))
    assert result.status == "warning"
    assert "40 rows have a probability" in result.warnings[0]


def test_effective_rows_are_kishs_in_each_arm():
    data = cross_section(weights=False)
    result = answer("ipw_att", data)
    assert result.diagnostics["ess_treated"] == pytest.approx(data.treatment.sum())
    e = Plan(data, Settings()).propensity().e[data.treatment == 0]
    odds = e / (1 - e)
    assert result.diagnostics["ess_control"] == pytest.approx(odds.sum() ** 2 / np.sum(odds**2))
    assert result.n_effective == pytest.approx(result.diagnostics["ess_treated"] + result.diagnostics["ess_control"])


@pytest.mark.parametrize("name", ["ipw_ate", "aipw", "ipwra", "g_computation_ate", "lin_interacted", "dml_irm_ate"])
def test_the_known_average_effect_is_found(name: str):
    result = answer(name, cross_section(n=20_000, weights=False))
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error
    assert result.standard_error < 0.1


def test_whether_it_applies_can_be_asked_before_anything_runs():
    data = cross_section()
    x = np.column_stack([data.covariates, data.treatment])
    plan = Plan(replace(data, covariates=x, propensity_covariates=x), Settings())
    assert "rows perfectly" in ENTRIES["ipw_ate"].applies(plan)
    assert ENTRIES["ipw_ate"].applies(Plan(data, Settings())) is None


def test_overlap_weights_balance_every_covariate_exactly():
    data = cross_section()
    plan = Plan(data, Settings())
    treated, control, _ = balancing_weights("ATO", data.treatment, plan.propensity().e)
    treated, control = treated * data.weights, control * data.weights
    means = [np.average(data.covariates, axis=0, weights=each) for each in (treated, control)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-9)
    result = answer("overlap_weights", data)
    assert result.estimand == "ATO"
    expected = np.average(data.y, weights=treated) - np.average(data.y, weights=control)
    assert result.estimate == pytest.approx(expected, rel=1e-12)


def test_overlap_weights_equal_a_weighted_regression_and_need_no_warning_of_poor_overlap():
    import statsmodels.api as sm

    data = cross_section(weights=False)
    only_treated = np.zeros(data.n)
    only_treated[np.flatnonzero(data.treatment == 1)[:40]] = 1.0
    x = np.column_stack([data.covariates, only_treated])
    lonely = replace(data, covariates=x, propensity_covariates=x)
    result = answer("overlap_weights", lonely)
    e = Plan(lonely, Settings()).propensity().e
    weights = np.where(data.treatment > 0, 1 - e, e)
    peer = sm.WLS(data.y, sm.add_constant(data.treatment), weights=weights).fit()
    assert result.estimate == pytest.approx(peer.params[1], rel=1e-9)
    assert result.status == "ok"


def sandwich(moments, theta: np.ndarray, n: int, step: float = 1e-6) -> np.ndarray:
    """(n, parameters) influence of stacked moments by numerical derivatives."""
    jacobian = np.column_stack(
        [(moments(theta + d).mean(0) - moments(theta - d).mean(0)) / (2 * step) for d in np.eye(len(theta)) * step]
    )
    assert np.abs(moments(theta).mean(0)).max() < 1e-8
    return np.linalg.solve(jacobian, moments(theta).T).T / n


def test_the_error_of_overlap_weights_equals_a_numerical_sandwich():
    data = rows(cross_section(), np.arange(300))
    t, y, w = data.treatment, data.y, data.weights
    z = np.column_stack([np.ones(data.n), (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)])

    def moments(theta: np.ndarray) -> np.ndarray:
        e = 1 / (1 + np.exp(-z @ theta[2:]))
        arms = [t * (1 - e) * (y - theta[0]), (1 - t) * e * (y - theta[1])]
        return w[:, None] * np.column_stack([*arms, (t - e)[:, None] * z])

    plan = Plan(data, Settings())
    result = run(ENTRIES["overlap_weights"], plan)
    e = plan.propensity().e
    beta = np.linalg.lstsq(z, np.log(e / (1 - e)), rcond=None)[0]
    theta = np.concatenate([[result.diagnostics["mean_treated"], result.diagnostics["mean_control"]], beta])
    influence = sandwich(moments, theta, data.n)
    assert result.standard_error == pytest.approx(np.linalg.norm(influence[:, 0] - influence[:, 1]), rel=1e-6)


@pytest.mark.parametrize(("target", "population"), [("ATE", slice(None)), ("ATT", 1.0), ("ATC", 0.0)])
def test_entropy_balancing_gives_both_arms_the_means_of_the_population_exactly(target: str, population: object):
    data = cross_section()
    _, treated, control = balanced_weights(Plan(data, Settings()), target)
    chosen = data.treatment == population if isinstance(population, float) else population
    means = np.average(data.covariates[chosen], axis=0, weights=data.weights[chosen])
    for weights in (treated, control):
        np.testing.assert_allclose(weights @ data.covariates, means, rtol=1e-10)
        assert weights.sum() == pytest.approx(1.0, rel=1e-12)
        assert weights.min() >= 0


def test_entropy_balancing_weights_are_of_least_entropy():
    from scipy import optimize

    data = rows(cross_section(), np.arange(60))
    _, _, weights = balanced_weights(Plan(data, Settings()), "ATT")
    own = data.treatment == 0
    x = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    target = np.average(x[~own], axis=0, weights=data.weights[~own])
    base = data.weights[own] / data.weights[own].sum()
    constraint = {"type": "eq", "fun": lambda w: np.concatenate([w @ x[own] - target, [w.sum() - 1]])}
    found = optimize.minimize(
        lambda w: float(np.sum(w * np.log(w / base))), base, jac=lambda w: np.log(w / base) + 1,
        bounds=[(1e-12, 1)] * len(base),
        constraints=[constraint], method="SLSQP", options={"maxiter": 500, "ftol": 1e-14},
    )  # fmt: skip
    np.testing.assert_allclose(weights[own], found.x, atol=1e-6)


@pytest.mark.parametrize("name", ["entropy_balancing_ate", "entropy_balancing_att"])
def test_the_error_of_entropy_balancing_equals_a_numerical_sandwich(name: str):
    data = rows(cross_section(), np.arange(400))
    t, y, s = data.treatment, data.y, data.weights
    x = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    p = x.shape[1]
    target = np.ones(data.n) if name.endswith("ate") else t

    def moments(theta: np.ndarray) -> np.ndarray:
        mu1, mu0, means, first, second = (
            theta[0],
            theta[1],
            theta[2 : 2 + p],
            theta[2 + p : 2 + 2 * p],
            theta[2 + 2 * p :],
        )
        away = x - means
        w1, w0 = t * np.exp(away @ first), (1 - t) * np.exp(away @ second)
        return s[:, None] * np.column_stack(
            [w1 * (y - mu1), w0 * (y - mu0), target[:, None] * away, w1[:, None] * away, w0[:, None] * away]
        )

    plan = Plan(data, Settings())
    result = run(ENTRIES[name], plan)
    _, treated, control = balanced_weights(plan, result.estimand)
    multipliers = []
    for weights in (treated, control):
        own = weights > 0
        line = np.column_stack([np.ones(own.sum()), x[own]])
        multipliers.append(np.linalg.lstsq(line, np.log(weights[own] / s[own]), rcond=None)[0][1:])
    means = np.average(x, axis=0, weights=s * target)
    theta = np.concatenate(
        [[result.diagnostics["mean_treated"], result.diagnostics["mean_control"]], means, *multipliers]
    )
    influence = sandwich(moments, theta, data.n)
    assert result.standard_error == pytest.approx(np.linalg.norm(influence[:, 0] - influence[:, 1]), rel=1e-6)


@pytest.mark.parametrize("name", ["entropy_balancing_ate", "entropy_balancing_att", "overlap_weights"])
def test_exact_balance_makes_any_linear_part_of_the_outcome_irrelevant(name: str):
    data = cross_section()
    moved = replace(data, y=data.y + data.covariates @ [3.0, -1.0, 0.5, 2.0])
    left, right = answer(name, data), answer(name, moved)
    assert right.estimate == pytest.approx(left.estimate, abs=1e-8)
    if name.startswith("entropy"):
        assert right.standard_error == pytest.approx(left.standard_error, rel=1e-8)


def test_entropy_balancing_names_the_covariate_that_no_weights_can_balance():
    data = cross_section(weights=False)
    beyond = np.where(data.treatment > 0, 5.0, 0.0) + np.random.default_rng(3).random(data.n)
    far = with_covariates(data, np.column_stack([data.covariates, beyond]))
    for name in ("entropy_balancing_att", "entropy_balancing_ate"):
        reason = ENTRIES[name].applies(Plan(far, Settings()))
        assert "No weights of the untreated rows" in reason
        assert "x4" in reason


def test_entropy_balancing_asks_for_covariates_where_only_a_probability_is_known():
    data = cross_section(weights=False)
    bare = replace(data, covariates=np.empty((data.n, 0)), propensity_covariates=np.empty((data.n, 0)))
    result = run(ENTRIES["entropy_balancing_att"], Plan(replace(bare, pscore=np.full(data.n, 0.5)), Settings()))
    assert result.status == "skipped"
    assert "'covariates'" in result.reason
