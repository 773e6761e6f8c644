"""What an interval rests on in each arm: its rows, or its clusters, and what to say where they are few."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cqox.estimators.data import Vector
from cqox.estimators.inference.cluster_arms import ClustersByArm, clusters_by_arm
from cqox.estimators.inference.standard_errors import Uncertainty
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["RowsByArm", "allowing_for_few_clusters", "doubtful_rows", "exposed_over_time", "rows_by_arm"]

_OF_MODELS = ("weighting", "doubly_robust", "double_ml", "meta_learners")
"""Families whose errors are those of large samples, with models of treatment or of outcomes in each arm."""

_OF_ARMS = (*_OF_MODELS, "regression", "stratification", "matching", "causal_forest")
"""Families that compare the rows of two arms."""

_OVER_TIME = ("did", "did_staggered", "panel_matching")
"""Families that compare changes under treatment with those of others at the same time."""

_ROWS_PER_COEFFICIENT = 10
_FEW_ROWS = 10
_FIRST_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsByArm:
    """The rows of each arm.

    Attributes:
        untreated: how many are not treated.
        treated: how many are.
        constant: the arms, by name, whose outcome never varies.
    """

    untreated: int
    treated: int
    constant: tuple[str, ...]


def rows_by_arm(plan: Plan, sample: Sample, family: str, estimand: str) -> RowsByArm | None:
    """The rows of each arm; None for an estimator that does not compare the rows of two."""
    if not _compares_rows(plan, family, estimand):
        return None

    def make() -> tuple[Sample, RowsByArm]:
        y, treated = sample.take(plan.data.y), plan.treated(sample) > 0
        # The first rows tell nearly always; all of them are looked at where they do not.
        constant = _constant(y[:_FIRST_ROWS], treated[:_FIRST_ROWS]) and _constant(y, treated)
        rows = plan.arm_rows(sample)
        return sample, RowsByArm(untreated=rows[0], treated=rows[1], constant=constant)

    # With the sample, so that no other comes to have its id.
    return plan.share(("rows by arm", id(sample)), make)[1]


def _constant(y: Vector, treated: NDArray[np.bool_]) -> tuple[str, ...]:
    """The arms, by name, in which y never varies."""
    arms = (("untreated", ~treated), ("treated", treated))
    return tuple(name for name, inside in arms if not ((y != y[np.argmax(inside)]) & inside).any())


def _compares_rows(plan: Plan, family: str, estimand: str) -> bool:
    return family in _OF_ARMS and estimand != "LATE" and plan.data.treatment_kind == "binary"


def doubtful_rows(arms: RowsByArm, plan: Plan, family: str, uncertainty: Uncertainty) -> list[str]:
    """Warnings where the rows of an arm are too few, or too alike, for what an interval takes for granted."""
    doubts = [
        f"The outcome is the same in all {getattr(arms, name)} {name} rows: that it might have differed counts for "
        "nothing, so that the interval is too narrow."
        for name in arms.constant
    ]
    if plan.has("cluster"):
        return doubts
    name, rows = ("treated", arms.treated) if arms.treated <= arms.untreated else ("untreated", arms.untreated)
    models = family in _OF_MODELS and plan.has("covariates")
    coefficients = plan.data.covariates.shape[1] + 1
    if models and rows >= _FEW_ROWS and rows < _ROWS_PER_COEFFICIENT * coefficients:
        doubts.append(
            f"The {name} arm has {rows} rows for {coefficients} coefficients: the interval is right in large samples "
            "and may be too narrow here; ols_adjustment allows for few rows."
        )
    elif rows < _FEW_ROWS and uncertainty.method == "HC2":
        doubts.append(
            f"The {name} arm has {rows} rows: the interval allows for so few where outcomes are normally distributed, "
            "and may be too narrow where they are not."
        )
    elif rows < _FEW_ROWS and (models or not uncertainty.clustered):
        doubts.append(
            f"The {name} arm has {rows} rows: the interval is right in large samples and may be too narrow here; "
            "difference_in_means with HC2 allows for so few."
        )
    return doubts


def allowing_for_few_clusters(
    uncertainty: Uncertainty, plan: Plan, sample: Sample, family: str, estimand: str
) -> Uncertainty:
    """The uncertainty with the clusters of each arm, and where an arm has one, a clustered error by request alone."""
    if uncertainty.by_arm is not None:
        return uncertainty
    by_arm = _clusters(plan, sample, family, estimand)
    if by_arm is None:
        return uncertainty
    found = replace(uncertainty, by_arm=by_arm)
    refusal, doubt = None if plan.settings.se == "CRV1" else by_arm.refusal(), by_arm.doubt()
    if doubt is None or not found.clustered or found.standard_error is None:
        return found
    return replace(found, warnings=(doubt, *found.warnings)) if refusal is None else found.without_error(refusal)


def _clusters(plan: Plan, sample: Sample, family: str, estimand: str) -> ClustersByArm | None:
    codes = plan.clusters(sample).codes
    if family in _OVER_TIME:
        return clusters_by_arm(codes, exposed_over_time(plan, sample, staggered=family == "did_staggered"))
    return clusters_by_arm(codes, plan.treated(sample)) if _compares_rows(plan, family, estimand) else None


def exposed_over_time(plan: Plan, sample: Sample, *, staggered: bool) -> Vector | None:
    """(n,) 1 where the row is treated, 0 where it is not while others are, -1 in periods in which nobody is.

    Args:
        plan: the request's plan.
        sample: the rows.
        staggered: whether `cohort` and `post`, where mapped, say who is treated by now, as in the staggered designs.

    Returns:
        None where no treatment of two levels is mapped.
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
