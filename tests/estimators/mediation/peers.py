"""Estimates by the mediation equations, and the same from statsmodels and from stacked equations."""

from collections.abc import Callable

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Matrix, Plan, Settings, Vector, catalog, run

BY_NAME = {entry.name: entry for entry in catalog()}


def answer(data: Data, effect: str = "acme", **settings: object) -> Estimate:
    return run(BY_NAME[f"mediation_{effect}"], Plan(data, Settings(**settings)))


def peer_fits(data: Data, *, product: bool = False):
    sm = pytest.importorskip("statsmodels.api")
    base = np.column_stack([np.ones(data.n), data.covariates, data.treatment])
    outer = np.column_stack([base, data.mediators, *([data.mediators * data.treatment[:, None]] if product else [])])
    weights = np.ones(data.n) if data.weights is None else data.weights
    firsts = [sm.WLS(column, base, weights=weights).fit() for column in data.mediators.T]
    return firsts, sm.WLS(data.y, outer, weights=weights).fit()


def sandwich(equations: Callable[[Vector], Matrix], theta: Vector, value: Callable[[Vector], float]) -> float:
    """The standard error of a function of what solves some equations, (n, q) by rows, by finite differences."""
    steps = np.diag(1e-6 * np.maximum(np.abs(theta), 1e-2))
    slopes = [(equations(theta + h).sum(0) - equations(theta - h).sum(0)) / (2 * h.sum()) for h in steps]
    gradient = np.array([(value(theta + h) - value(theta - h)) / (2 * h.sum()) for h in steps])
    moved = np.linalg.solve(np.column_stack(slopes), equations(theta).T)
    return float(np.sqrt(np.sum((gradient @ moved) ** 2)))
