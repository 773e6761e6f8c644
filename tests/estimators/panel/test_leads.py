from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel import leads as module
from cqox.estimators.panel.aggregation import by_event
from cqox.estimators.panel.group_time import group_times
from cqox.estimators.panel.leads import Leads
from cqox.estimators.panel.unit_errors import unit_clusters

PERIODS, STARTS, SIZES = 7, (3, 5), (4, 6)
NEVER = 10


def design(sizes: tuple[int, int] = SIZES, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    start = np.repeat([*STARTS, 99], [*sizes, NEVER])
    unit, time = np.repeat(np.arange(len(start)), PERIODS), np.tile(np.arange(PERIODS), len(start))
    first = start[unit].astype(float)
    return Data(
        n=len(unit), y=rng.standard_normal(len(unit)), unit=unit, time=time, time_values=np.arange(float(PERIODS)),
        cohort=np.where(first < PERIODS, first, np.nan), row_key=unit.astype(np.uint64),
    )  # fmt: skip


def leads_of(data: Data, *, anticipation: int = 0, window: int | None = None) -> Leads:
    plan = Plan(data, Settings(anticipation=anticipation, base_period="universal"))
    found = group_times(plan)
    clusters = unit_clusters(plan, found.panel)
    return module.tested_leads(found, by_event(found, window), clusters, anticipation=anticipation, clustered=True)


def test_leads_average_the_changes_before_treatment_by_cohort_size() -> None:
    data = design()
    leads = leads_of(data)
    y = data.y.reshape(-1, PERIODS)
    groups = np.split(y, np.cumsum(SIZES))
    assert leads.events == (-5, -4, -3, -2)
    assert leads.alone == ()
    for at, event in enumerate(leads.events):
        effects, sizes = [], []
        for own, start in zip(groups[:2], STARTS, strict=True):
            if start + event >= 0:
                change = [each[:, start + event] - each[:, start - 1] for each in (own, groups[2])]
                effects.append(change[0].mean() - change[1].mean())
                sizes.append(len(own))
        assert leads.estimates[at] == pytest.approx(np.average(effects, weights=sizes), abs=1e-12)


def test_the_variance_of_a_lead_of_one_cohort_is_that_of_two_independent_means() -> None:
    data = design()
    leads = leads_of(data)
    y = data.y.reshape(-1, PERIODS)
    _, own, never = np.split(y, np.cumsum(SIZES))
    changes = [each[:, 0] - each[:, 4] for each in (own, never)]
    assert leads.covariance[0, 0] == pytest.approx(sum(each.var(ddof=1) / len(each) for each in changes), rel=1e-9)
    assert leads.covariance.shape == (4, 4)
    assert leads.across.shape == (4, 9)


def test_support_is_the_variance_that_each_side_adds_under_equal_unit_variances() -> None:
    leads = leads_of(design())
    # Event -5 is of the second cohort alone; event -2 of both, by size.
    np.testing.assert_allclose(leads.support[:, 0], [0, 1 / 6, 0, 1 / 10])
    shares = np.array(SIZES) / sum(SIZES)
    np.testing.assert_allclose(leads.support[:2, 3], shares**2 / SIZES)
    np.testing.assert_allclose(leads.support[-1, 3], (shares**2).sum() / NEVER)
    assert leads.group_degrees.tolist() == [3.0, 5.0, 1.0, 9.0]


def test_event_times_with_a_single_treated_unit_are_alone_and_not_tested() -> None:
    leads = leads_of(design((4, 1)))
    assert leads.events == (-3, -2)
    assert leads.alone == (-5, -4)
    none = leads_of(design((1, 1)))
    assert (none.events, none.covariance.shape, none.across.shape) == ((), (0, 0), (0, 9))
    assert none.alone == (-5, -4, -3, -2)


def test_anticipated_periods_and_those_beyond_the_window_are_no_leads() -> None:
    assert leads_of(design(), anticipation=1).events == (-5, -4, -3)
    assert leads_of(design(), window=3).events == (-3, -2)


def test_units_of_one_cluster_count_as_one() -> None:
    data = design()
    merged = np.where(data.unit < 4, 0, data.unit)
    leads = leads_of(replace(data, clusters=(merged,)))
    # The first cohort is one cluster: only the second has leads, and so its mean is of that one alone.
    assert leads.group_degrees.tolist() == [1.0, 5.0, 1.0, 9.0]
    assert leads.support[0].tolist() == [0.0] * 4
