"""The primary effect relative to the outcome without treatment, in total and net of cost."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.diagnostics import effect
from cqox.diagnostics.effect import treated_rows_of
from cqox.estimators import Data
from tests.diagnostics.looking import judged
from tests.estimators.designs import instrumented, row_keys, series

UNKNOWN = Message("effect.rows-after-unknown", why="words")


def two_arms(seed: int = 0, base: float = 10.0, **fields: object) -> Data:
    rng = np.random.default_rng(seed)
    t = (np.arange(400) < 160).astype(float)
    y = np.maximum(base + 1.5 * t + (1 + t) * rng.standard_normal(400), 0.0)
    return Data(n=400, y=y, treatment=t, treatment_kind="binary", row_key=row_keys(y, t), **fields)


def test_the_interval_of_a_ratio_of_means_is_that_of_the_delta_method() -> None:
    data = two_arms()
    seen = judged(data, only=["difference_in_means"])
    chosen = seen.estimate("difference_in_means")
    found = effect(seen.plan, chosen)
    assert found is not None
    own, other = data.y[data.treatment > 0], data.y[data.treatment <= 0]
    ratio = own.mean() / other.mean()
    variance = own.var(ddof=1) / len(own) / other.mean() ** 2
    variance += ratio**2 * other.var(ddof=1) / len(other) / other.mean() ** 2
    assert found.baseline == pytest.approx(other.mean(), rel=1e-12)
    assert found.relative == pytest.approx(ratio - 1, rel=1e-12)
    assert (found.relative_upper - found.relative_lower) / 2 == pytest.approx(1.959964 * np.sqrt(variance), rel=0.01)
    assert found.total is None


def test_the_interval_of_the_relative_effect_covers() -> None:
    inside = 0
    for seed in range(300):
        seen = judged(two_arms(seed, base=3.0), only=["difference_in_means"])
        found = effect(seen.plan, seen.estimate("difference_in_means"))
        assert found is not None
        inside += found.relative_lower < 0.5 < found.relative_upper
    assert 0.90 < inside / 300 < 0.985


def test_cost_is_taken_from_the_effect_and_its_interval() -> None:
    data = two_arms()
    seen = judged(replace(data, cost=np.where(data.treatment > 0, 0.5, 9.0)), only=["difference_in_means"])
    chosen = seen.estimate("difference_in_means")
    found = effect(seen.plan, chosen)
    assert found is not None
    assert (found.mean_cost, found.net_of_cost) == (0.5, pytest.approx(chosen.estimate - 0.5))
    assert (found.net_lower, found.net_upper) == (
        pytest.approx(chosen.ci_lower - 0.5), pytest.approx(chosen.ci_upper - 0.5)
    )  # fmt: skip


@pytest.mark.parametrize("base", [0.0, -5.0])
def test_without_a_positive_outcome_there_is_no_relative_effect(base: float) -> None:
    data = two_arms()
    moved = replace(data, y=data.y - data.y.mean() + base)
    seen = judged(moved, only=["difference_in_means"])
    found = effect(seen.plan, seen.estimate("difference_in_means"))
    assert found is not None
    assert (found.relative, found.baseline) == (None, None)
    assert found.relative_reason is not None


def test_the_outcome_of_compliers_without_treatment_is_not_determined() -> None:
    seen = judged(instrumented(500), only=["iv_2sls"])
    found = effect(seen.plan, seen.estimate("iv_2sls"))
    assert found is not None
    assert found.relative is None
    assert found.relative_reason.params["estimand"] == "LATE"


def test_the_total_of_a_panel_counts_its_treated_rows() -> None:
    rng, units, periods = np.random.default_rng(1), 40, 6
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    t = ((unit < 15) & (time >= 4)).astype(float)
    y = 20 + unit % 5 + time + 2 * t + rng.standard_normal(len(unit))
    data = Data(
        n=len(y), y=y, treatment=t, treatment_kind="binary", unit=unit, time=time, time_values=np.arange(6.0),
        row_key=row_keys(y, t),
    )  # fmt: skip
    seen = judged(data, only=["did_2x2_block"])
    chosen = seen.estimate("did_2x2_block")
    found = effect(seen.plan, chosen)
    assert found is not None
    assert (found.total, found.total_rows) == (pytest.approx(30 * chosen.estimate), 30)
    assert found.total_lower == pytest.approx(30 * chosen.ci_lower)
    assert found.baseline == pytest.approx(y[t > 0].mean() - chosen.estimate)


def test_a_total_without_known_treated_rows_has_a_reason() -> None:
    data = replace(series(), post=None)
    seen = judged(data, only=["interrupted_series"])
    found = effect(seen.plan, seen.estimate("interrupted_series"))
    assert found is not None
    assert (found.total, found.total_rows) == (None, None)
    assert found.total_reason.code == "effect.treated-rows-unknown"
    known = judged(series(), only=["interrupted_series"])
    counted = effect(known.plan, known.estimate("interrupted_series"))
    assert counted is not None
    assert (counted.total_rows, counted.total_reason) == (40, None)


@pytest.mark.parametrize(("rows", "code"), [(0, "effect.no-treated-rows"), (UNKNOWN, UNKNOWN.code)])
def test_a_plan_that_knows_of_no_treated_rows_says_so(rows: object, code: str) -> None:
    seen = judged(series(), only=["interrupted_series"])
    seen.plan.share(treated_rows_of("interrupted_series"), lambda: rows)
    found = effect(seen.plan, seen.estimate("interrupted_series"))
    assert found is not None
    assert (found.total, found.total_reason.code) == (None, code)


def test_without_a_number_there_is_no_effect() -> None:
    seen = judged(two_arms(), only=["difference_in_means"])
    assert effect(seen.plan, None) is None
