"""Leads of a treatment that may go on and off: differences within sets of the same history before a start.

The matched sets of panel matching (Imai, Kim and Wang 2023, doi 10.1111/ajps.12685) are followed back in time: the
units of a set had the same treatment in these periods, so that their outcomes should have changed alike. The tests and
the honest bounds are those of an event study.
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.honest import honest_bounds
from cqox.diagnostics.joint_tests import joint_test
from cqox.diagnostics.json_values import number
from cqox.diagnostics.lead_contrasts import single_contrasts
from cqox.errors import UnusableData
from cqox.estimators import Json, Matrix, Plan, Vector
from cqox.estimators.panel.few_units import by_cluster
from cqox.estimators.panel.matched_sets import MatchedSets, matched_sets
from cqox.estimators.panel.unit_errors import unit_clusters, unit_covariance

__all__ = ["matched_leads"]


def matched_leads(plan: Plan, *, minimum: float = 0.0) -> dict[str, Json]:
    """Return the leads with their joint test, the tests of the last period before a start, and honest bounds.

    Args:
        plan: the contrast's plan.
        minimum: the smallest relevant effect, signed, that the breakdown of the honest bounds refers to.

    Raises:
        UnusableData: there are no matched sets, or fewer than two periods before their starts.
    """
    found = matched_sets(plan)
    clusters = unit_clusters(plan, found.panel)
    back = [lag for lag in range(found.lags, 1, -1) if found.effect(-lag) is not None]
    after = [lead for lead in range(found.leads + 1) if found.effect(lead) is not None]
    if not back or not after:
        raise UnusableData(Message("panel.too-few-periods-before-start"))
    effects = [effect for step in (*(-lag for lag in back), *after) if (effect := found.effect(step)) is not None]
    values = np.asarray([effect[0] for effect in effects]) * found.panel.scale
    parts = np.stack([effect[1] for effect in effects]) * found.panel.scale
    covariance = unit_covariance(parts, clusters, clustered=by_cluster(plan.settings, clusters))
    degrees, k = _degrees(found), len(back)
    leads, own = values[:k], covariance[:k, :k]
    trend = 1.0 - np.asarray(back, dtype=np.float64)
    steps: list[Json] = [
        {"lead": -lag, "estimate": number(value), "standard_error": number(error) if error > 0 else None}
        for lag, value, error in zip(back, leads, np.sqrt(np.maximum(np.diag(own), 0.0)), strict=True)
    ]
    return {
        "leads": steps[::-1],
        "starts_used": found.starts[0] - found.starts[1],
        "periods_before": k + 1,
        "periods_treated": {"from_last": float(np.mean(after)) + 1.0},
        **joint_test(leads, own, degrees, trend),
        **single_contrasts(leads, own, degrees),
        "honest": _honest(values, covariance, back, after, degrees, alpha=plan.settings.alpha, minimum=minimum),
    }


def _degrees(found: MatchedSets) -> float:
    """Return the degrees of freedom: the effective number of units on the smaller side, less one."""
    each = []
    for arm in (found.treated, ~found.treated):
        shares = np.bincount(found.unit, np.where(arm, found.shares, 0.0))
        each.append(float(shares.sum() ** 2 / (shares @ shares)))
    return min(each) - 1.0


def _honest(
    values: Vector,
    covariance: Matrix,
    back: list[int],
    after: list[int],
    degrees: float,
    *,
    alpha: float,
    minimum: float,
) -> dict[str, Json]:
    """Return honest bounds for the first effect and for the mean effect after a start."""
    k, reach = len(back), [lead + 1 for lead in after]
    changes = np.zeros((k, len(values)))
    changes[:, :k] = np.eye(k, k=1) - np.eye(k)
    bounds: dict[str, Json] = {}
    for name, steps in (("first", reach[:1]), ("average", reach)):
        target = np.zeros(len(values))
        target[k : k + len(steps)] = 1.0 / len(steps)
        variance = float(target @ covariance @ target)
        if degrees <= 1 or not variance > 0:
            bounds[name] = {"reason": Message("diagnostics.no-standard-error")}
            continue
        bounds[name] = honest_bounds(
            (changes @ values, changes @ covariance @ changes.T),
            (float(target @ values), changes @ covariance @ target, variance),
            steps, alpha=alpha, degrees=degrees, minimum=minimum,
        )  # fmt: skip
    return bounds
