from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel.layout import staggered_panel
from cqox.estimators.panel.repeated_cross_sections import sections
from cqox.estimators.panel.unit_errors import cluster_members, unit_clusters, unit_covariance, unit_rows

STARTS = np.array([3.0, np.nan, 2.0, np.nan])


def plan_of(**changes: object) -> Plan:
    unit, time = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    data = Data(
        n=20, y=10.0 * unit + time**2, unit=unit, time=time, time_values=np.arange(5.0), cohort=STARTS[unit],
        row_key=unit.astype(np.uint64),
    )  # fmt: skip
    return Plan(replace(data, **changes), Settings())


def test_without_clusters_each_unit_of_a_panel_is_one_and_rows_of_sections_are_none() -> None:
    plan = plan_of()
    own = unit_clusters(plan, staggered_panel(plan))
    assert (own.codes[0].tolist(), own.counts, own.mapped) == ([0, 1, 2, 3], (4,), False)
    rows = plan_of(unit=None)
    assert unit_clusters(rows, sections(rows)).codes == ()


def test_mapped_clusters_are_codes_of_units_in_the_panels_order() -> None:
    unit = np.repeat(np.arange(4), 5)
    plan = plan_of(clusters=(np.array([9, 4, 4, 9])[unit], unit), weights=1.0 + unit)
    found = unit_clusters(plan, staggered_panel(plan))
    assert found.counts == (2, 4)
    # Units 2, 0, 1, 3 in the order of their starts.
    first, second = found.codes
    assert [(first == code).tolist() for code in first] == [
        [own == other for other in (4, 9, 4, 9)] for own in (4, 9, 4, 9)
    ]
    assert len(set(second.tolist())) == 4
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, np.array([3.0, 1.0, 2.0, 4.0]) / 2.5)


def test_a_cluster_that_its_units_leave_is_refused_by_name() -> None:
    plan = plan_of(clusters=(np.tile(np.arange(5), 4),), names={"cluster": ("county",)})
    with pytest.raises(UnusableData) as caught:
        unit_clusters(plan, staggered_panel(plan))
    assert caught.value.args[0].code == "panel.cluster-changes"
    assert caught.value.args[0].params["cluster"] == "county"


def test_members_are_clusters_with_units_in_a_cohort_for_each_mapped_dimension() -> None:
    plan = plan_of()
    panel = staggered_panel(plan)
    both = Clusters(codes=(np.array([0, 1, 0, 1]), np.array([0, 1, 2, 2])), counts=(2, 3))
    first, second = cluster_members(panel, both)
    assert first.tolist() == [[True, False], [False, True], [True, True]]
    assert second.tolist() == [[True, False, False], [False, True, False], [False, False, True]]
    assert cluster_members(panel, unit_clusters(plan, panel)) == []


def test_a_units_contribution_is_put_in_its_first_row() -> None:
    panel = staggered_panel(plan_of())
    rows = unit_rows(panel, np.array([1.0, 2.0, 3.0, 4.0]))
    assert {int(at): rows[at] for at in np.flatnonzero(rows)} == {10: 1.0, 0: 2.0, 5: 3.0, 15: 4.0}


CODES = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 0, 1, 0, 1, 1])
ROWS = np.random.default_rng(0).standard_normal((3, 7))


def summed(codes: np.ndarray) -> np.ndarray:
    sums = np.stack([ROWS[:, codes == code].sum(axis=1) for code in np.unique(codes)], axis=1)
    return sums @ sums.T


def test_the_covariance_is_that_of_sums_by_cluster() -> None:
    one = Clusters(codes=CODES[:1], counts=(3,))
    units = Clusters(codes=(np.arange(7),), counts=(7,), mapped=False)
    np.testing.assert_allclose(unit_covariance(ROWS, one, clustered=False), ROWS @ ROWS.T)
    np.testing.assert_allclose(unit_covariance(ROWS, one, clustered=True), summed(CODES[0]) * 3 / 2)
    np.testing.assert_allclose(unit_covariance(ROWS, units, clustered=True), ROWS @ ROWS.T * 7 / 6)


def test_two_dimensions_are_added_less_their_intersection_with_the_factor_of_the_fewest() -> None:
    both = Clusters(codes=CODES, counts=(3, 2))
    expected = (summed(CODES[0]) + summed(CODES[1]) - summed(2 * CODES[0] + CODES[1])) * 2 / 1
    np.testing.assert_allclose(unit_covariance(ROWS, both, clustered=True), expected, rtol=1e-12, atol=1e-12)


def test_a_single_cluster_has_no_covariance() -> None:
    single = Clusters(codes=(np.zeros(7, dtype=np.int64),), counts=(1,))
    assert np.isnan(unit_covariance(ROWS, single, clustered=True)).all()
    assert np.isfinite(unit_covariance(ROWS, single, clustered=False)).all()
