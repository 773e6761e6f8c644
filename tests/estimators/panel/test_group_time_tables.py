from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.estimate import Json
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel import group_time_tables as module
from cqox.estimators.panel.aggregation import Average, contributions, errors, over, simple
from cqox.estimators.panel.few_units import UnitDegrees
from cqox.estimators.panel.group_time import GroupTimes, group_times
from cqox.estimators.panel.group_time_tables import average_degrees, group_time_tables
from cqox.estimators.panel.undefined_errors import UndefinedErrors
from cqox.estimators.panel.unit_errors import unit_clusters
from tests.estimators.staggering import staggered


def ready(data: Data, **settings: object) -> tuple[Plan, GroupTimes, Clusters, UnitDegrees, UndefinedErrors]:
    plan = Plan(data, Settings(**settings))
    found = group_times(plan)
    clusters = unit_clusters(plan, found.panel)
    degrees = UnitDegrees(found.panel, clusters, plan.settings)
    return plan, found, clusters, degrees, UndefinedErrors(found, clusters, plan.settings)


@cache
def plain() -> tuple[GroupTimes, Clusters, dict[str, Json]]:
    everything = ready(staggered(60, covariates=False), se="HC0")
    return everything[1], everything[2], group_time_tables(*everything)


def test_each_effect_has_its_cohort_period_and_error_in_units_of_the_outcome() -> None:
    found, clusters, tables = plain()
    own = errors(found, clusters, clustered=False) * found.panel.scale
    assert tables["group_time_effects"] == len(tables["group_time"]) == len(found.effects)
    for at, row in enumerate(tables["group_time"]):
        assert row["cohort"] == found.panel.cohorts[found.cells.cohort[at]].onset.value
        assert row["period"] - 2001 == found.cells.period[at]
        assert row["estimate"] == pytest.approx(found.effects[at] * found.panel.scale)
        assert row["standard_error"] == pytest.approx(own[at])
        assert [row["treated_units"], row["comparison_units"]] == found.rows[at].tolist()


def test_averages_are_keyed_by_event_cohort_and_period() -> None:
    found, _, tables = plain()
    keys = {name: [row[key] for row in tables[name]["averages"]]
            for name, key in (("dynamic", "event"), ("group", "cohort"), ("calendar", "period"))}  # fmt: skip
    assert keys == {
        "dynamic": np.unique(found.cells.event).tolist(),
        "group": [2003.0, 2004.0, 2006.0],
        "calendar": [2003.0, 2004.0, 2005.0, 2006.0],
    }
    row = next(row for row in tables["dynamic"]["averages"] if row["event"] == 0)
    average = over(found, found.cells.event == 0)
    assert row["estimate"] == pytest.approx(average.value * found.panel.scale)
    error = np.linalg.norm(contributions(found, average)) * found.panel.scale
    assert row["standard_error"] == pytest.approx(error)
    assert row["band_lower"] <= row["lower"] < row["estimate"] < row["upper"] <= row["band_upper"]


def test_the_test_before_treatment_is_walds_of_the_effects_there() -> None:
    found, _, tables = plain()
    before = np.flatnonzero(found.cells.event < 0)
    sizes = np.zeros(len(found.panel.cohorts))
    rows = np.stack([contributions(found, Average(value=0.0, weights=each, by_size=sizes))
                     for each in np.eye(len(found.effects))[before]])  # fmt: skip
    statistic = found.effects[before] @ np.linalg.solve(rows @ rows.T, found.effects[before])
    test = tables["pre_test"]
    assert test["effects"] == len(before)
    assert test["statistic"] == pytest.approx(statistic, rel=1e-8)
    assert test["p_value"] == pytest.approx(chi2.sf(statistic, len(before)), rel=1e-8)


def test_effects_beyond_the_limits_are_not_listed_and_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CELLS", 4)
    monkeypatch.setattr(module, "_MOST_TESTED", 2)
    tables = group_time_tables(*ready(staggered(60, covariates=False)))
    assert len(tables["group_time"]) == 4
    assert tables["group_time_effects"] > 4
    assert (tables["pre_test"]["statistic"], tables["pre_test"]["p_value"]) == (None, None)


def test_the_event_window_bounds_the_event_study_alone() -> None:
    tables = group_time_tables(*ready(staggered(60, covariates=False), event_window=1))
    assert [row["event"] for row in tables["dynamic"]["averages"]] == [-1, 0, 1]
    assert len(tables["calendar"]["averages"]) == 4


def test_an_average_has_the_degrees_of_the_cohorts_in_it() -> None:
    data = staggered(60, covariates=False)
    early = np.unique(data.unit[data.cohort == 2003])
    few = data.rows(np.flatnonzero(~np.isin(data.unit, early[3:])))
    _, found, clusters, degrees, _ = ready(few)
    alone, notes = average_degrees(found, over(found, found.cells.cohort == 0), degrees)
    assert alone is not None
    assert 0 < alone < 3
    assert [note.code for note in notes] == ["panel.welch-degrees-of-freedom"]
    every, none = average_degrees(found, simple(found), degrees)
    assert (every, none) == (clusters.fewest - 1, [])
