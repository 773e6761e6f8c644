"""Panel matching on treatment history, where treatment may start, end and start again.

Each start of treatment is compared with units that had the same treatment over the periods before and that stay
untreated in its first period; their changes of the outcome since the period before are differenced. It assumes parallel
trends conditional on that history (and on the refinement covariates). Treatment changes after the start are part of its
effect: some treated units end their treatment, some controls start later.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator
from cqox.estimators.inference.arm_sizes import allowing_for_few_clusters
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, no_absorbing, varying_outcome
from cqox.estimators.inference.multiplier import banded
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.numerics.calendar import counted
from cqox.estimators.numerics.quantiles import chi_square_survival
from cqox.estimators.panel.few_units import degrees_of_units, with_degrees
from cqox.estimators.panel.matched_sets import MatchedSets, matched_sets
from cqox.estimators.panel.unit_errors import unit_clusters, unit_covariance, unit_rows
from cqox.estimators.plan import Plan

__all__ = ["ESTIMATORS"]

_FAMILY = "panel_matching"
_ESTIMAND = "ATT of starting treatment"
_FEW = 10
_NOT_PARALLEL = 0.01
"""Level of the warning on trends before a start; at .05 it would take five of a hundred good studies' confidence."""
_UNEVEN = 1.5


def _panel_matching(plan: Plan) -> Estimate:
    found = matched_sets(plan)
    panel, clusters = found.panel, unit_clusters(plan, found.panel)
    by_lead = [found.effect(lead) for lead in range(found.leads + 1)]
    values = np.asarray([each[0] for each in by_lead if each is not None]) * panel.scale
    parts = np.stack([each[1] for each in by_lead if each is not None]) * panel.scale
    average = parts.mean(axis=0)
    degrees = _degrees(plan, found, clusters)
    uncertainty = with_degrees(
        allowing_for_few_clusters(
            influence_se(average, clusters, plan.settings, name="influence function"), plan, panel.sample, _FAMILY,
            _ESTIMAND,
        ),
        degrees,
    )  # fmt: skip
    leads: list[dict[str, Json]] = [{"lead": lead} for lead in range(found.leads + 1)]
    diagnostics, warnings = _described(plan, found)
    diagnostics["by_lead"] = _table(plan, leads, values, parts, clusters, degrees[0])
    placebo, doubts = _placebo(plan, found, clusters, degrees[0])
    diagnostics["before"] = placebo
    return make_estimate(
        EstimateId("panel_matching", _FAMILY, _ESTIMAND), plan, panel.sample, float(values.mean()),
        unit_rows(panel, average), uncertainty, diagnostics=diagnostics,
        notes=(*found.notes, *_uneven(plan, found)),
        warnings=(*warnings, *doubts),
    )  # fmt: skip


def _described(plan: Plan, found: MatchedSets) -> tuple[dict[str, Json], list[Message]]:
    starts, lost = found.starts
    used = starts - lost
    candidates = np.bincount(found.group, ~found.treated)[found.group[found.treated]]
    details: dict[str, Json] = {
        "lags": found.lags,
        "leads": found.leads,
        "refinement": plan.settings.match_refinement,
        "units": found.panel.units,
        "periods": found.panel.periods,
        "starts": starts,
        "starts_used": used,
        "starts_left_out": lost,
        "set_size": {"smallest": int(candidates.min()), "median": float(np.median(candidates))},
    }
    warnings = list[Message]()
    if used < _FEW:
        warnings.append(Message("panel.few-starts", starts=used))
    if 2 * lost > starts:
        warnings.append(Message("panel.starts-left-out", left_out=lost, starts=starts, lags=found.lags))
    return details, warnings


def _uneven(plan: Plan, found: MatchedSets) -> list[Message]:
    """Return a note if lags and leads, which count periods, are of different lengths."""
    labels, codes = plan.data.time_labels, plan.data.time
    if labels is not None and codes is not None:
        labels = tuple(labels[code] for code in np.unique(found.panel.sample.take(codes)))
    steps = np.diff(counted(found.panel.values, labels).values)
    if float(steps.max()) <= _UNEVEN * float(steps.min()):
        return []
    return [Message("panel.uneven-periods")]


def _degrees(plan: Plan, found: MatchedSets, clusters: Clusters) -> tuple[float | None, list[Message]]:
    """Return the degrees of freedom, by the units that start and those that only serve as controls.

    A unit counts by its share in the weights: that of its starts, or of its appearances as a control.
    """
    starts = np.bincount(found.unit, np.where(found.treated, found.shares, 0.0), found.panel.units)
    compared = np.bincount(found.unit, np.where(found.treated, 0.0, found.shares), found.panel.units)
    arm_codes = np.where(starts > 0, 1.0, np.where(compared > 0, 0.0, -1.0))
    mass = np.where(starts > 0, starts, np.where(compared > 0, compared, 1.0))
    return degrees_of_units(arm_codes, replace(clusters, weights=mass), plan.settings)


def _table(
    plan: Plan,
    keys: Sequence[dict[str, Json]],
    values: Vector,
    parts: Matrix,
    clusters: Clusters,
    degrees: float | None,
) -> dict[str, Json]:
    clustered = plan.settings.se in ("auto", "CRV1", "CRV3")
    covariance = unit_covariance(parts, clusters, clustered=clustered)
    return banded(
        keys, values, covariance, alpha=plan.settings.alpha, degrees=[degrees] * len(values), seed=plan.settings.seed
    )


def _placebo(
    plan: Plan, found: MatchedSets, clusters: Clusters, degrees: float | None
) -> tuple[dict[str, Json], list[Message]]:
    """Return placebo differences of the same sets between earlier periods and the one before the start."""
    tested = [(-lag, effect) for lag in range(2, found.lags + 1) if (effect := found.effect(-lag)) is not None]
    if not tested:
        return {"reason": Message("panel.too-few-periods-before-start")}, []
    values = np.asarray([effect[0] for _, effect in tested]) * found.panel.scale
    parts = np.stack([effect[1] for _, effect in tested]) * found.panel.scale
    keys: list[dict[str, Json]] = [{"lead": lead} for lead, _ in tested]
    table = _table(plan, keys, values, parts, clusters, degrees)
    clustered = plan.settings.se in ("auto", "CRV1", "CRV3")
    covariance = unit_covariance(parts, clusters, clustered=clustered)
    p_value = None
    if np.isfinite(covariance).all() and np.linalg.matrix_rank(covariance) == len(values):
        statistic = float(values @ np.linalg.solve(covariance, values))
        p_value = chi_square_survival(statistic, len(values)) if math.isfinite(statistic) else None
    table["p_value"] = p_value
    if p_value is None or p_value >= _NOT_PARALLEL:
        return table, []
    return table, [Message("panel.diverging-trends", p_value=p_value)]


def _rule(plan: Plan) -> Message | None:
    reason = no_absorbing(plan)
    if reason is not None:
        return reason
    sample = plan.sample("y", "unit_id", "time", "treatment")
    reason = varying_outcome(plan, sample)
    if reason is None:
        matched_sets(plan)
    return reason


ESTIMATORS: tuple[Estimator, ...] = (
    Estimator(
        name="panel_matching",
        family=_FAMILY,
        estimand=_ESTIMAND,
        summary="Difference in differences within sets of the same treatment history; treatment may start and end. "
        "Parallel trends given the history.",
        requires=("y", "treatment", "unit_id", "time"),
        optional=("covariates", "weights", "cluster"),
        standard_error="influence function by unit, CRV1 with t(G-1), or Welch's degrees of freedom where few start "
        "treatment or are compared with; sets and their weights are taken as given",
        paper="Imai, Kim and Wang 2023, American Journal of Political Science 67(3), 587-605",
        doi="10.1111/ajps.12685",
        checked_against="sets enumerated one by one, two-period differences in a block design, and Monte-Carlo",
        laws=frozenset({"row_permutation", "outcome_affine", "chunk_size", "threads"}),
        rule=_rule,
        compute=_panel_matching,
    ),
)
