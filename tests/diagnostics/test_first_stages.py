"""First stages of the opposite sign contradict monotonicity, and chance rarely does."""

import numpy as np
import pytest

from cqox.diagnostics.first_stages import first_stages
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from tests.diagnostics.looking import judged, trial
from tests.estimators.designs import row_keys


def instrumented(seed: int, *, defiers: bool, rows: int = 600) -> Plan:
    """Return an instrument that moves treatment by .6; with defiers by -.4 where the first covariate is high."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4))
    z = (rng.random(rows) < 0.5).astype(float)
    moved = np.where(defiers & (x[:, 0] > 0.2), -0.4, 0.6)
    t = (rng.random(rows) < 0.5 + moved * (z - 0.5)).astype(float)
    y = t + x[:, 0] + rng.standard_normal(rows)
    data = Data(
        n=rows, y=y, treatment=t, treatment_kind="binary", instruments=z[:, None], covariates=x,
        propensity_covariates=x, row_key=row_keys(y, t), names={"covariates": ("a", "b", "c", "d")},
    )  # fmt: skip
    return Plan(data, Settings())


def test_defiers_in_a_stratum_are_found() -> None:
    found = [first_stages(instrumented(seed, defiers=True)) for seed in range(40)]
    assert sum(each["p_value"] < 0.01 for each in found) >= 34
    assert found[0]["opposite"]["covariate"] == "a"
    assert found[0]["opposite"]["side"] in {"upper half", "upper third"}


def test_chance_alone_rarely_contradicts() -> None:
    found = [first_stages(instrumented(seed, defiers=False)) for seed in range(200)]
    assert sum(each["p_value"] < 0.01 for each in found) <= 4


def test_without_an_instrument_there_is_no_first_stage() -> None:
    with pytest.raises(UnusableData):
        first_stages(judged(trial(), only=["difference_in_means"]).plan)
