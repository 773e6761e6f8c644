from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.sensitivity import unconfounded
from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.learners.double_ml import _irm_split
from cqox.estimators.numerics.logit import fit_logit
from tests.estimators.designs import EFFECT, cross_section, instrumented, rows

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def peer(data: Data, folds: np.ndarray, kind: str):
    import doubleml as dml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    standard = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    table = dml.DoubleMLData.from_arrays(standard, data.y, data.treatment)
    logit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    if kind == "plr":
        model = dml.DoubleMLPLR(table, LinearRegression(), LinearRegression(), n_folds=5)
    else:
        model = dml.DoubleMLIRM(table, LinearRegression(), logit, n_folds=5, score=kind)
    splits = [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(5)]
    model.set_sample_splitting([splits])
    return model.fit()


@pytest.mark.parametrize(("name", "kind"), [("dml_plr", "plr"), ("dml_irm_ate", "ATE"), ("dml_irm_att", "ATTE")])
def test_one_split_equals_doubleml_on_the_same_folds(name: str, kind: str):
    data = cross_section(n=1000, weights=False)
    model = peer(data, Plan(data, Settings(seed=7)).folds(0), kind)
    result = answer(name, data, seed=7)
    assert result.estimate == pytest.approx(float(model.coef[0]), rel=1e-5)
    assert result.standard_error == pytest.approx(float(model.se[0]), rel=1e-5)


def residuals(data: Data, folds: np.ndarray) -> np.ndarray:
    """(n, m + 2) what least squares without each fold leaves of instruments, treatment and outcome."""
    design = np.column_stack([np.ones(data.n), data.covariates])
    columns = np.column_stack([data.instruments, data.treatment, data.y])
    left = np.empty_like(columns)
    for fold in np.unique(folds):
        own = folds == fold
        left[own] = columns[own] - design[own] @ np.linalg.lstsq(design[~own], columns[~own], rcond=None)[0]
    return left


def test_the_partially_linear_model_with_an_instrument_equals_doubleml_on_the_same_folds():
    import doubleml as dml
    from sklearn.linear_model import LinearRegression

    data = instrumented(n=1000)
    folds = Plan(data, Settings(seed=7)).folds(0)
    table = dml.DoubleMLData.from_arrays(data.covariates, data.y, data.treatment, data.instruments)
    linear = LinearRegression()
    model = dml.DoubleMLPLIV(table, ml_l=linear, ml_m=linear, ml_r=linear, n_folds=5)
    model.set_sample_splitting([[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]])
    model.fit()
    result = answer("dml_pliv", data, seed=7)
    assert result.estimate == pytest.approx(float(model.coef[0]), rel=1e-10)
    assert result.standard_error == pytest.approx(float(model.se[0]), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_several_instruments_are_two_stage_least_squares_on_the_residuals(weighted: bool):
    from linearmodels.iv import IV2SLS

    data = instrumented(n=600, m=3)
    folds = Plan(data, Settings(seed=7)).folds(0)
    left = residuals(data, folds)
    if weighted:
        # Whole weights count rows, so that what is left of each is that of a sample in which rows repeat.
        times = np.random.default_rng(2).integers(1, 4, data.n)
        data = replace(data, weights=times.astype(float))
        long = np.repeat(np.arange(data.n), times)
        left = residuals(rows(data, long), folds[long])[np.searchsorted(long, np.arange(data.n))]
    model = IV2SLS(left[:, -1], None, left[:, -2], left[:, :-2], weights=data.weights).fit(cov_type="robust")
    result = answer("dml_pliv", data, seed=7)
    assert result.estimate == pytest.approx(float(model.params.iloc[0]), rel=1e-10)
    assert result.standard_error == pytest.approx(float(model.std_errors.iloc[0]), rel=1e-10)
    assert result.diagnostics["instruments"] == 3


def test_several_splits_with_an_instrument_are_their_median_with_the_set_of_that_split():
    data = instrumented(n=400, strength=0.4)
    found = answer("dml_pliv", data, repetitions=3)
    values = found.diagnostics["estimates_by_split"]
    assert found.estimate == np.median(values)
    assert len(set(values)) == 3
    low, high = found.diagnostics["anderson_rubin_robust"]["intervals"][0]
    assert low < found.estimate < high


def test_an_estimate_by_an_instrument_is_not_one_without_confounding():
    data = instrumented(n=5000)
    naive, instrument = answer("dml_plr", data), answer("dml_pliv", data)
    assert abs(instrument.estimate - EFFECT) < 4 * instrument.standard_error
    assert abs(naive.estimate - EFFECT) > 20 * naive.standard_error
    weak = answer("dml_pliv", instrumented(n=500, strength=0.02))
    assert any("Weak instrument" in warning for warning in weak.warnings)
    assert unconfounded(naive)
    assert not unconfounded(instrument)


def test_several_splits_are_their_median_with_the_variance_between_them():
    data = cross_section(weights=False)
    # A seed at which the median of the variances is not that of the median split.
    plan = Plan(data, Settings(repetitions=5, seed=1))
    found = run(ENTRIES["dml_irm_ate"], plan)
    frame = plan.frame("xty", plan.doubly_robust_sample())
    splits = [_irm_split(plan, frame, plan.propensity(), "ATE", [], split) for split in range(5)]
    values, variances = (np.array(each) for each in zip(*((v, u @ u) for v, u in splits), strict=True))
    assert found.diagnostics["estimates_by_split"] == pytest.approx(values)
    assert found.estimate == np.median(values)
    assert found.standard_error**2 == pytest.approx(np.median(variances + (values - np.median(values)) ** 2))
    assert found.standard_error**2 != pytest.approx(np.median(variances), rel=1e-6)


def test_each_fold_is_predicted_by_a_logit_without_it():
    data = cross_section(n=500)
    plan = Plan(data, Settings())
    logit = plan.propensity().logit
    folds = plan.folds(0)
    found = plan.out_of_fold(logit, 0)
    for fold in range(5):
        rest = rows(data, np.flatnonzero(folds != fold))
        alone = Plan(rest, Settings()).propensity().coefficients
        own = folds == fold
        eta = alone["(intercept)"] + data.covariates[own] @ [alone[f"x{k}"] for k in range(4)]
        np.testing.assert_allclose(found[own], 1 / (1 + np.exp(-eta)), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_logit_of_steep_and_skewed_covariates_arrives(seed: int):
    import statsmodels.api as sm

    rng = np.random.default_rng(seed)
    x = rng.beta(0.5, 4.0, 3000)
    # Newton's method without a shorter step goes to and fro for ever here.
    treatment = (rng.random(3000) < 1 / (1 + np.exp(5.5 - 11 * x))).astype(float)
    data = Data(
        n=3000, y=rng.standard_normal(3000), treatment=treatment, treatment_kind="binary", covariates=x[:, None],
        propensity_covariates=x[:, None], row_key=rng.integers(0, 2**63, 3000).astype(np.uint64),
    )  # fmt: skip
    plan = Plan(data, Settings())
    found, folds = plan.propensity(), plan.folds(0)
    design = sm.add_constant(x)
    whole = sm.Logit(treatment, design).fit(disp=0, maxiter=200)
    np.testing.assert_allclose(found.e, whole.predict(design), rtol=1e-6)
    rest = folds != 3
    without = sm.Logit(treatment[rest], design[rest]).fit(disp=0, maxiter=200)
    np.testing.assert_allclose(plan.out_of_fold(found.logit, 0)[~rest], without.predict(design[~rest]), rtol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_a_logit_of_powers_of_one_covariate_arrives(seed: int):
    rng = np.random.default_rng(seed)
    age = rng.uniform(18, 60, 600)
    x = np.column_stack([age, age**2, age**3])
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    treatment = (rng.random(600) < 1 / (1 + np.exp(-standard @ rng.normal(0, 1.5, 3)))).astype(float)
    data = Data(
        n=600, y=rng.standard_normal(600), treatment=treatment, treatment_kind="binary", covariates=x,
        propensity_covariates=x, row_key=rng.integers(0, 2**63, 600).astype(np.uint64),
    )  # fmt: skip
    plan = Plan(data, Settings())
    logit = plan.propensity().logit
    left = treatment - logit.probabilities
    assert np.abs(left @ logit.frame.matrix[: logit.frame.at["x"].stop].T).max() <= 1e-11 * 600
    assert np.isfinite(plan.out_of_fold(logit, 0)).all()


def test_an_instrument_that_is_the_treatment_itself_is_a_warning():
    data = instrumented(n=500)
    same = replace(data, instruments=2.0 * data.treatment[:, None] + 1.0)
    assert any("treatment itself" in reported for reported in answer("dml_pliv", same).warnings)
    assert not any("treatment itself" in reported for reported in answer("dml_pliv", data).warnings)


def test_a_column_that_lives_in_one_fold_is_left_out_of_the_fits_without_it():
    data = cross_section(n=500, weights=False)
    folds = Plan(data, Settings()).folds(0)
    rare = ((folds == 2) & (np.arange(data.n) % 3 == 0)).astype(float)
    x = np.column_stack([data.covariates, rare])
    wider = replace(data, covariates=x, propensity_covariates=x)
    plan = Plan(wider, Settings())
    frame = plan.frame("xty", plan.outcome_sample())
    found = plan.out_of_fold(fit_logit(frame, data.treatment), 0)
    without = Plan(data, Settings())
    narrow = without.out_of_fold(without.propensity().logit, 0)
    np.testing.assert_allclose(found[folds == 2], narrow[folds == 2], rtol=1e-6)
    assert run(ENTRIES["dml_irm_ate"], plan).status == "ok"
    assert run(ENTRIES["dml_plr"], plan).status == "ok"


def test_a_fold_without_an_arm_to_learn_from_is_skipped_by_name():
    data = cross_section(n=120, weights=False)
    treatment = np.zeros(120)
    folds = Plan(data, Settings()).folds(0)
    treatment[np.flatnonzero(folds == 1)[:8]] = 1.0
    result = run(ENTRIES["dml_irm_ate"], Plan(replace(data, treatment=treatment), Settings()))
    assert result.status == "skipped"
    assert "Without fold 2 of 5 there are 0 treated rows" in result.reason


def test_extreme_probabilities_are_clipped_with_a_warning():
    data = cross_section(n=2000, weights=False)
    lean = 4 * (data.covariates[:, 0] - data.covariates[:, 0].mean())
    treatment = (np.random.default_rng(1).random(data.n) < 1 / (1 + np.exp(-lean))).astype(float)
    result = answer("dml_irm_ate", replace(data, treatment=treatment))
    assert result.diagnostics["clipped_rows"] > 0
    assert any("were clipped to the nearer bound" in warning for warning in result.warnings)


def test_the_partially_linear_model_takes_an_amount_of_treatment():
    data = cross_section(n=20_000, continuous=True, heterogeneous=False, weights=False)
    result = answer("dml_plr", data)
    assert abs(result.estimate - EFFECT) < 4 * result.standard_error
    assert run(ENTRIES["dml_irm_ate"], Plan(data, Settings())).reason.startswith(
        "The estimator needs a treatment of two levels"
    )


def test_another_seed_makes_other_folds_and_about_the_same_estimate():
    data = cross_section(weights=False)
    left, right = answer("dml_irm_ate", data, seed=0), answer("dml_irm_ate", data, seed=1)
    assert left.estimate != right.estimate
    assert left.estimate == pytest.approx(right.estimate, abs=left.standard_error)
