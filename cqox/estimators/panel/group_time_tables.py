"""Report tables of group-time effects: the effects, their averages with bands, a pre-treatment test.

`undefined_errors` decides which of them have a standard error; `multiplier` computes the bands.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Settings
from cqox.estimators.estimate import Json
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import finite
from cqox.estimators.inference.multiplier import banded
from cqox.estimators.numerics.quantiles import chi_square_survival
from cqox.estimators.panel.aggregation import (
    Average,
    Family,
    by_calendar,
    by_event,
    by_group,
    covariance,
    errors,
)
from cqox.estimators.panel.few_units import UnitDegrees, by_cluster
from cqox.estimators.panel.group_time import GroupTimes
from cqox.estimators.panel.undefined_errors import UndefinedErrors
from cqox.estimators.plan import Plan

__all__ = ["average_degrees", "group_time_tables"]

_MOST_CELLS = 400
_MOST_TESTED = 200
_PRE_TEST = Message("panel.pre-treatment-test")


def average_degrees(found: GroupTimes, average: Average, by_units: UnitDegrees) -> tuple[float | None, list[Message]]:
    """Return the degrees of freedom of an average of effects and, if they are Welch's, a note that says so.

    Args:
        found: the effects.
        average: of some of them.
        by_units: degrees of freedom of the design.
    """
    inside = (average.weights != 0) & ~found.cells.reference
    treated = np.isin(np.arange(len(found.panel.cohorts)), found.cells.cohort[inside])
    return by_units.of(treated, found.cells.controls[inside].any(axis=0))


def group_time_tables(
    plan: Plan, found: GroupTimes, clusters: Clusters, by_units: UnitDegrees, undefined: UndefinedErrors
) -> dict[str, Json]:
    """Return the group-time effects and their averages, each with its error and a simultaneous band.

    Args:
        plan: the request's plan.
        found: the effects.
        clusters: of the units.
        by_units: degrees of freedom of the averages.
        undefined: which effects have no standard error.
    """
    values = found.panel.values.tolist()
    events, groups, calendar = by_event(found, plan.settings.event_window), by_group(found), by_calendar(found)
    families = (
        ("dynamic", events, [{"event": step} for step in events.at]),
        ("group", groups, [{"cohort": found.panel.cohorts[at].onset.value} for at in groups.at]),
        ("calendar", calendar, [{"period": values[period]} for period in calendar.at]),
    )
    tables: dict[str, Json] = {
        "group_time": _cells(plan.settings, found, clusters, undefined),
        "group_time_effects": len(found.cells.cohort),
    }
    for name, family, keys in families:
        tables[name] = _family(plan.settings, found, family, keys, clusters, by_units, undefined)
    tables["pre_test"] = _pre_test(plan.settings, found, clusters, undefined)
    return tables


def _cells(settings: Settings, found: GroupTimes, clusters: Clusters, undefined: UndefinedErrors) -> list[Json]:
    panel, cells = found.panel, found.cells
    count = min(len(cells.cohort), _MOST_CELLS)
    own = errors(found, clusters, clustered=by_cluster(settings, clusters)) * panel.scale
    rows: list[Json] = []
    for at in range(count):
        reason = undefined.of_cell(at)
        row: dict[str, Json] = {
            "cohort": panel.cohorts[int(cells.cohort[at])].onset.value,
            "period": float(panel.values[cells.period[at]]),
            "base": float(panel.values[cells.base[at]]),
            "estimate": float(found.effects[at] * panel.scale),
            "standard_error": finite(float(own[at])) if reason is None else None,
            "treated_units": int(found.rows[at, 0]),
            "comparison_units": int(found.rows[at, 1]),
        }
        rows.append(row if reason is None else {**row, "reason": reason})
    return rows


def _alone(found: GroupTimes, at: int) -> Average:
    """Return one effect as an average of itself."""
    return Average(
        value=float(found.effects[at]),
        weights=np.eye(1, len(found.effects), at)[0],
        by_size=np.zeros(len(found.panel.cohorts)),
    )


def _family(
    settings: Settings,
    found: GroupTimes,
    family: Family,
    keys: Sequence[Mapping[str, Json]],
    clusters: Clusters,
    by_units: UnitDegrees,
    undefined: UndefinedErrors,
) -> dict[str, Json]:
    overall = [] if family.overall is None else [family.overall]
    averages, scale, count = [*family.averages, *overall], found.panel.scale, len(family.averages)
    matrix = covariance(found, averages, clusters, clustered=by_cluster(settings, clusters)) * scale**2
    values = np.asarray([each.value for each in averages]) * scale
    reasons, reason = undefined.of_family(family)
    degrees = [average_degrees(found, each, by_units)[0] for each in family.averages]
    table: dict[str, Json] = {
        "overall": float(values[-1]) if overall else None,
        "overall_standard_error": _root(matrix[-1, -1]) if overall and reason is None else None,
        **banded(
            keys, values[:count], matrix[:count, :count], alpha=settings.alpha, degrees=degrees, seed=settings.seed,
            reasons=reasons,
        ),
    }  # fmt: skip
    if reason is not None:
        table["overall_reason"] = reason
    return table


def _root(variance: float) -> float | None:
    return float(np.sqrt(variance)) if variance > 0 else None


def _pre_test(settings: Settings, found: GroupTimes, clusters: Clusters, undefined: UndefinedErrors) -> dict[str, Json]:
    """Return the Wald test that every effect before treatment is 0, by its chi-square as in R's did.

    Its effects are those of single cohorts and periods; the gate uses the averages of the event study. Effects without
    a standard error are left out.
    """
    before = np.flatnonzero((found.cells.event < -settings.anticipation) & ~found.cells.reference)
    tested = before[~undefined.cells[before]]
    table: dict[str, Json] = {"test": _PRE_TEST, "effects": len(tested), "statistic": None, "p_value": None}
    if len(tested) < len(before):
        table["left_out"] = len(before) - len(tested)
    if not 0 < len(tested) <= _MOST_TESTED or clusters.fewest == 1:
        return table
    each = [_alone(found, at) for at in tested.tolist()]
    matrix = covariance(found, each, clusters, clustered=by_cluster(settings, clusters))
    try:
        statistic = float(found.effects[tested] @ np.linalg.solve(matrix, found.effects[tested]))
    except np.linalg.LinAlgError:
        statistic = np.nan
    if statistic >= 0 and np.linalg.cond(matrix) < 1e12:
        table["statistic"], table["p_value"] = statistic, chi_square_survival(statistic, len(tested))
    return table
