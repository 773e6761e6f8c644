"""Memory per row, in numbers, of an estimate whose large arrays are in files."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cqox.diagnostics.weightings import weightings
from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.numerics import array_store
from cqox.estimators.numerics.array_store import in_files
from tests.estimators.designs import names_for

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
ROWS = 200_000


def many_rows(p: int) -> Data:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((ROWS, p))
    t = (rng.random(ROWS) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    y = (1 + x[:, 1]) * t + x.sum(axis=1) + rng.standard_normal(ROWS)
    return Data(
        n=ROWS, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=rng.integers(0, 2**63, ROWS).astype(np.uint64), names=names_for(x),
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Data:
    return many_rows(10)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(array_store, "_SMALLEST", 4096)
    with in_files(tmp_path):
        yield


def fitted(data: Data) -> Plan:
    plan = Plan(data, Settings())
    plan.propensity(plan.doubly_robust_sample())
    return plan


def held(work) -> tuple[float, float]:
    """The most numbers a row that some work holds at a time, and how many are left when it is done."""
    tracemalloc.start()
    try:
        found = work()
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del found
    return most / ROWS / 8, left / ROWS / 8


@pytest.mark.parametrize(
    ("name", "most", "left"),
    [("psm_ate", 8, 0.5), ("psm_att", 9.5, 0.5), ("x_learner", 14.5, 4.6), ("dr_learner", 14.5, 2.6)],
)
def test_an_estimate_holds_few_numbers_for_each_row(data: Data, name: str, most: float, left: float):
    plan = fitted(data)
    run(ENTRIES[name], fitted(data))  # what threads keep to write blocks to is there from now on
    at_most, kept = held(lambda: run(ENTRIES[name], plan))
    assert at_most < most
    assert kept < left


def test_a_search_that_does_not_apply_leaves_nothing_behind(data: Data):
    plan = fitted(data)
    at_most, kept = held(lambda: ENTRIES["nn_mahalanobis_ate"].applies(plan))
    assert ENTRIES["nn_mahalanobis_ate"].applies(plan) is not None
    assert at_most < 4
    assert kept < 0.5


def test_the_weights_of_every_weighting_are_in_files(data: Data):
    plan = fitted(data)
    estimates = [run(ENTRIES[name], plan) for name in ("psm_ate", "psm_att", "ipw_ate", "ipw_att", "propensity_strata")]
    at_most, kept = held(lambda: weightings(plan, estimates))
    assert at_most < 6.5
    assert kept < 0.5
