from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from cqox.diagnostics.cutoff_first_stage import first_stage
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.outcome_study import fuzzy_study
from tests.estimators.designs import discontinuity


def found(data: Data) -> dict[str, object]:
    plan = Plan(data, Settings())
    return first_stage(plan, fuzzy_study(plan))


def with_defiers(n: int = 4000) -> Data:
    """Crossing the cutoff moves those of a high first covariate into treatment, and the others out of it."""
    data = discontinuity(n, fuzzy=True)
    high, above = data.covariates[:, 0] > 0, data.running >= data.cutoff
    chance = np.where(high, 0.1 + 0.8 * above, 0.9 - 0.85 * above)
    return replace(data, treatment=(np.random.default_rng(1).random(n) < chance).astype(float))


def test_the_effective_f_is_the_squared_ratio_of_the_corrected_jump_to_its_robust_error() -> None:
    data = discontinuity(2500, fuzzy=True)
    of = fuzzy_study(Plan(data, Settings()))
    reported = found(data)
    error = np.linalg.norm(of.jump.corrected_parts[1])
    assert reported["effective_f"] == pytest.approx((of.jump.corrected[1] / error) ** 2)
    assert reported["treatment_jump"] == pytest.approx(0.7, abs=0.15)


def test_each_half_of_a_covariate_has_a_jump_of_its_own() -> None:
    data = discontinuity(2500, fuzzy=True)
    of = fuzzy_study(Plan(data, Settings()))
    reported = found(data)
    assert [(row["covariate"], row["half"]) for row in reported["halves"]] == [
        ("x0", "low"), ("x0", "high"), ("x1", "low"), ("x1", "high"),
    ]  # fmt: skip
    x = data.covariates[:, 0]
    high = data.rows(np.flatnonzero(x > np.median(x)))
    unit = of.score.unit
    settings = Settings(rd_bandwidth=of.jump.h * unit, rd_bias_bandwidth=of.jump.b * unit)
    bare = replace(high, covariates=None, names={k: v for k, v in high.names.items() if k != "covariates"})
    alone = fuzzy_study(Plan(bare, settings))
    assert reported["halves"][1]["treatment_jump"] == pytest.approx(alone.jump.corrected[1], rel=1e-8)
    row = reported["halves"][1]
    assert row["opposite_p_value"] == pytest.approx(norm.cdf(row["treatment_jump"] / row["standard_error"]))
    assert reported["opposite_p_value"] > 0.5


def test_a_first_stage_of_the_other_sign_in_a_half_is_found() -> None:
    reported = found(with_defiers())
    worst = min(reported["halves"], key=lambda row: row["opposite_p_value"])
    assert (worst["covariate"], worst["half"]) == ("x0", "low")
    assert reported["opposite_p_value"] < 1e-3


def test_without_covariates_only_the_strength_is_reported() -> None:
    reported = found(discontinuity(2500, fuzzy=True, covariates=False))
    assert (reported["halves"], reported["opposite_p_value"]) == ([], None)
    assert reported["effective_f"] > 10
