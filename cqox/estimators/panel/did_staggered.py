"""Difference in differences with staggered adoption.

All assume parallel trends and no anticipation (or none before the periods that the request allows for it). Callaway and
Sant'Anna compare each cohort with units not yet treated, two periods at a time, and average; imputation fits unit and
period effects to all untreated rows and compares the treated rows with their predictions. Neither mixes effects with
negative weights, as two-way fixed effects do with heterogeneous effects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import CROSS_SECTION_LAWS, Estimator
from cqox.estimators.inference.arm_sizes import allowing_for_few_clusters
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, only_panel_effects
from cqox.estimators.inference.multiplier import banded
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se
from cqox.estimators.panel.aggregation import Family, by_event, contributions, covariance, simple
from cqox.estimators.panel.comparisons import comparisons
from cqox.estimators.panel.few_units import UnitDegrees, by_cluster, with_degrees
from cqox.estimators.panel.group_time import GroupTimes, group_times
from cqox.estimators.panel.group_time_tables import average_degrees, group_time_tables
from cqox.estimators.panel.imputation import imputation
from cqox.estimators.panel.layout import Panel, staggered_panel
from cqox.estimators.panel.leads import Leads, tested_leads
from cqox.estimators.panel.undefined_errors import UndefinedErrors
from cqox.estimators.panel.unit_errors import unit_clusters, unit_covariance, unit_rows
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS", "EventStudy", "event_study", "rule_of"]

_FAMILY = "did_staggered"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStudy:
    """An event study: effects by event time, with their joint covariance, in units of y.

    Attributes:
        events: (k,) event times; negative before the start.
        estimates: (k,) average effects.
        covariance: (k, k) of them; 0 for the reference period, NaN if there is one cluster.
        differences: (k,) True if a negative event time is the change from the preceding period, and not the difference
            from the last period before treatment.
        clusters: number of clusters, or units, of the covariance.
        degrees: of freedom of the t distribution, the smaller of those of the first effect and of the mean from event
            time 0 on; None for the normal.
        leads: the testable effects before treatment.
        undefined: (k,) why an average has no standard error, despite its covariance; None where it has one.
        mean_undefined: the same for the mean from event time 0 on.
    """

    events: tuple[int, ...]
    estimates: Vector
    covariance: Matrix
    differences: bool
    clusters: int
    degrees: float | None
    leads: Leads
    undefined: tuple[Message | None, ...]
    mean_undefined: Message | None


def event_study(plan: Plan) -> EventStudy:
    """Return the event study of the group-time effects, by the request's options.

    Raises:
        UnusableData: the data are no staggered design, or there is no comparison group.
    """
    return plan.share("event study", lambda: _event_study(plan))


def _event_study(plan: Plan) -> EventStudy:
    found = group_times(plan)
    family = by_event(found, plan.settings.event_window)
    clusters = unit_clusters(plan, found.panel)
    scale, clustered = found.panel.scale, by_cluster(plan.settings, clusters)
    undefined, mean_undefined = UndefinedErrors(found, clusters, plan.settings).of_family(family)
    return EventStudy(
        events=family.at,
        estimates=np.asarray([each.value for each in family.averages]) * scale,
        covariance=covariance(found, family.averages, clusters, clustered=clustered) * scale**2,
        differences=plan.settings.base_period == "varying",
        clusters=clusters.fewest or found.panel.units,
        degrees=_fewest_degrees(found, family, UnitDegrees(found.panel, clusters, plan.settings)),
        leads=tested_leads(found, family, clusters, anticipation=plan.settings.anticipation, clustered=clustered),
        undefined=tuple(undefined),
        mean_undefined=mean_undefined,
    )


def _fewest_degrees(found: GroupTimes, family: Family, by_units: UnitDegrees) -> float | None:
    first = [average for event, average in zip(family.at, family.averages, strict=True) if event == 0]
    shown = first if family.overall is None else [*first, family.overall]
    each = [average_degrees(found, average, by_units)[0] for average in shown or family.averages]
    return min((degrees for degrees in each if degrees is not None), default=None)


def _callaway_santanna(plan: Plan) -> Estimate:
    found = group_times(plan)
    panel, average, clusters = found.panel, simple(found), unit_clusters(plan, found.panel)
    parts, undefined = contributions(found, average) * panel.scale, UndefinedErrors(found, clusters, plan.settings)
    by_units = UnitDegrees(panel, clusters, plan.settings)
    checked = _with_reason(
        plan, panel.sample, influence_se(parts, clusters, plan.settings, name="influence function"),
        undefined.of(average),
    )  # fmt: skip
    uncertainty = with_degrees(checked, average_degrees(found, average, by_units))
    diagnostics: dict[str, Json] = {
        "design": "panel" if isinstance(panel, Panel) else "repeated cross-sections",
        "compared_with": found.compared_with,
        "adjustment": found.method,
        "units": panel.units,
        "periods": panel.periods,
        "cohorts": [{"start": cohort.onset.value, "units": cohort.size} for cohort in panel.treated],
        "never_treated_units": panel.units - sum(cohort.size for cohort in panel.treated),
        **group_time_tables(plan, found, clusters, by_units, undefined),
    }
    return make_estimate(
        EstimateId("did_callaway_santanna", _FAMILY, "ATT"), plan, panel.sample, average.value * panel.scale,
        unit_rows(panel, parts), uncertainty, diagnostics=diagnostics, notes=found.notes, warnings=found.warnings,
    )  # fmt: skip


def _with_reason(plan: Plan, sample: Sample, uncertainty: Uncertainty, undefined: Message | None) -> Uncertainty:
    """Remove the standard error if there is a reason; a reason from the clusters of both arms comes first."""
    allowed = allowing_for_few_clusters(uncertainty, plan, sample, _FAMILY, "ATT")
    if undefined is None or allowed.standard_error is None:
        return allowed
    return allowed.without_error(undefined)


def _imputed(plan: Plan) -> Estimate:
    found = imputation(plan)
    panel, clusters = found.panel, unit_clusters(plan, found.panel)
    parts = found.contributions * panel.scale
    by_units = UnitDegrees(panel, clusters, plan.settings)
    started = by_units.started()
    checked = _with_reason(
        plan, found.sample, influence_se(parts, clusters, plan.settings, name="imputation"), found.undefined
    )
    uncertainty = with_degrees(checked, by_units.of(started, ~started, means=int(started.sum())))
    keys = [
        {"event": event, "treated_rows": rows} for event, rows in zip(found.events, found.treated_rows, strict=True)
    ]
    leads = [{"event": lead} for lead in found.leads]
    diagnostics: dict[str, Json] = {
        "units": panel.units,
        "periods": panel.periods,
        "treated_rows": sum(found.treated_rows),
        "dynamic": _imputed_family(
            plan,
            keys,
            found.effects * panel.scale,
            found.by_event * panel.scale,
            found.event_undefined,
            clusters,
            _degrees(by_units, found.events, by_cohort=True),
        ),
        "leads": _imputed_family(
            plan,
            leads,
            found.lead_effects * panel.scale,
            found.by_lead * panel.scale,
            found.lead_undefined,
            clusters,
            _degrees(by_units, found.leads, by_cohort=False),
        ),
    }
    return make_estimate(
        EstimateId("did_imputation", _FAMILY, "ATT"), plan, found.sample, found.estimate * panel.scale,
        unit_rows(panel, parts)[found.rows], uncertainty, diagnostics=diagnostics, notes=found.notes,
        warnings=found.warnings,
    )  # fmt: skip


def _degrees(by_units: UnitDegrees, steps: Sequence[int], *, by_cohort: bool) -> list[float | None]:
    """Return the table of effects by event time, with residuals from each cohort's mean or from one."""
    each = [by_units.started(step) for step in steps]
    return [by_units.of(own, ~own, means=int(own.sum()) if by_cohort else 1)[0] for own in each]


def _imputed_family(
    plan: Plan,
    keys: Sequence[Mapping[str, Json]],
    values: Vector,
    rows: Matrix,
    undefined: Sequence[Message | None],
    clusters: Clusters,
    degrees: Sequence[float | None],
) -> dict[str, Json]:
    settings, window = plan.settings, plan.settings.event_window
    shown = [at for at, key in enumerate(keys) if window is None or abs(cast("int", key["event"])) <= window]
    if not shown:
        return {"critical_value": None, "averages": []}
    return banded(
        [keys[at] for at in shown], values[shown],
        unit_covariance(rows[shown], clusters, clustered=by_cluster(settings, clusters)), alpha=settings.alpha,
        degrees=[degrees[at] for at in shown], seed=settings.seed, reasons=[undefined[at] for at in shown],
    )  # fmt: skip


def rule_of(name: str) -> object:
    """Return the key under which a plan shares the reason why one of these estimators does not apply, or None."""
    return "rule", name


def _group_time_rule(plan: Plan) -> Message | None:
    return plan.share(rule_of("did_callaway_santanna"), lambda: _against_group_times(plan))


def _imputation_rule(plan: Plan) -> Message | None:
    return plan.share(rule_of("did_imputation"), lambda: _against_imputation(plan))


def _against_group_times(plan: Plan) -> Message | None:
    panel = comparisons(plan).panel
    unit_clusters(plan, panel)
    reason = only_panel_effects(plan, panel.sample)
    if reason is not None:
        return reason
    if plan.has("covariates"):
        # The comparisons that the covariates allow do not depend on the outcomes.
        group_times(plan)
    return None


def _against_imputation(plan: Plan) -> Message | None:
    panel = staggered_panel(plan)
    unit_clusters(plan, panel)
    return only_panel_effects(plan, panel.sample)


_ERROR = (
    "influence function, CRV1 by unit or by the mapped clusters with t(G-1), or Welch's degrees of freedom where few "
    "are treated or compared with; bands by the multiplier bootstrap"
)
_LAWS = CROSS_SECTION_LAWS - {"half_weights", "flip_treatment"}

ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="did_callaway_santanna",
        family=_FAMILY,
        estimand="ATT",
        summary="Average over cohorts and periods of the change since before treatment, less the same change of units "
        "not yet treated; parallel trends without treatment (given the covariates, where mapped). Where no unit is "
        "observed twice the means of repeated cross-sections are compared, sampled from one population.",
        requires=("y", "time"),
        optional=("unit_id", "cohort", "treatment", "post", "covariates", "weights", "cluster"),
        standard_error=_ERROR + "; rows of repeated cross-sections without clusters as independent",
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
        summary="Mean over treated rows of the outcome less its prediction by unit and period effects of the untreated "
        "rows; untreated outcomes follow these effects (and time-varying covariates).",
        requires=("y", "unit_id", "time"),
        optional=("cohort", "treatment", "covariates", "weights", "cluster"),
        standard_error="conservative: residuals from the mean effect of each cohort and period; CRV1 by unit or by "
        "the mapped clusters with t(G-1), or Welch's degrees of freedom where few are treated or compared with",
        paper="Borusyak, Jaravel and Spiess 2024, Review of Economic Studies 91, theorem 2 and equations 4 to 6",
        doi="10.1093/restud/rdae007",
        checked_against="the dense regression with every weight written out, pyfixest did2s (estimates)",
        laws=_LAWS,
        rule=_imputation_rule,
        compute=_imputed,
    ),
)
