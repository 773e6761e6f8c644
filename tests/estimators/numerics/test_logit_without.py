from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.numerics import logit_without
from cqox.estimators.numerics.logit_without import cross_fit_without
from tests.estimators.designs import cross_section


def steep(data: Data) -> Data:
    """The data with a treatment that the covariates nearly determine."""
    noise = np.random.default_rng(5).logistic(size=data.n)
    standard = (data.covariates - data.covariates.mean(axis=0)) / data.covariates.std(axis=0)
    return replace(data, treatment=(standard @ [6.0, -4.0, 2.0, 1.0] + noise > 2).astype(float))


def found_without(data: Data, columns: list[int], settings: Settings) -> np.ndarray:
    plan = Plan(data, settings)
    logit = plan.propensity(plan.doubly_robust_sample()).logit
    assert logit is not None
    products = plan.blocks(logit.frame)[0].sum(axis=1)
    k = logit.frame.at["x"].stop
    folds = logit.frame.sample.take(plan.folds())
    return cross_fit_without(logit, plan.treated(logit.frame.sample), folds, products[:, :k, :k], columns)


def by_newton(data: Data, plan: Plan, column: int) -> np.ndarray:
    """Probabilities of each row by the logit without its fold and a covariate."""
    standard = (data.covariates - data.covariates.mean(axis=0)) / data.covariates.std(axis=0)
    x = np.column_stack([np.ones(data.n), np.delete(standard, column, axis=1)])
    w, folds, found = np.ones(data.n) if data.weights is None else data.weights, plan.folds(), np.empty(data.n)
    for fold in np.unique(folds):
        z, t, v, beta = x[folds != fold], data.treatment[folds != fold], w[folds != fold], np.zeros(x.shape[1])
        for _ in range(60):
            p = 1 / (1 + np.exp(-z @ beta))
            step = np.linalg.solve((z * (v * p * (1 - p))[:, None]).T @ z, z.T @ (v * (t - p)))
            beta += step * min(1.0, 3.0 / np.abs(z @ step).max())
        found[folds == fold] = 1 / (1 + np.exp(-x[folds == fold] @ beta))
    return found


@pytest.mark.parametrize("rows", [100, 4096])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("of", [lambda data: data, steep])
def test_each_fit_has_the_largest_likelihood_without_its_variable_and_fold(
    of: Callable[[Data], Data], weighted: bool, rows: int
):
    data = of(cross_section(n=600, weights=weighted))
    settings = Settings(chunk_rows=rows, threads=1)
    found = found_without(data, [3, 1], settings)
    for row, column in zip(found, (2, 0), strict=True):
        np.testing.assert_allclose(row, by_newton(data, Plan(data, settings), column), rtol=1e-8, atol=1e-12)


def test_the_information_is_computed_again_where_steps_are_slow(monkeypatch: pytest.MonkeyPatch):
    calls = []
    again = logit_without._Omitting.inverses
    monkeypatch.setattr(logit_without._Omitting, "inverses", lambda self: calls.append(1) or again(self))
    data = steep(cross_section(n=600, weights=True))
    found = found_without(data, [1, 2, 3, 4], Settings())
    np.testing.assert_allclose(found[0], by_newton(data, Plan(data, Settings()), 0), rtol=1e-8, atol=1e-12)
    assert calls


def test_fits_that_do_not_end_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logit_without, "_GRADIENT", 0.0)
    with pytest.raises(UnusableData, match="fold"):
        found_without(cross_section(n=600), [1], Settings())
