"""The sample size of each arm, in rows or clusters, and warnings where it is small."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Settings, Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm, clusters_by_arm
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = [
    "RowsByArm",
    "allowing_for_clusters",
    "allowing_for_few_clusters",
    "arm_codes_over_time",
    "compares_rows",
    "doubtful_rows",
    "rows_by_arm",
]

_OF_MODELS = ("weighting", "doubly_robust", "double_ml", "meta_learners")
"""Families with large-sample errors and models of treatment or of outcomes in each arm."""

_OF_ARMS = (*_OF_MODELS, "regression", "stratification", "matching", "causal_forest")
"""Families that compare the rows of two arms."""

_OVER_TIME = ("did", "did_staggered", "panel_matching")
"""Families that compare changes under treatment with changes of controls in the same period."""

_ROWS_PER_COEFFICIENT = 10
_FEW_ROWS = 10
_FIRST_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsByArm:
    """The rows of each arm.

    Attributes:
        untreated: number of untreated rows.
        treated: number of treated rows.
        constant: the arms whose outcome is constant, as values of the treatment.
    """

    untreated: int
    treated: int
    constant: tuple[int, ...]


def rows_by_arm(plan: Plan, sample: Sample, family: str, estimand: str) -> RowsByArm | None:
    """Return the row counts of each arm; None for an estimator that does not compare the rows of two arms."""
    if not compares_rows(plan, family, estimand):
        return None

    def make() -> RowsByArm:
        y, treated = sample.take(plan.data.y), plan.treated(sample) > 0
        # The first rows nearly always decide; all of them are read only where they do not.
        constant = _constant(y[:_FIRST_ROWS], treated[:_FIRST_ROWS]) and _constant(y, treated)
        rows = plan.arm_rows(sample)
        return RowsByArm(untreated=rows[0], treated=rows[1], constant=constant)

    return plan.share("rows by arm", make, sample)


def _constant(y: Vector, treated: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the arms in which y is constant."""
    arms = ((0, ~treated), (1, treated))
    return tuple(arm for arm, inside in arms if not ((y != y[np.argmax(inside)]) & inside).any())


def compares_rows(plan: Plan, family: str, estimand: str) -> bool:
    """Return whether an estimator compares the rows of two arms."""
    return family in _OF_ARMS and estimand != "LATE" and plan.data.treatment_kind == "binary"


def doubtful_rows(arms: RowsByArm, plan: Plan, family: str, uncertainty: Uncertainty) -> list[Message]:
    """Return warnings where an arm has too few rows, or no outcome variance, for the interval's assumptions."""
    by_arm = (arms.untreated, arms.treated)
    doubts = [Message("inference.constant-arm", rows=by_arm[arm], arm=ARMS[arm]) for arm in arms.constant]
    if plan.has("cluster"):
        return doubts
    smaller = int(arms.treated <= arms.untreated)
    name, rows = ARMS[smaller], by_arm[smaller]
    models = family in _OF_MODELS and plan.has("covariates")
    coefficients = plan.data.covariates.shape[1] + 1
    if models and rows >= _FEW_ROWS and rows < _ROWS_PER_COEFFICIENT * coefficients:
        doubts.append(Message("inference.few-rows-for-models", arm=name, rows=rows, coefficients=coefficients))
    elif rows < _FEW_ROWS and uncertainty.method == "HC2":
        doubts.append(Message("inference.few-rows-corrected", arm=name, rows=rows))
    elif rows < _FEW_ROWS and (models or not uncertainty.clustered):
        doubts.append(Message("inference.few-rows", arm=name, rows=rows))
    return doubts


def allowing_for_few_clusters(
    uncertainty: Uncertainty, plan: Plan, sample: Sample, family: str, estimand: str
) -> Uncertainty:
    """Add the clusters of each arm to the uncertainty; with one in an arm, keep a clustered error only on request."""
    if uncertainty.by_arm is not None:
        return uncertainty
    return allowing_for_clusters(uncertainty, _clusters(plan, sample, family, estimand), plan.settings)


def allowing_for_clusters(uncertainty: Uncertainty, by_arm: ClustersByArm | None, settings: Settings) -> Uncertainty:
    """Add the clusters of each arm to an uncertainty that has none; with one in an arm, keep a clustered error only on
    request."""
    if by_arm is None or uncertainty.by_arm is not None:
        return uncertainty
    found = replace(uncertainty, by_arm=by_arm)
    refusal, doubt = None if settings.se == "CRV1" else by_arm.refusal(), by_arm.doubt()
    if doubt is None or not found.clustered or found.standard_error is None:
        return found
    return replace(found, warnings=(doubt, *found.warnings)) if refusal is None else found.without_error(refusal)


def _clusters(plan: Plan, sample: Sample, family: str, estimand: str) -> ClustersByArm | None:
    if family in _OVER_TIME:
        status = arm_codes_over_time(plan, sample, staggered=family == "did_staggered")
        return clusters_by_arm(plan.clusters(sample).codes, status)
    if not compares_rows(plan, family, estimand):
        # Such an estimator may use rows whose cluster is not known.
        return None
    return clusters_by_arm(plan.clusters(sample).codes, plan.treated(sample))


def arm_codes_over_time(plan: Plan, sample: Sample, *, staggered: bool) -> Vector | None:
    """Return (n,) 1 where the row is treated, 0 where it is not while others are, -1 in periods without treatment.

    Args:
        plan: the request's plan.
        sample: the rows.
        staggered: True if `cohort` and `post`, where mapped, define the current treatment, as in the staggered designs.

    Returns:
        None where no binary treatment is mapped.
    """
    data = plan.data
    if staggered and data.cohort is not None and data.time is not None and data.time_values is not None:
        starts = sample.take(data.cohort)
        seen = data.time_values[sample.take(data.time)]
        status = (seen >= np.where(np.isnan(starts), np.inf, starts)).astype(np.float64)
    elif data.treatment_kind == "binary":
        status = plan.treated(sample)
        if staggered and data.post is not None:
            status = status * sample.take(data.post)
    else:
        return None
    if data.time is None:
        return status
    time = sample.take(data.time)
    return np.where(np.bincount(time, status)[time] > 0, status, -1.0)
