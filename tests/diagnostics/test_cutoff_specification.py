from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.cutoff_specification import at_bandwidths, curvature, donut
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.outcome_study import sharp_study
from cqox.estimators.rd.study import study
from tests.diagnostics.looking import judged
from tests.estimators.designs import discontinuity, rows

RD = ("rd_local_linear", "rd_fuzzy", "rd_density_test")


def found(data: Data) -> dict[str, object]:
    return judged(data, only=RD).diagnostics["discontinuity"]


def test_bandwidths_are_multiples_and_the_first_is_the_estimate() -> None:
    judgement = judged(discontinuity(), only=RD)
    result, reported = judgement.estimate("rd_local_linear"), judgement.diagnostics["discontinuity"]
    assert [row["times"] for row in reported["bandwidths"]] == [0.5, 0.75, 1.0, 1.25, 1.5, 2.0]
    own = reported["bandwidths"][2]
    assert own["estimate"] == result.estimate
    assert (own["ci_lower"], own["ci_upper"]) == pytest.approx((result.ci_lower, result.ci_upper))
    assert reported["bandwidths"][0]["h"] == pytest.approx(own["h"] / 2)


def test_a_donut_is_the_study_of_the_rows_that_are_left() -> None:
    data = discontinuity(covariates=False)
    reported = found(data)
    h = judged(data, only=RD).estimate("rd_local_linear").diagnostics["h"]
    away = np.abs(data.running - data.cutoff)
    for share, row in zip((0.01, 0.025, 0.05, 0.1), reported["donut"], strict=True):
        assert row["rows_left_out"] == (away <= row["radius"] * (1 + 1e-12)).sum()
        assert row["rows_left_out"] / (away < h).sum() == pytest.approx(share, abs=0.01)
        left = rows(data, np.flatnonzero(away > row["radius"] * (1 + 1e-12)))
        plan = Plan(left, Settings())
        sample = plan.sample("y", "running")
        full = Plan(data, Settings())
        bandwidths = study(full, full.sample("y", "running"), data.y).bandwidths
        alone = study(plan, sample, left.y, bandwidths=bandwidths)
        assert row["estimate"] == pytest.approx(alone.effect(alone.jump).value, rel=1e-6)
        assert row["standard_error"] == pytest.approx(alone.effect(alone.jump).errors.robust * alone.scale, rel=1e-6)


def test_the_donut_of_a_heap_at_the_cutoff_leaves_out_the_heap() -> None:
    data = discontinuity(covariates=False)
    heap = np.abs(data.running - data.cutoff) < 0.05
    data = replace(
        data, running=np.where(heap, data.cutoff, data.running), y=data.y + 5.0 * heap * (data.running >= data.cutoff)
    )
    reported = found(data)["donut"]
    assert reported[0]["radius"] == 0.0
    assert len({row["radius"] for row in reported}) == len(reported)
    assert reported[0]["rows_left_out"] == heap.sum()
    plan, left = Plan(data, Settings()), Plan(rows(data, np.flatnonzero(~heap)), Settings())
    bandwidths = study(plan, plan.sample("y", "running"), data.y).bandwidths
    sample = left.sample("y", "running")
    alone = study(left, sample, sample.take(left.data.y), bandwidths=bandwidths)
    assert reported[0]["estimate"] == pytest.approx(alone.effect(alone.jump).value, rel=1e-6)


def test_a_difference_is_judged_by_the_contributions_of_the_same_rows_to_both() -> None:
    data = discontinuity(1500, covariates=False)
    plan = Plan(data, Settings())
    of = sharp_study(plan)
    row = at_bandwidths(plan, of, 1.0)[0]
    one, other = of.effect(of.jump), of.effect(of.at(times=0.5))
    assert row["difference_p_value"] == pytest.approx(of.difference(one, other))
    assert at_bandwidths(plan, of, -1.0)[0]["difference_p_value"] == pytest.approx(row["difference_p_value"])
    assert at_bandwidths(plan, of, 1.0)[2]["difference_p_value"] is None


def test_a_higher_order_at_the_same_bandwidths_is_the_study_of_that_order() -> None:
    data = discontinuity(1500, covariates=False)
    plan = Plan(data, Settings())
    of = sharp_study(plan)
    reported, unit = curvature(plan, of, 1.0), of.score.unit
    settings = Settings(rd_order=2, rd_bandwidth=of.jump.h * unit, rd_bias_bandwidth=of.jump.b * unit)
    other = sharp_study(Plan(data, settings))
    assert reported["order"] == 2
    assert reported["estimate"] == pytest.approx(other.effect(other.jump).value, rel=1e-8)
    assert reported["standard_error"] == pytest.approx(other.effect(other.jump).errors.robust * other.scale, rel=1e-8)


def test_a_steep_bend_within_a_wide_bandwidth_is_no_jump_of_a_higher_order() -> None:
    rng = np.random.default_rng(0)
    data = discontinuity(3000, covariates=False, effect=0.0)
    away = data.running - data.cutoff
    steep = replace(data, y=np.tanh(8 * away) + 0.3 * rng.standard_normal(3000))
    plan = Plan(steep, Settings(rd_bandwidth="all"))
    reported = curvature(plan, sharp_study(plan), 1.0)
    assert reported["difference_p_value"] < 1e-6
    assert abs(reported["estimate"]) < sharp_study(plan).effect(sharp_study(plan).jump).value


def test_a_donut_says_whether_its_estimate_leaves_the_interval() -> None:
    data = discontinuity(1500, covariates=False)
    close = np.abs(data.running - data.cutoff) < 0.004
    plan = Plan(data, Settings())
    assert [row["outside"] for row in donut(plan, sharp_study(plan), 1.0)] == [False] * 4
    piled = Plan(replace(data, y=data.y + 60.0 * close * (data.running >= data.cutoff)), Settings())
    assert any(row["outside"] for row in donut(piled, sharp_study(piled), 1.0))
