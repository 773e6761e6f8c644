"""A finer measure of exposure adds nothing to a mapping that captures all, and is found where it does."""

import numpy as np
import pytest

from cqox.diagnostics.finer_exposure import finer_exposure
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import row_keys


def networked(seed: int, *, share: float, rows: int = 400, friends: int = 2) -> Plan:
    """Return a random network whose outcome rises with any treated friend, and by `share` with their share."""
    rng = np.random.default_rng(seed)
    here = np.repeat(np.arange(rows), friends)
    edges = np.column_stack([here, rng.integers(0, rows, rows * friends)])
    edges = np.unique(np.vstack([edges, edges[:, ::-1]]), axis=0)
    edges = edges[edges[:, 0] != edges[:, 1]]
    t = (rng.random(rows) < 0.1).astype(float)
    degree = np.bincount(edges[:, 0], minlength=rows)
    hits = np.bincount(edges[:, 0], t[edges[:, 1]], rows)
    y = t + 0.5 * (hits > 0) + share * hits / np.maximum(degree, 1) + rng.standard_normal(rows)
    data = Data(n=rows, y=y, treatment=t, treatment_kind="binary", edges=edges, row_key=row_keys(y, t))
    return Plan(data, Settings())


def test_a_mapping_that_captures_all_is_rarely_doubted() -> None:
    values = [finer_exposure(networked(seed, share=0.0))["p_value"] for seed in range(80)]
    assert sum(value < 0.05 for value in values) <= 9
    assert sum(value < 0.01 for value in values) <= 3


def test_a_share_that_matters_within_the_exposed_is_found() -> None:
    values = [finer_exposure(networked(seed, share=5.0))["p_value"] for seed in range(20)]
    assert sum(value < 0.01 for value in values) >= 16


def test_without_an_exposure_there_is_nothing_to_test() -> None:
    with pytest.raises(UnusableData):
        finer_exposure(judged(trial(), only=["difference_in_means"]).plan)
