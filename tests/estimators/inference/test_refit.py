from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Codes, Data, Plan, Settings
from cqox.estimators.inference.least_squares import ACROSS_CLUSTERS
from cqox.estimators.inference.refit import without_each_cluster
from cqox.estimators.inference.standard_errors import UNIDENTIFIED
from tests.estimators.designs import panel


def refitted(data: Data, effects: tuple[Codes, ...], codes: Codes) -> np.ndarray | str:
    plan = Plan(data, Settings())
    sample = plan.outcome_sample()
    own = sample.take(codes)
    return without_each_cluster(plan, sample, effects, own, int(own.max()) + 1)


def expected(data: Data, effects: tuple[Codes, ...], codes: Codes) -> list[float]:
    dummies = [np.eye(int(each.max()) + 1)[each] for each in effects]
    x = np.column_stack([data.treatment, data.covariates, *dummies])
    w = np.sqrt(np.ones(data.n) if data.weights is None else data.weights)
    used = np.isfinite(data.y)
    return [
        float(np.linalg.lstsq((x * w[:, None])[keep], (data.y * w)[keep], rcond=None)[0][0])
        for keep in (used & (codes != cluster) for cluster in range(int(codes.max()) + 1))
    ]


@pytest.mark.parametrize("weighted", [False, True])
def test_effects_within_and_across_clusters_are_estimated_again_without_each(weighted: bool):
    data = panel(units=24, periods=5)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, data.n) if weighted else None
    data = replace(data, weights=weights)
    region, effects = data.unit % 6, (data.unit, data.time)
    np.testing.assert_allclose(refitted(data, effects, region), expected(data, effects, region), rtol=1e-7)


def test_rows_that_are_left_out_enter_no_fit():
    data = panel(units=24, periods=5)
    y = data.y.copy()
    y[::17] = np.nan
    data = replace(data, y=y)
    np.testing.assert_allclose(
        refitted(data, (data.time,), data.unit % 6), expected(data, (data.time,), data.unit % 6), rtol=1e-7
    )


def test_too_many_levels_across_clusters_are_not_fitted():
    data = panel(units=220, periods=4)
    assert refitted(data, (data.unit,), data.time) == ACROSS_CLUSTERS


def test_a_treatment_in_one_cluster_alone_is_not_identified_without_it():
    data = panel(units=24, periods=5)
    data = replace(data, treatment=data.treatment * (data.unit == 3))
    assert refitted(data, (data.unit, data.time), data.unit) == UNIDENTIFIED
