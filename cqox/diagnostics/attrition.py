"""Differential attrition and bounds on the effect under missing outcomes."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Plan, Vector
from cqox.estimators.adjustment.missing_outcome_bounds import Bounds, trimming_bounds, worst_case_bounds
from cqox.estimators.inference.clusters import Clusters, clustered_variance
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["attrition"]


def attrition(plan: Plan) -> dict[str, Json]:
    """Compare the share of missing outcomes between the arms and bound the effect of a randomised treatment.

    Errors are clustered where rows are. Without a missing outcome there are the counts and a `reason`.

    Raises:
        UnusableData: the treatment is not binary, or no outcome is mapped.
    """
    data = plan.data
    if data.treatment_kind != "binary" or not plan.has("y"):
        raise UnusableData(Message("diagnostics.attrition-needs"))
    sample = plan.sample("treatment")
    y, treated = sample.take(data.y), plan.treated(sample)
    missing = np.isnan(y)
    lost = [int(np.count_nonzero(missing & (treated == level))) for level in (0.0, 1.0)]
    counts: dict[str, Json] = {"untreated_rows_missing": lost[0], "treated_rows_missing": lost[1]}
    if not missing.any():
        return {**counts, "reason": Message("diagnostics.no-missing-outcome")}
    sizes = [max(int(np.count_nonzero(treated == level)), 1) for level in (0.0, 1.0)]
    share = [rows / size for rows, size in zip(lost, sizes, strict=True)]
    weights, clusters = plan.weights(sample), plan.clusters(sample)
    worst = worst_case_bounds(y, treated, weights, plan.settings.outcome_range, plan.settings.alpha, clusters.codes)
    return {
        **counts,
        "untreated_share_missing": number(share[0]),
        "treated_share_missing": number(share[1]),
        "difference_in_shares": number(share[1] - share[0]),
        "p_value": number(_p_value(missing, treated, share, sizes, clusters)),
        "observed_difference": number(_observed_difference(y, treated, weights)),
        "worst_case": _as_json(worst),
        "trimming": _as_json(trimming_bounds(y, treated, weights, plan.settings.alpha, clusters.codes)),
        "assumes": Message("diagnostics.attrition-assumes"),
    }


def _p_value(
    missing: NDArray[np.bool_], treated: Vector, share: Sequence[float], sizes: Sequence[int], clusters: Clusters
) -> float | None:
    """Return the p-value of equal shares of missing outcomes; None if the shares have no variance."""
    arm = treated.astype(np.intp)
    signs = np.asarray([-1.0 / sizes[0], 1.0 / sizes[1]])[arm]
    contributions = signs * (missing - np.asarray(share)[arm])
    if clusters.codes and clusters.fewest > 1:
        variance, degrees = clustered_variance(contributions, clusters.codes), float(clusters.fewest - 1)
    else:
        variance, degrees = float(contributions @ contributions), None
    return two_sided((share[1] - share[0]) / float(np.sqrt(variance)), degrees) if variance > 0 else None


def _observed_difference(y: Vector, treated: Vector, weights: Vector | None) -> float:
    """Return the difference of the arms' means of the outcomes that are observed."""
    w = np.where(np.isnan(y), 0.0, 1.0 if weights is None else weights)
    known = np.nan_to_num(y)
    treated_mean, untreated_mean = (known @ (w * arm) / (w @ arm) for arm in (treated, 1.0 - treated))
    return float(treated_mean - untreated_mean)


def _as_json(bounds: Bounds) -> dict[str, Json]:
    return {key: value if isinstance(value, str) else number(value) for key, value in asdict(bounds).items()}
