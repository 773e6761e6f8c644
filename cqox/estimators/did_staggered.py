"""Differences in differences where treatment starts at different times in different units.

All assume that without treatment the outcomes of the units compared would have moved in parallel, and that nothing
happened in anticipation (or not before the periods that the request allows for it). Callaway and Sant'Anna compare each
cohort with units that are not treated yet, two periods at a time, and average; imputation fits unit and period levels
to all untreated rows and compares the treated rows with what these predict. Neither mixes effects with negative
weights, as two-way fixed effects do where effects differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

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
from cqox.estimators._comparisons import comparisons
from cqox.estimators._group_time import GroupTimes, group_times
from cqox.estimators._imputation import Imputation, imputation
from cqox.estimators._leads import Leads, tested_leads
from cqox.estimators._multiplier import banded
from cqox.estimators._panel import staggered_panel
from cqox.estimators._quantiles import chi_square_survival
from cqox.estimators._result import Title, estimated, finite, only_panel_effects
from cqox.estimators._uncertainty import Clusters, asymptotic
from cqox.estimators._unit_errors import unit_clusters, unit_covariance, unit_rows
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS", "EventStudy", "event_study"]

_FAMILY = "did_staggered"
_MOST_CELLS = 400
_MOST_TESTED = 200
_PRE_TEST = (
    "every effect before treatment by cohort and period is 0, by chi-square, as R's did gives it; no gate rests on it, "
    "but on diagnostics.event_study.pre_trends"
)


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
        leads: the effects before treatment as they can be tested.
    """

    events: tuple[int, ...]
    estimates: Vector
    covariance: Matrix
    differences: bool
    clusters: int
    degrees: float | None
    leads: Leads


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
        degrees=_degrees(plan, clusters),
        leads=tested_leads(
            found, family, clusters, anticipation=plan.settings.anticipation, clustered=_clustered(plan)
        ),
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
    panel, cells, clusters = found.panel, found.cells, unit_clusters(plan, found.panel)
    values = panel.values.tolist()
    events, groups, calendar = by_event(found, plan.settings.event_window), by_group(found), by_calendar(found)
    families = (
        ("dynamic", events, [{"event": step} for step in events.at]),
        ("group", groups, [{"cohort": values[start]} for start in groups.at]),
        ("calendar", calendar, [{"period": values[period]} for period in calendar.at]),
    )
    own = errors(found, clusters, clustered=_clustered(plan)) * panel.scale
    rows: list[Json] = [
        {
            "cohort": values[panel.cohorts[int(cells.cohort[at])].start],
            "period": values[cells.period[at]],
            "base": values[cells.base[at]],
            "estimate": float(found.effects[at] * panel.scale),
            "standard_error": finite(float(own[at])),
            "treated_units": int(found.rows[at, 0]),
            "comparison_units": int(found.rows[at, 1]),
        }
        for at in range(min(len(cells.cohort), _MOST_CELLS))
    ]
    tables: dict[str, Json] = {"group_time": rows, "group_time_effects": len(cells.cohort)}
    for name, family, keys in families:
        tables[name] = _family(plan, found, family, keys, clusters)
    tables["pre_test"] = _pre_test(plan, found, clusters)
    return tables


def _family(
    plan: Plan, found: GroupTimes, family: Family, keys: Sequence[Mapping[str, Json]], clusters: Clusters
) -> dict[str, Json]:
    overall = [] if family.overall is None else [family.overall]
    averages, scale, count = [*family.averages, *overall], found.panel.scale, len(family.averages)
    matrix = covariance(found, averages, clusters, clustered=_clustered(plan)) * scale**2
    values = np.asarray([each.value for each in averages]) * scale
    settings = plan.settings
    return {
        "overall": float(values[-1]) if overall else None,
        "overall_standard_error": _root(matrix[-1, -1]) if overall else None,
        **banded(
            keys, values[:count], matrix[:count, :count], alpha=settings.alpha, degrees=_degrees(plan, clusters),
            seed=settings.seed,
        ),
    }  # fmt: skip


def _root(variance: float) -> float | None:
    return float(np.sqrt(variance)) if variance > 0 else None


def _degrees(plan: Plan, clusters: Clusters) -> float | None:
    return float(clusters.fewest - 1) if _clustered(plan) and clusters.fewest > 1 else None


def _pre_test(plan: Plan, found: GroupTimes, clusters: Clusters) -> dict[str, Json]:
    """The Wald test that every effect before treatment is 0, by its chi-square as R's did gives it.

    Its effects are those of single cohorts and periods; the gate rests on the averages of the event study.
    """
    before = np.flatnonzero((found.cells.event < -plan.settings.anticipation) & ~found.cells.reference)
    if not 0 < len(before) <= _MOST_TESTED or clusters.fewest < 2:
        return {"test": _PRE_TEST, "effects": len(before), "statistic": None, "p_value": None}
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
        "test": _PRE_TEST,
        "effects": len(before),
        "statistic": statistic if usable else None,
        "p_value": chi_square_survival(statistic, len(before)) if usable else None,
    }


def _imputed(plan: Plan) -> Estimate:
    found = imputation(plan)
    panel, clusters = found.panel, unit_clusters(plan, found.panel)
    parts = found.contributions * panel.scale
    uncertainty = asymptotic(parts, clusters, plan.settings, name="imputation")
    keys = [
        {"event": event, "treated_rows": rows} for event, rows in zip(found.events, found.treated_rows, strict=True)
    ]
    leads = [{"event": lead} for lead in found.leads]
    diagnostics: dict[str, Json] = {
        "units": panel.units,
        "periods": panel.periods,
        "treated_rows": sum(found.treated_rows),
        "dynamic": _imputed_family(plan, found, keys, found.effects, found.by_event, clusters),
        "leads": _imputed_family(plan, found, leads, found.lead_effects, found.by_lead, clusters),
    }
    return estimated(
        Title("did_imputation", _FAMILY, "ATT"), plan, found.sample, found.estimate * panel.scale,
        unit_rows(panel, parts)[found.rows], uncertainty, diagnostics=diagnostics, notes=found.notes,
        warnings=found.warnings,
    )  # fmt: skip


def _imputed_family(
    plan: Plan, found: Imputation, keys: Sequence[Mapping[str, Json]], values: Vector, rows: Matrix, clusters: Clusters
) -> dict[str, Json]:
    scale, settings, window = found.panel.scale, plan.settings, plan.settings.event_window
    shown = [at for at, key in enumerate(keys) if window is None or abs(cast("int", key["event"])) <= window]
    if not shown:
        return {"critical_value": None, "averages": []}
    return banded(
        [keys[at] for at in shown], values[shown] * scale,
        unit_covariance(rows[shown] * scale, clusters, clustered=_clustered(plan)), alpha=settings.alpha,
        degrees=_degrees(plan, clusters), seed=settings.seed,
    )  # fmt: skip


def _group_time_rule(plan: Plan) -> str | None:
    panel = comparisons(plan).panel
    unit_clusters(plan, panel)
    reason = only_panel_effects(plan, panel.sample)
    if reason is not None:
        return reason
    if plan.has("covariates"):
        # Which comparisons the covariates leave does not depend on the outcomes.
        group_times(plan)
    return None


def _imputation_rule(plan: Plan) -> str | None:
    panel = staggered_panel(plan)
    unit_clusters(plan, panel)
    return only_panel_effects(plan, panel.sample)


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
    Estimator(
        name="did_imputation",
        family=_FAMILY,
        estimand="ATT",
        summary="Mean over treated rows of the outcome less what unit and period levels of the untreated rows predict; "
        "without treatment outcomes would have followed those levels (and covariates that change over time).",
        requires=("y", "unit_id", "time"),
        optional=("cohort", "treatment", "covariates", "weights", "cluster"),
        standard_error="conservative: residuals from the mean effect of each cohort and period; CRV1 with t(G-1) by "
        "unit or by the mapped clusters",
        paper="Borusyak, Jaravel and Spiess 2024, Review of Economic Studies 91, theorem 2 and equations 4 to 6",
        doi="10.1093/restud/rdae007",
        checked_against="the dense regression with every weight written out, pyfixest did2s (estimates)",
        laws=_LAWS,
        rule=_imputation_rule,
        compute=_imputed,
    ),
)
