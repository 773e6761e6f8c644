"""Differences in differences where treatment starts at different times in different units.

All assume that without treatment the outcomes of the units compared would have moved in parallel, and that nothing
happened in anticipation (or not before the periods that the request allows for it). Callaway and Sant'Anna compare each
cohort with units that are not treated yet, two periods at a time, and average; imputation fits unit and period levels
to all untreated rows and compares the treated rows with what these predict. Neither mixes effects with negative
weights, as two-way fixed effects do where effects differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.estimators._averages import (
    Average,
    Family,
    by_calendar,
    by_event,
    by_group,
    contributions,
    covariance,
    errors,
    simple,
)
from cqox.estimators._group_time import GroupTimes, group_times
from cqox.estimators._multiplier import uniform_critical_value
from cqox.estimators._panel import staggered_panel, unit_clusters, unit_rows
from cqox.estimators._quantiles import chi_square_survival, critical_value
from cqox.estimators._result import Title, estimated, finite
from cqox.estimators._uncertainty import asymptotic
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS", "EventStudy", "event_study"]

_FAMILY = "did_staggered"
_MOST_CELLS = 400
_MOST_TESTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStudy:
    """Effects by steps since the start of treatment, with their joint uncertainty, in units of y.

    Attributes:
        events: (k,) steps; before the start they are negative.
        estimates: (k,) average effects.
        covariance: (k, k) of them; 0 for the period that all are compared with, NaN where there is one cluster.
        differences: (k,) whether a negative step is the change from the step before it, and not the difference from
            the last step before treatment.
        clusters: how many clusters, or units, the covariance rests on.
        degrees: of freedom of the t distribution; None for the normal.
    """

    events: tuple[int, ...]
    estimates: Vector
    covariance: Matrix
    differences: bool
    clusters: int
    degrees: float | None


def event_study(plan: Plan) -> EventStudy:
    """The event study of the group-time effects, as the request's options ask for it.

    Raises:
        UnusableData: the data are no staggered design, or nobody is there to compare with.
    """
    return plan.share("event study", lambda: _event_study(plan))


def _event_study(plan: Plan) -> EventStudy:
    found = group_times(plan)
    family = by_event(found, plan.settings.event_window)
    clusters = unit_clusters(plan, found.panel)
    scale = found.panel.scale
    return EventStudy(
        events=family.at,
        estimates=np.asarray([each.value for each in family.averages]) * scale,
        covariance=covariance(found, family.averages, clusters, clustered=_clustered(plan)) * scale**2,
        differences=plan.settings.base_period == "varying",
        clusters=clusters.fewest,
        degrees=float(clusters.fewest - 1) if _clustered(plan) else None,
    )


def _clustered(plan: Plan) -> bool:
    return plan.settings.se in ("auto", "CRV1", "CRV3")


def _callaway_santanna(plan: Plan) -> Estimate:
    found = group_times(plan)
    panel, average = found.panel, simple(found)
    parts = contributions(found, average) * panel.scale
    uncertainty = asymptotic(parts, unit_clusters(plan, panel), plan.settings, name="influence function")
    diagnostics: dict[str, Json] = {
        "compared_with": found.compared_with,
        "adjustment": found.method,
        "units": panel.units,
        "periods": panel.periods,
        "cohorts": [{"start": float(panel.values[cohort.start]), "units": cohort.size} for cohort in panel.treated],
        "never_treated_units": panel.units - sum(cohort.size for cohort in panel.treated),
        **_tables(plan, found),
    }
    return estimated(
        Title("did_callaway_santanna", _FAMILY, "ATT"), plan, panel.sample, average.value * panel.scale,
        unit_rows(panel, parts), uncertainty, diagnostics=diagnostics, notes=found.notes, warnings=found.warnings,
    )  # fmt: skip


def _tables(plan: Plan, found: GroupTimes) -> dict[str, Json]:
    """The effects by cohort and period, and their averages, each with its error and a band that holds all of a kind."""
    panel, cells = found.panel, found.cells
    values = panel.values
    families = {
        "dynamic": (by_event(found, plan.settings.event_window), "event", None),
        "group": (by_group(found), "cohort", values),
        "calendar": (by_calendar(found), "period", values),
    }
    own = errors(found, unit_clusters(plan, panel), clustered=_clustered(plan)) * panel.scale
    rows: list[Json] = [
        {
            "cohort": float(values[panel.cohorts[int(cells.cohort[at])].start]),
            "period": float(values[cells.period[at]]),
            "base": float(values[cells.base[at]]),
            "estimate": float(found.effects[at] * panel.scale),
            "standard_error": finite(float(own[at])),
            "treated_units": int(found.rows[at, 0]),
            "comparison_units": int(found.rows[at, 1]),
        }
        for at in range(min(len(cells.cohort), _MOST_CELLS))
    ]
    tables: dict[str, Json] = {"group_time": rows, "group_time_effects": len(cells.cohort)}
    for name, (family, key, scale) in families.items():
        tables[name] = _family(plan, found, family, key, scale)
    tables["pre_test"] = _pre_test(plan, found)
    return tables


def _family(plan: Plan, found: GroupTimes, family: Family, key: str, scale: Vector | None) -> dict[str, Json]:
    overall = [] if family.overall is None else [family.overall]
    averages = [*family.averages, *overall]
    clusters, alpha = unit_clusters(plan, found.panel), plan.settings.alpha
    matrix = covariance(found, averages, clusters, clustered=_clustered(plan))
    degrees = float(clusters.fewest - 1) if _clustered(plan) and clusters.fewest > 1 else None
    count = len(family.averages)
    return {
        "overall": averages[-1].value * found.panel.scale if overall else None,
        "overall_standard_error": _root(matrix[-1, -1], found.panel.scale) if overall else None,
        **_band(family.at, averages[:count], matrix[:count, :count], found.panel.scale, key, scale, alpha, degrees,
                plan.settings.seed),
    }  # fmt: skip


def _root(variance: float, scale: float) -> float | None:
    return float(np.sqrt(variance)) * scale if variance > 0 else None


def _band(
    at: Sequence[int],
    averages: Sequence[Average],
    matrix: Matrix,
    scale: float,
    key: str,
    values: Vector | None,
    alpha: float,
    degrees: float | None,
    seed: int,
) -> dict[str, Json]:
    """Each average with its interval, and with the band that holds all of them at once."""
    known = bool(np.isfinite(matrix).all())
    single = critical_value(alpha, degrees)
    uniform = uniform_critical_value(matrix, alpha, degrees, seed) if known else None
    rows: list[Json] = []
    for place, (step, average) in enumerate(zip(at, averages, strict=True)):
        value, error = average.value * scale, _root(matrix[place, place], scale)
        row: dict[str, Json] = {
            key: step if values is None else float(values[step]), "estimate": value, "standard_error": error,
        }  # fmt: skip
        for name, reach in (("", single), ("band_", uniform)):
            for end, sign in (("lower", -1.0), ("upper", 1.0)):
                row[f"{name}{end}"] = None if error is None or reach is None else value + sign * reach * error
        rows.append(row)
    return {"critical_value": uniform, "averages": rows}


def _pre_test(plan: Plan, found: GroupTimes) -> dict[str, Json]:
    """The Wald test that every effect before treatment is 0, by its chi-square as R's did gives it."""
    before = np.flatnonzero((found.cells.event < -plan.settings.anticipation) & ~found.cells.reference)
    clusters = unit_clusters(plan, found.panel)
    if not 0 < len(before) <= _MOST_TESTED or clusters.fewest < 2:
        return {"effects": len(before), "statistic": None, "p_value": None}
    count, cohorts = len(found.effects), len(found.panel.cohorts)
    each = [
        Average(value=float(found.effects[at]), weights=np.eye(1, count, at)[0], by_size=np.zeros(cohorts))
        for at in before.tolist()
    ]
    matrix = covariance(found, each, clusters, clustered=_clustered(plan))
    try:
        statistic = float(found.effects[before] @ np.linalg.solve(matrix, found.effects[before]))
    except np.linalg.LinAlgError:
        statistic = np.nan
    usable = statistic >= 0 and np.linalg.cond(matrix) < 1e12
    return {
        "effects": len(before),
        "statistic": statistic if usable else None,
        "p_value": chi_square_survival(statistic, len(before)) if usable else None,
    }


def _group_time_rule(plan: Plan) -> str | None:
    panel = staggered_panel(plan)
    unit_clusters(plan, panel)
    return None


_ERROR = "influence function, CRV1 with t(G-1) by unit or by the mapped clusters; bands by the multiplier bootstrap"
_LAWS = CROSS_SECTION_LAWS - {"half_weights", "flip_treatment"}

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="did_callaway_santanna",
        family=_FAMILY,
        estimand="ATT",
        summary="Average over cohorts and periods of the change since before treatment, less the same change of units "
        "not treated yet; without treatment both would have moved in parallel (given the covariates, where mapped).",
        requires=("y", "unit_id", "time"),
        optional=("cohort", "treatment", "covariates", "weights", "cluster"),
        standard_error=_ERROR,
        paper="Callaway and Sant'Anna 2021, Journal of Econometrics 225, equations 2.4 to 2.9 and section 3; with "
        "covariates Sant'Anna and Zhao 2020, doi:10.1016/j.jeconom.2020.06.003",
        doi="10.1016/j.jeconom.2020.12.001",
        checked_against="R did, csdid",
        laws=_LAWS,
        rule=_group_time_rule,
        compute=_callaway_santanna,
    ),
)
