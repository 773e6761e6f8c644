from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel import aggregation
from cqox.estimators.panel.aggregation import (
    Average,
    by_calendar,
    by_event,
    by_group,
    contributions,
    corrected_covariance,
    covariance,
    errors,
    over,
    simple,
)
from cqox.estimators.panel.group_time import GroupTimes, group_times
from cqox.estimators.panel.influence_factors import part_of
from tests.estimators.staggering import staggered

UNITS = 60


@cache
def found_of(covariates: bool = False) -> GroupTimes:
    """Effects of a weighted panel; with covariates their factors are stored without a left one."""
    data = staggered(UNITS if not covariates else 120, weights="fixed", covariates=covariates)
    return group_times(Plan(data, Settings(base_period="universal", did_method="reg")))


def masses(found: GroupTimes) -> np.ndarray:
    return np.array([cohort.mass for cohort in found.panel.cohorts])[found.cells.cohort]


def units_of(found: GroupTimes) -> Clusters:
    return Clusters(codes=(np.arange(found.panel.units),), counts=(found.panel.units,), mapped=False)


def groups_of(found: GroupTimes) -> tuple[Clusters, np.ndarray]:
    codes = np.arange(found.panel.units) % 7
    return Clusters(codes=(codes,), counts=(7,)), codes


def test_an_average_is_by_the_weights_of_the_cohorts() -> None:
    found = found_of()
    kept = found.cells.event == 0
    average = over(found, kept)
    assert average.value == pytest.approx(np.average(found.effects[kept], weights=masses(found)[kept]), rel=1e-12)
    assert (average.weights[~kept] == 0).all()
    assert average.weights.sum() == pytest.approx(1)


def test_its_derivative_by_a_cohorts_size_is_that_of_a_heavier_cohort() -> None:
    found = found_of()
    average, step = simple(found), 1e-6
    for at, cohort in enumerate(found.panel.cohorts):
        heavier, lighter = (
            replace(found.panel, cohorts=tuple(
                replace(each, mass=each.mass + sign * step * (place == at))
                for place, each in enumerate(found.panel.cohorts)
            ))
            for sign in (1, -1)
        )  # fmt: skip
        up, down = (simple(replace(found, panel=panel)).value for panel in (heavier, lighter))
        assert average.by_size[at] == pytest.approx((up - down) / (2 * step), abs=1e-8), cohort.onset.name


def test_event_times_within_the_window_have_averages_and_an_overall_mean_from_0_on() -> None:
    found = found_of()
    family = by_event(found, 2)
    assert family.at == (-2, -1, 0, 1, 2)
    for at, average in zip(family.at, family.averages, strict=True):
        own = found.cells.event == at
        assert average.value == pytest.approx(np.average(found.effects[own], weights=masses(found)[own]))
    assert family.overall is not None
    assert family.overall.value == pytest.approx(np.mean([each.value for each in family.averages[2:]]))
    assert by_event(found, None).at == tuple(np.unique(found.cells.event).tolist())
    assert family.plain


def test_cohorts_have_unweighted_means_and_an_overall_one_by_size() -> None:
    found = found_of()
    family = by_group(found)
    after, mass = found.cells.event >= 0, [cohort.mass for cohort in found.panel.treated]
    means = [found.effects[after & (found.cells.cohort == at)].mean() for at in family.at]
    assert [each.value for each in family.averages] == pytest.approx(means)
    assert family.overall is not None
    assert family.overall.value == pytest.approx(np.average(means, weights=mass))
    assert family.overall.weights @ found.effects == pytest.approx(family.overall.value)
    assert not family.plain


def test_periods_have_averages_over_the_cohorts_treated_by_then() -> None:
    found = found_of()
    family = by_calendar(found)
    assert family.at == (2, 3, 4, 5)
    for at, average in zip(family.at, family.averages, strict=True):
        own = (found.cells.period == at) & (found.cells.event >= 0)
        assert average.value == pytest.approx(np.average(found.effects[own], weights=masses(found)[own]))


def test_a_family_without_effects_after_treatment_has_no_overall_average() -> None:
    found = found_of()
    before = found.cells.event < 0
    cut = replace(found, cells=found.cells.of(before), effects=found.effects[before])
    assert by_event(cut, None).overall is None


@pytest.mark.parametrize("covariates", [False, True])
def test_contributions_give_the_covariances_of_units_and_clusters(covariates: bool) -> None:
    found = found_of(covariates)
    averages = [simple(found), *by_event(found, 1).averages]
    rows = np.stack([contributions(found, each) for each in averages])
    clusters, codes = groups_of(found)
    n, own = found.panel.units, units_of(found)
    sums = np.stack([np.bincount(codes, row) for row in rows])
    for result, expected in (
        (covariance(found, averages, own, clustered=False), rows @ rows.T),
        (covariance(found, averages, own, clustered=True), rows @ rows.T * n / (n - 1)),
        (covariance(found, averages, clusters, clustered=True), sums @ sums.T * 7 / 6),
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-15)
    assert covariance(found, [], own, clustered=True).shape == (0, 0)


def test_parts_without_stored_cross_products_have_the_same_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_of()
    monkeypatch.setattr("cqox.estimators.panel.influence_factors._MOST_SQUARED", 0)
    plain = replace(found, parts=tuple(part_of(part.cells, part.left, part.right) for part in found.parts))
    assert all(part.square is None for part in plain.parts)
    own = units_of(found)
    for left, right in (
        (
            covariance(found, [simple(found)], own, clustered=True),
            covariance(plain, [simple(found)], own, clustered=True),
        ),
        (errors(found, own, clustered=True), errors(plain, own, clustered=True)),
    ):
        np.testing.assert_allclose(left, right, rtol=1e-10)


@pytest.mark.parametrize("block", [3, 256])
@pytest.mark.parametrize("covariates", [False, True])
def test_errors_are_roots_of_the_variances_of_single_effects(
    covariates: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregation, "_BLOCK", block)
    found = found_of(covariates)
    clusters, codes = groups_of(found)
    k, cohorts = len(found.effects), len(found.panel.cohorts)
    alone = [Average(value=0.0, weights=row, by_size=np.zeros(cohorts)) for row in np.eye(k)]
    rows = np.stack([contributions(found, each) for each in alone])
    by_unit = np.sqrt((rows**2).sum(axis=1))
    by_group_of_units = np.sqrt(np.array([(np.bincount(codes, row) ** 2).sum() for row in rows]) * 7 / 6)
    reference = found.cells.reference
    for own, expected in (
        (errors(found, units_of(found), clustered=False), by_unit),
        (errors(found, clusters, clustered=True), by_group_of_units),
    ):
        np.testing.assert_allclose(own[~reference], expected[~reference], rtol=1e-9)
        assert np.isnan(own[reference]).all()


def test_a_single_cluster_has_no_covariance_and_no_errors() -> None:
    found = found_of()
    single = Clusters(codes=(np.zeros(UNITS, dtype=np.int64),), counts=(1,))
    assert np.isnan(covariance(found, [simple(found)], single, clustered=True)).all()
    assert np.isnan(errors(found, single, clustered=True)).all()


def test_the_corrected_covariance_stretches_each_side_of_a_cell_and_takes_sizes_as_known() -> None:
    found, own = found_of(), units_of(found_of())
    few, other = over(found, found.cells.event == -2), over(found, found.cells.event == 0)
    counts = found.rows.astype(float)
    result = corrected_covariance(found, [few], [other], counts, own, clustered=True)
    stretched = np.zeros(UNITS)
    sizes = np.zeros(len(found.panel.cohorts))
    for at, cohort in enumerate(found.panel.cohorts):
        side = np.where(found.cells.cohort == at, counts[:, 0], counts[:, 1])
        weights = few.weights * np.sqrt(side / (side - 1))
        row = contributions(found, Average(value=0.0, weights=weights, by_size=sizes))
        stretched[cohort.units] = row[cohort.units]
    plain = contributions(found, other) * np.sqrt(UNITS / (UNITS - 1))
    expected = np.array([[stretched @ stretched, stretched @ plain], [stretched @ plain, plain @ plain]])
    np.testing.assert_allclose(result, expected, rtol=1e-10)
