from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.sensitivity import omitted_variables as omitted_variables_of
from cqox.estimators.sensitivity.omitted_variables import MODELS, bounds, gains, omitted_variables
from cqox.estimators.sensitivity.short_models import interactive_without
from tests.estimators.designs import cross_section
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.filterwarnings("ignore")
KINDS = {"dml_plr": "plr", "dml_irm_ate": "ATE", "dml_irm_att": "ATTE"}


def peer(data: Data, plan: Plan, kind: str):
    """DoubleML on the same folds, fitted."""
    import doubleml as dml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    standard = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    table = dml.DoubleMLData.from_arrays(standard, data.y, data.treatment)
    if kind == "plr":
        model = dml.DoubleMLPLR(table, LinearRegression(), LinearRegression(), n_rep=plan.settings.repetitions)
    else:
        logit = LogisticRegression(C=np.inf, tol=1e-14, max_iter=100_000, solver="newton-cholesky")
        model = dml.DoubleMLIRM(table, LinearRegression(), logit, score=kind, n_rep=plan.settings.repetitions)
    model.set_sample_splitting([
        [(np.flatnonzero(plan.folds(split) != fold), np.flatnonzero(plan.folds(split) == fold)) for fold in range(5)]
        for split in range(plan.settings.repetitions)
    ])  # fmt: skip
    return model.fit(store_models=False)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("repetitions", [1, 3])
def test_bounds_and_robustness_values_equal_doubleml_on_the_same_folds(name: str, repetitions: int):
    data = cross_section(n=700, weights=False)
    plan = Plan(data, Settings(seed=7, repetitions=repetitions))
    model = peer(data, plan, KINDS[name])
    # DoubleML 0.11.4 divides its score by a negative derivative, so that it takes the influence function of the
    # estimate with the wrong sign and swaps the standard errors of the two bounds (the test below simulates them).
    model.framework._dml_core.scaled_psi *= -1
    model.sensitivity_analysis(cf_y=0.07, cf_d=0.05)
    reported = model.sensitivity_params
    found = omitted_variables(plan, name)
    (lower, upper), (confidence_lower, confidence_upper) = bounds(found, 0.07, 0.05)
    assert [lower, upper] == pytest.approx([float(reported["theta"][end][0]) for end in ("lower", "upper")], rel=1e-6)
    assert confidence_lower == pytest.approx(float(reported["ci"]["lower"][0]), rel=1e-6)
    assert confidence_upper == pytest.approx(float(reported["ci"]["upper"][0]), rel=1e-6)
    # DoubleML searches its robustness values to 1e-5.
    assert found.robustness_value == pytest.approx(float(reported["rv"][0]), abs=1e-5)
    assert found.robustness_value_alpha == pytest.approx(float(reported["rva"][0]), abs=1e-5)


def test_the_standard_errors_of_the_bounds_are_their_spread_over_samples():
    rng = np.random.default_rng(1)
    ends, errors = [], []
    for _ in range(300):
        x, d = rng.standard_normal((400, 1)), rng.exponential(size=400)
        y = d + rng.exponential(size=400) * (0.5 + 0.5 * d) + x[:, 0]
        data = Data(n=400, y=y, treatment=d, treatment_kind="continuous", covariates=x,
                    row_key=rng.permutation(400).astype(np.uint64), names={"covariates": ("x",)})  # fmt: skip
        found = omitted_variables(Plan(data, Settings(repetitions=1, threads=1)), "dml_plr")
        low, confident = bounds(found, 0.4, 0.4)
        ends.append(low)
        errors.append((np.asarray(confident) - low) / found.critical * [-1, 1])
    lower, upper = np.mean(errors, axis=0) / np.std(ends, axis=0)
    assert lower == pytest.approx(1, abs=0.15)
    assert upper == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("name", MODELS)
def test_gains_of_covariates_equal_doubleml_without_them(name: str):
    data = cross_section(n=700, weights=False)
    plan = Plan(data, Settings(seed=7, repetitions=2))
    model = peer(data, plan, KINDS[name])
    for gain in gains(plan, name, most=2):
        column = plan.labels("covariates").index(gain.label)
        reported = model.sensitivity_benchmark([f"X{column + 1}"]).iloc[0]
        assert gain.outcome == pytest.approx(reported["cf_y"], rel=1e-6, abs=1e-9)
        assert gain.treatment == pytest.approx(reported["cf_d"], rel=1e-6, abs=1e-9)
        assert gain.change == pytest.approx(reported["delta_theta"], rel=1e-6)
        assert gain.adversity == pytest.approx(reported["rho"], rel=1e-6)


def other_propensity(data: Data) -> Data:
    """The data with a covariate of the outcome only and one of the treatment only."""
    own = np.column_stack([data.covariates[:, 1:], np.random.default_rng(1).standard_normal(data.n)])
    names = {**data.names, "covariates": ("a", "b", "c", "d"), "propensity_covariates": ("b", "c", "d", "e")}
    return replace(data, propensity_covariates=own, names=names)


def with_missing(data: Data) -> Data:
    x = data.covariates.copy()
    x[::9, 2] = np.nan
    return replace(data, covariates=x, propensity_covariates=x)


def with_known(data: Data) -> Data:
    return replace(data, pscore=np.random.default_rng(2).uniform(0.2, 0.8, data.n))


def constant_outside_a_fold(data: Data) -> Data:
    """The data with one more covariate, which varies in one fold only."""
    folds = Plan(data, Settings()).folds()
    x = np.column_stack([data.covariates, np.where(folds == 2, np.random.default_rng(3).standard_normal(data.n), 0.0)])
    names = {**data.names, "covariates": tuple("abcde"), "propensity_covariates": tuple("abcde")}
    return replace(data, covariates=x, propensity_covariates=x, names=names)


def twice_the_same(data: Data) -> Data:
    x = np.column_stack([data.covariates, data.covariates[:, 0] * 2 + data.covariates[:, 1]])
    names = {**data.names, "covariates": tuple("abcde"), "propensity_covariates": tuple("abcde")}
    return replace(data, covariates=x, propensity_covariates=x, names=names)


@pytest.mark.parametrize("name", ["dml_irm_ate", "dml_irm_att"])
@pytest.mark.parametrize(
    ("of", "at_once"),
    [
        (lambda data: data, True),
        (other_propensity, True),
        (with_missing, True),
        (with_known, True),
        (constant_outside_a_fold, False),
        (twice_the_same, False),
    ],
)
def test_fits_at_once_are_those_of_data_without_the_covariate(
    monkeypatch: pytest.MonkeyPatch, of: Callable[[Data], Data], name: str, at_once: bool
):
    data, settings = of(cross_section(n=700)), Settings(repetitions=2)
    calls = []
    monkeypatch.setattr(omitted_variables_of, "interactive_without",
                        lambda *of_fits: calls.append(1) or interactive_without(*of_fits))  # fmt: skip
    found = gains(Plan(data, settings), name, most=4)
    assert bool(calls) == at_once
    monkeypatch.setattr(omitted_variables_of, "_all_in_use", lambda *_: False)
    for one, other in zip(found, gains(Plan(data, settings), name, most=4), strict=True):
        assert one.label == other.label
        for field in ("outcome", "treatment", "adversity", "change"):
            assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", ["dml_irm_ate", "dml_irm_att"])
def test_where_fits_at_once_do_not_converge_each_is_fitted_by_itself(monkeypatch: pytest.MonkeyPatch, name: str):
    data = cross_section(n=500)
    data = replace(data, weights=10.0 ** np.random.default_rng(4).uniform(-6, 6, data.n))
    monkeypatch.setattr("cqox.estimators.numerics.logit_without._GRADIENT", 0.0)
    found = gains(Plan(data, Settings()), name, most=4)
    monkeypatch.setattr(omitted_variables_of, "_all_in_use", lambda *_: False)
    assert found == gains(Plan(data, Settings()), name, most=4) != ()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("clusters", [0, 40])
def test_without_a_confounder_the_bounds_are_the_estimate_and_its_interval(name: str, clusters: int):
    data = cross_section(n=800)
    if clusters:
        data = replace(data, clusters=(np.arange(data.n) % clusters,), names={**data.names, "cluster": ("g",)})
    plan = Plan(data, Settings(repetitions=1, alpha=0.1))
    estimate = run(next(entry for entry in catalog() if entry.name == name), plan)
    found = omitted_variables(plan, name)
    ends, confident = bounds(found, 0.0, 0.0)
    assert ends == pytest.approx((estimate.estimate, estimate.estimate))
    half = (confident[1] - confident[0]) / 2
    assert half == pytest.approx(found.critical * estimate.standard_error)


def test_the_robustness_value_moves_the_estimate_to_nothing_and_the_second_its_interval():
    found = omitted_variables(Plan(cross_section(n=800), Settings()), "dml_irm_ate")
    value, second = found.robustness_value, found.robustness_value_alpha
    assert 0 < second < value < 1
    assert min(map(abs, bounds(found, value, value)[0])) == pytest.approx(0, abs=1e-9)
    assert min(map(abs, bounds(found, second, second)[1])) == pytest.approx(0, abs=1e-9)
    assert bounds(found, 0.5, 1.0) is None


def test_duplicated_rows_with_half_weights_have_the_same_bounds():
    data = cross_section(n=600)
    twice = replace(data.rows(np.repeat(np.arange(600), 2)), weights=np.repeat(data.weights, 2) / 2)
    for name in MODELS:
        once, doubled = (omitted_variables(Plan(each, Settings()), name) for each in (data, twice))
        assert bounds(once, 0.1, 0.1)[0] == pytest.approx(bounds(doubled, 0.1, 0.1)[0], rel=1e-9)


def test_leaving_out_a_confounder_costs_more_than_leaving_out_noise():
    rng = np.random.default_rng(3)
    data = cross_section(n=2000, weights=False)
    x = np.column_stack([data.covariates, rng.standard_normal(2000)])
    names = {**data.names, "covariates": ("a", "b", "c", "d", "noise"),
             "propensity_covariates": ("a", "b", "c", "d", "noise")}  # fmt: skip
    plan = Plan(replace(data, covariates=x, propensity_covariates=x, names=names), Settings())
    found = {gain.label: gain for gain in gains(plan, "dml_plr")}
    strongest = next(iter(found.values()))
    assert found["noise"].outcome < 0.01 < strongest.outcome
    assert abs(found["noise"].change) < abs(strongest.change)


def test_a_treatment_that_covariates_determine_is_refused():
    data = cross_section(n=300, continuous=True)
    with pytest.raises(UnusableData, match="determine"):
        omitted_variables(Plan(replace(data, treatment=data.covariates[:, 0] * 2.0), Settings()), "dml_plr")


def test_more_rows_than_memory_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cqox.estimators.sensitivity.omitted_variables._MOST_ROWS", 299)
    with pytest.raises(UnusableData, match="300 rows"):
        omitted_variables(Plan(cross_section(n=300), Settings()), "dml_plr")


@pytest.mark.slow
def test_the_confidence_bound_under_the_true_confounder_covers_the_effect(capsys: pytest.CaptureFixture[str]):
    # With u left out the estimate is off by ab/(1 + a²), which is what the bound allows for at the strength of u.
    replications, rows, a, b, truth = 5_000, 1_000, 0.7, 0.9, 1.0
    left = b**2 / (1 + a**2)
    found = []
    for replication in range(replications):
        rng = np.random.default_rng(90_000 + replication)
        x, u = rng.standard_normal((rows, 2)), rng.standard_normal(rows)
        t = x[:, 0] + a * u + rng.standard_normal(rows)
        y = truth * t + x.sum(axis=1) + b * u + rng.standard_normal(rows)
        data = Data(n=rows, y=y, treatment=t, treatment_kind="continuous", covariates=x,
                    row_key=rng.permutation(rows).astype(np.uint64), names={"covariates": ("p", "q")})  # fmt: skip
        reported = omitted_variables(Plan(data, Settings(repetitions=1, threads=1)), "dml_plr")
        ends, confident = bounds(reported, left / (1 + left), a**2 / (1 + a**2))
        found.append((ends[0], (ends[0] - confident[0]) / reported.critical, confident[0] <= truth))
    lower, errors, inside = (np.asarray(each) for each in zip(*found, strict=True))
    rate, sd, bias = float(inside.mean()), float(lower.std(ddof=1)), float(lower.mean() - truth)
    ratio = float(errors.mean() / sd)
    with capsys.disabled():
        print(f"\nlower bound: coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f}")
    record(Validated(
        design="A confounder is left out whose strength is known", estimator="dml_plr, lower bound",
        replications=replications, rows=rows, truth=truth, bias=bias, sd=sd, se_ratio=ratio, coverage=rate,
        note="one-sided",
    ))  # fmt: skip
    half = half_width(rate, replications)
    assert rate - half <= 0.97
    assert rate + half >= 0.93
    assert 0.93 <= ratio <= 1.07
    assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd
