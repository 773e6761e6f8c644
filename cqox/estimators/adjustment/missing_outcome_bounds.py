"""Bounds on an effect with missing outcomes, valid for any values of the missing outcomes.

Worst-case bounds make no assumption on attrition (Manski 1990, American Economic Review 80(2); Horowitz and Manski
2000, doi:10.1080/01621459.2000.10473902). Trimming bounds assume monotonicity: treatment changes each unit's
probability of being observed in one direction (Lee 2009, doi:10.1111/j.1467-937X.2009.00536.x). Both assume random
assignment.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Vector
from cqox.estimators.inference.clusters import clustered_variance
from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.sample import ARMS

__all__ = ["Bounds", "trimming_bounds", "worst_case_bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An identified interval and its sampling uncertainty.

    Attributes:
        lower, upper: the bounds of the identified set.
        lower_se, upper_se: their standard errors.
        ci_lower, ci_upper: covers the effect, not the whole interval, at the requested level (Imbens and Manski 2004,
            doi:10.1111/j.1468-0262.2004.00555.x).
        estimand: the population of the effect.
        trimmed: share of the better observed arm that was trimmed; None for worst-case bounds.
    """

    lower: float
    upper: float
    lower_se: float
    upper_se: float
    ci_lower: float
    ci_upper: float
    estimand: str
    trimmed: float | None = None


def worst_case_bounds(
    y: Vector,
    treated: Vector,
    weights: Vector | None,
    outcome_range: tuple[float, float] | None,
    alpha: float,
    clusters: Sequence[Codes] = (),
) -> Bounds:
    """Return bounds on the ATE with each missing outcome at the worst end of its range.

    Args:
        y: (n,) the outcome, NaN where missing.
        treated: (n,) 0/1.
        weights: (n,) sampling weights, or None.
        outcome_range: the smallest and largest value that an outcome can have; the observed ones if None.
        alpha: one minus the confidence level.
        clusters: (n,) codes of each dimension in which rows may depend on each other; empty for independent rows.

    Raises:
        UnusableData: an outcome lies outside the range given, or an arm has no observed outcome.
    """
    seen = ~np.isnan(y)
    _check_arms(seen, treated)
    low, high = (float(y[seen].min()), float(y[seen].max())) if outcome_range is None else outcome_range
    outside = int(np.sum((y[seen] < low) | (y[seen] > high)))
    if outside:
        raise UnusableData(
            Message("adjustment.outcomes-outside-range", outcomes=outside, low=low, high=high),
            field="options.outcome_range",
        )
    w = np.ones(len(y)) if weights is None else weights
    ends = []
    for for_treated, for_untreated in ((low, high), (high, low)):
        filled = np.where(seen, y, np.where(treated > 0, for_treated, for_untreated))
        ends.append(_difference(filled, treated, w, clusters))
    (lower, lower_se), (upper, upper_se) = ends
    return _bounds(lower, upper, lower_se, upper_se, alpha, "ATE", None)


def trimming_bounds(
    y: Vector, treated: Vector, weights: Vector | None, alpha: float, clusters: Sequence[Codes] = ()
) -> Bounds:
    """Return trimming bounds on the effect among the always-observed.

    The arm with the higher response rate is trimmed at its top, then at its bottom, to the response rate of the other.
    Standard errors come from the influence function of the trimmed mean (Lee 2009, proposition 3), including that of
    the estimated share.

    Args:
        y: (n,) the outcome, NaN where missing.
        treated: (n,) 0/1.
        weights: (n,) sampling weights, or None.
        alpha: one minus the confidence level.
        clusters: (n,) codes of each dimension in which rows may depend on each other; empty for independent rows.

    Raises:
        UnusableData: an arm has no observed outcome.
    """
    seen = ~np.isnan(y)
    _check_arms(seen, treated)
    w = np.ones(len(y)) if weights is None else weights / weights.mean()
    arms = [treated == 0, treated > 0]
    share = [float(np.average(seen[arm], weights=w[arm])) for arm in arms]
    more = int(share[1] >= share[0])
    kept = share[1 - more] / share[more]
    arm, other = arms[more], arms[1 - more]
    sign = 1.0 if more else -1.0
    known = np.where(seen, y, 0.0)
    mean, flat = _mean(known, w * (other & seen))
    change = kept * (_share_influence(seen, other, w, share[1 - more]) - _share_influence(seen, arm, w, share[more]))
    ends = []
    for side in (1.0, -1.0):
        trimmed, influence = _trimmed(side * known, w * (arm & seen), kept, change)
        total = sign * (side * influence - flat)
        error = _error(total, clusters)
        ends.append((sign * (side * trimmed - mean), error))
    (lower, lower_se), (upper, upper_se) = sorted(ends)
    estimand = Message("adjustment.effect-on-always-observed")
    return _bounds(lower, upper, lower_se, upper_se, alpha, estimand, 1.0 - kept)


def _check_arms(seen: np.ndarray, treated: Vector) -> None:
    for level, arm in enumerate(ARMS):
        if not seen[treated == level].any():
            raise UnusableData(Message("adjustment.arm-without-outcomes", arm=arm))


def _mean(values: Vector, w: Vector) -> tuple[float, Vector]:
    """Return a weighted mean and its influence function over all rows."""
    mean = float(w @ values / w.sum())
    return mean, w * (values - mean) * (len(w) / w.sum())


def _difference(values: Vector, treated: Vector, w: Vector, clusters: Sequence[Codes]) -> tuple[float, float]:
    ends = [_mean(values, w * (treated == level)) for level in (0.0, 1.0)]
    return ends[1][0] - ends[0][0], _error(ends[1][1] - ends[0][1], clusters)


def _error(influence: Vector, clusters: Sequence[Codes]) -> float:
    """Return the standard error of a mean from its (n,) influence function."""
    if clusters:
        return math.sqrt(max(clustered_variance(influence, clusters), 0.0)) / len(influence)
    return math.sqrt(float(np.sum(influence**2))) / len(influence)


def _share_influence(seen: np.ndarray, arm: np.ndarray, w: Vector, share: float) -> Vector:
    """Return the influence function of the logarithm of an arm's response rate."""
    within = w * arm
    return np.asarray(within * (seen - share) * (len(w) / within.sum()) / share)


def _trimmed(values: Vector, w: Vector, kept: float, change: Vector) -> tuple[float, Vector]:
    """Return the mean of the lowest `kept` of a weighted sample, a row at the cut counted in part, and its
    influence."""
    order = np.lexsort((w, values))
    mass = w[order]
    before = np.cumsum(mass) - mass
    limit = kept * mass.sum()
    inside = np.clip(limit - before, 0.0, mass)
    edge = float(values[order][np.flatnonzero(inside > 0)[-1]])
    mean = float(inside @ values[order] / limit)
    scale = len(w) / w.sum()
    influence = w * scale * (np.minimum(values - edge, 0.0) / kept - (mean - edge))
    return mean, influence + (edge - mean) / kept * change


def _bounds(
    lower: float, upper: float, lower_se: float, upper_se: float, alpha: float, estimand: str, trimmed: float | None
) -> Bounds:
    reach = _reach(upper - lower, max(lower_se, upper_se), alpha)
    return Bounds(
        lower=lower,
        upper=upper,
        lower_se=lower_se,
        upper_se=upper_se,
        ci_lower=lower - reach * lower_se,
        ci_upper=upper + reach * upper_se,
        estimand=estimand,
        trimmed=trimmed,
    )


def _reach(width: float, error: float, alpha: float) -> float:
    """Return the critical value of Imbens and Manski, which covers the effect anywhere between the bounds."""
    from scipy import optimize, special

    two_sided = critical_value(alpha, None)
    if error <= 0.0:
        return two_sided

    def excess(reach: float) -> float:
        return float(special.ndtr(reach + width / error) - special.ndtr(-reach)) - (1.0 - alpha)

    return float(optimize.brentq(excess, 0.0, two_sided + 1.0))
