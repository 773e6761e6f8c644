"""G-computation with a logit or probit against statsmodels and stacked estimating equations."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import cross_section, rows

ENTRIES = {entry.name: entry for entry in catalog() if entry.name.startswith("g_computation")}


def binary(n: int = 500, seed: int = 4) -> Data:
    data = cross_section(n, weights=False)
    rng = np.random.default_rng(seed)
    z = (data.covariates - data.covariates.mean(0)) / data.covariates.std(0)
    y = (rng.random(n) < 1 / (1 + np.exp(-(z @ [0.6, 0.3, -0.4, 0.2] + 0.7 * data.treatment - 0.5)))).astype(float)
    return replace(data, y=y, y_kind="binary")


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def stacked(data: Data, model: str, over: np.ndarray) -> tuple[float, float]:
    """The effect and its sandwich error, the bread by numerical differentiation of all equations."""
    z = sm.add_constant((data.covariates - data.covariates.mean(0)) / data.covariates.std(0))
    link = {"logit": sm.families.links.Logit(), "probit": sm.families.links.Probit()}[model]
    k, t = z.shape[1], data.treatment > 0
    fits = [
        sm.GLM(data.y[t == arm], z[t == arm], sm.families.Binomial(link)).fit(tol=1e-13).params for arm in (False, True)
    ]
    value = float(np.average(link.inverse(z @ fits[1]) - link.inverse(z @ fits[0]), weights=over))

    def equations(theta: np.ndarray) -> np.ndarray:
        moments, means = [], []
        for arm in (0, 1):
            eta = z @ theta[arm * k : (arm + 1) * k]
            p = link.inverse(eta)
            score = (data.y - p) * link.inverse_deriv(eta) / (p * (1 - p)) * (t == arm)
            moments.append(z * score[:, None])
            means.append(p)
        return np.column_stack([*moments, over * (means[1] - means[0] - theta[-1])])

    theta = np.concatenate([*fits, [value]])
    bread = np.empty((len(theta), len(theta)))
    for column in range(len(theta)):
        step = np.zeros(len(theta))
        step[column] = 1e-5
        bread[:, column] = (equations(theta + step).sum(0) - equations(theta - step).sum(0)) / 2e-5
    rows_ = np.linalg.solve(bread, equations(theta).T)
    return value, float(np.sqrt(np.square(rows_[-1]).sum()))


@pytest.mark.parametrize("model", ["logit", "probit"])
@pytest.mark.parametrize("target", ["ate", "att"])
def test_effects_and_errors_equal_stacked_estimating_equations(model: str, target: str):
    data = binary()
    over = np.ones(data.n) if target == "ate" else data.treatment
    value, error = stacked(data, model, over)
    result = answer(f"g_computation_{target}", data, outcome_model=model)
    assert result.estimate == pytest.approx(value, rel=1e-7)
    assert result.standard_error == pytest.approx(error, rel=1e-5)
    assert result.diagnostics["outcome_model"] == model


def test_the_error_is_that_of_a_bootstrap():
    data = binary(400)
    rng = np.random.default_rng(8)
    drawn = [
        answer("g_computation_ate", rows(data, rng.integers(0, 400, 400)), outcome_model="logit").estimate
        for _ in range(200)
    ]
    result = answer("g_computation_ate", data, outcome_model="logit")
    assert result.standard_error == pytest.approx(np.std(drawn), rel=0.15)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_outcome_with_other_values_is_refused(name: str):
    result = run(ENTRIES[name], Plan(cross_section(200, weights=False), Settings(outcome_model="logit")))
    assert result.status == "skipped"
    assert "options.outcome_model" in result.reason


@pytest.mark.parametrize("name", ENTRIES)
def test_swapping_the_arms_changes_the_sign(name: str):
    data = binary()
    entry = ENTRIES[name]
    plan = Plan(replace(data, treatment=1 - data.treatment), Settings(outcome_model="probit"))
    mirror = entry.flipped or entry.compute
    assert mirror(plan).estimate == pytest.approx(-answer(name, data, outcome_model="probit").estimate, rel=1e-9)
