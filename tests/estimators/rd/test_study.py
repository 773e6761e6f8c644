from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.bandwidth import Bandwidths
from cqox.estimators.rd.study import Effect, Errors, Study, effective_degrees, study
from tests.estimators.designs import discontinuity


def study_of(data: Data, *, fuzzy: bool = False, se: str = "auto", **changes: object) -> Study:
    plan = Plan(data, Settings(se=se))
    sample = plan.sample("y", "running")
    return study(plan, sample, sample.take(data.y), treatment=data.treatment if fuzzy else None, **changes)


def bare(**changes: object) -> Data:
    return discontinuity(400, covariates=False, **changes)


def test_the_outcome_is_centred_and_its_jump_is_back_in_its_units() -> None:
    data = bare()
    found = study_of(data)
    assert np.abs(found.values[0]).max() == pytest.approx(1)
    np.testing.assert_allclose(found.values[0] * found.scale + found.centre, data.y, rtol=1e-12)
    h = found.bandwidths.h * found.score.unit
    score = data.running - data.cutoff
    w = np.sqrt(np.maximum(1 - np.abs(score) / h, 0))
    x = np.column_stack([above := score >= 0, np.ones(400), score, score * above])
    beta = np.linalg.lstsq(x * w[:, None], data.y * w, rcond=None)[0]
    assert found.effect(found.jump).value == pytest.approx(beta[0], rel=1e-8)
    assert found.effect(found.jump, -1.0).value == pytest.approx(-beta[0], rel=1e-8)


def test_given_bandwidths_are_used_and_multiples_of_them_are_jumps_of_their_own() -> None:
    found = study_of(bare(), bandwidths=Bandwidths(h=0.3, b=0.5))
    assert (found.jump.h, found.jump.b) == (0.3, 0.5)
    twice = found.at(times=2.0)
    assert (twice.h, twice.b) == (0.6, 1.0)
    other = study_of(bare(), bandwidths=Bandwidths(h=0.6, b=1.0))
    np.testing.assert_allclose(twice.plain, other.jump.plain, rtol=1e-12)


def test_a_donut_hole_is_the_study_of_the_other_rows() -> None:
    data = bare()
    found = study_of(data, bandwidths=Bandwidths(h=0.5, b=0.7))
    hole = 0.02 * found.score.unit
    rest = data.rows(np.flatnonzero(np.abs(data.running - data.cutoff) > hole))
    other = study_of(rest, bandwidths=Bandwidths(h=0.5, b=0.7))
    assert found.effect(found.at(beyond=0.02)).value == pytest.approx(other.effect(other.jump).value, rel=1e-9)
    with pytest.raises(UnusableData):
        found.at(beyond=0.49)


def test_a_fuzzy_effect_is_the_ratio_of_jumps_with_the_errors_of_its_linearisation() -> None:
    data = bare(fuzzy=True)
    found = study_of(data, fuzzy=True, se="HC0")
    outcome, treated = found.jump.plain
    effect = found.effect(found.jump)
    assert effect.value == pytest.approx(found.scale * outcome / treated)
    moved = found.jump.corrected - found.jump.plain
    linearised = (moved[0] - outcome / treated * moved[1]) / treated
    assert effect.corrected == pytest.approx(effect.value + found.scale * linearised)
    parts = (found.jump.corrected_parts[0] - outcome / treated * found.jump.corrected_parts[1]) / treated
    assert effect.errors.robust == pytest.approx(np.linalg.norm(parts))
    reduced = found.outcome_jump(found.jump)
    assert reduced.value == pytest.approx(found.scale * outcome)
    assert reduced.errors.plain == pytest.approx(np.linalg.norm(found.jump.plain_parts[0]))
    with pytest.raises(UnusableData) as caught:
        found.effect(replace(found.jump, plain=np.array([1.0, 0.0])))
    assert caught.value.args[0].code == "rd.no-jump"


def test_a_treatment_that_never_varies_below_leaves_the_bandwidths_of_the_outcome() -> None:
    data = bare(fuzzy=True)
    one = replace(data, treatment=np.where(data.running < data.cutoff, 0.0, data.treatment))
    assert study_of(one, fuzzy=True).bandwidths == study_of(one).bandwidths
    assert study_of(data, fuzzy=True).bandwidths != study_of(data).bandwidths


def test_clustered_errors_sum_contributions_by_cluster_across_the_cutoff() -> None:
    data = bare()
    codes = np.arange(400) % 11
    found = study_of(replace(data, clusters=(codes,)))
    errors = found.errors(found.jump, [1.0])
    rows = found.jump.rows
    for parts, parameters, error in (
        (found.jump.plain_parts[0], 4, errors.plain),
        (found.jump.corrected_parts[0], 6, errors.robust),
    ):
        sums = np.bincount(codes[rows], parts)
        factor = 11 / 10 * (len(rows) - 1) / (len(rows) - parameters)
        assert error == pytest.approx(np.sqrt(factor * (sums**2).sum()), rel=1e-9)
    assert (errors.degrees, errors.clusters, found.residual) == (10.0, 11, "HC0")
    assert errors.parts[rows].tolist() == found.jump.corrected_parts[0].tolist()


def test_independent_rows_may_be_asked_for_and_a_single_cluster_has_no_error() -> None:
    data = replace(bare(), clusters=(np.zeros(400, dtype=np.int64),))
    single = study_of(data)
    assert single.errors(single.jump, [1.0]).robust == 0.0
    plain = study_of(data, se="HC2")
    assert (plain.codes, plain.residual, plain.errors(plain.jump, [1.0]).degrees) == ((), "HC2", None)
    assert study_of(bare()).residual == "NN"


@pytest.mark.parametrize("degrees", [None, 9.0])
def test_a_table_row_has_the_conventional_estimate_and_the_corrected_interval(degrees: float | None) -> None:
    errors = Errors(plain=0.1, robust=0.2, apart=None, degrees=degrees, parts=np.zeros(1), clusters=0)
    row = Effect(value=1.5, corrected=1.2, scale=-2.0, errors=errors).json(0.1)
    law = norm() if degrees is None else t(degrees)
    half = law.ppf(0.95) * 0.4
    assert row == {
        "estimate": 1.5,
        "standard_error": pytest.approx(0.4),
        "ci_lower": pytest.approx(1.2 - half),
        "ci_upper": pytest.approx(1.2 + half),
        "p_value": pytest.approx(2 * law.sf(3.0)),
    }
    none = Effect(value=1.5, corrected=1.2, scale=1.0, errors=replace(errors, robust=0.0)).json(0.1)
    assert (none["standard_error"], none["reason"].code) == (None, "rd.no-variation")


@pytest.mark.parametrize("clustered", [False, True])
def test_the_difference_of_two_estimates_has_the_error_of_the_contributions_difference(clustered: bool) -> None:
    data = bare()
    codes = np.arange(400) % 40
    found = study_of(replace(data, clusters=(codes,)) if clustered else data)
    one, other = found.effect(found.jump), found.effect(found.at(times=0.5))
    parts = other.errors.parts * other.scale - one.errors.parts * one.scale
    square = 40 / 39 * (np.bincount(codes, parts) ** 2).sum() if clustered else (parts**2).sum()
    statistic = abs(other.corrected - one.corrected) / np.sqrt(square)
    degrees = 39 if clustered else 1.5 * (parts**2).sum() ** 2 / (parts**4).sum()
    assert found.difference(one, other) == pytest.approx(2 * t(degrees).sf(statistic), rel=1e-6)
    assert found.difference(one, one) is None


def test_the_net_outcome_is_the_outcome_less_the_covariates_part() -> None:
    data = discontinuity(400)
    plan = Plan(data, Settings())
    sample = plan.sample("y", "running")
    found = study(plan, sample, sample.take(data.y), covariates=data.covariates.T)
    wanted = found.values[0] - found.jump.adjusted @ data.covariates.T
    np.testing.assert_allclose(found.net_outcome(), wanted, atol=1e-12)
    assert study_of(bare()).net_outcome().tolist() == study_of(bare()).values[0].tolist()


def test_normal_contributions_have_half_their_number_of_degrees_and_equal_ones_three_times_that() -> None:
    assert effective_degrees(np.concatenate([np.ones(40), np.zeros(7)])) == pytest.approx(60)
    normal = np.random.default_rng(0).standard_normal(100_000)
    assert effective_degrees(normal) == pytest.approx(50_000, rel=0.05)
