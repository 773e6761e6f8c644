"""Whether treated and untreated units already moved apart before treatment.

Each lead is the change of units treated later, from the last period before their treatment back to an earlier one,
less the same change of units that are never treated (Callaway and Sant'Anna 2021, doi 10.1016/j.jeconom.2020.12.001,
equation 2.8 with the never treated as comparison, before treatment), averaged over cohorts by their units. The joint
test is a Wald test with the leads' covariance from the units' (or clusters') contributions. No rejection is no proof of
parallel trends: the smallest trend that the test would find is told beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.diagnostics._cohorts import starts_by_row, timed_sample
from cqox.diagnostics._joint_test import joint_test
from cqox.diagnostics._json import number
from cqox.errors import UnusableData
from cqox.estimators import Codes, Json, Matrix, Plan, Vector

__all__ = ["pre_trends"]

_MOST_LEADS = 8
_MOST_CELLS = 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """Outcomes by unit and period.

    Attributes:
        y: (units, periods), NaN where a unit was not observed.
        start: (units,) position of the first treated period, the number of periods where there is none.
        clusters: (units,) codes of the clusters of units.
    """

    y: Matrix
    start: Codes
    clusters: Codes


def pre_trends(plan: Plan) -> dict[str, Json]:
    """The leads with their standard errors, and their joint test.

    Raises:
        UnusableData: there is no panel with untreated units and at least two periods before treatment.
    """
    panel = _pivot(plan)
    leads = _leads(panel)
    if not leads:
        raise UnusableData(
            "It needs two treated and two never treated units that are observed in two periods before treatment."
        )
    estimates = np.asarray([value for value, _ in leads.values()])
    contributions = np.stack([part for _, part in leads.values()])
    count = int(panel.clusters.max()) + 1
    sums = np.stack([np.bincount(panel.clusters, row, count) for row in contributions])
    covariance = sums @ sums.T * (count / max(count - 1, 1))
    errors = np.sqrt(np.diag(covariance))
    steps: list[Json] = [
        {"lead": lead, "estimate": number(value), "standard_error": number(error) if error > 0 else None}
        for lead, value, error in zip(leads, estimates, errors, strict=True)
    ]
    return {"leads": steps, "clusters": count, **joint_test(estimates, covariance, count)}


def _pivot(plan: Plan) -> _Panel:
    data, sample = plan.data, timed_sample(plan)
    starts = starts_by_row(plan, sample)
    if starts is None or data.unit is None or data.time is None or data.time_values is None:
        raise UnusableData("It needs the roles 'unit_id' and 'time' and a treatment of two levels.")
    levels, unit = np.unique(sample.take(data.unit), return_inverse=True)
    periods, time = np.unique(sample.take(data.time), return_inverse=True)
    if len(levels) * len(periods) > _MOST_CELLS:
        raise UnusableData(f"{len(levels)} units by {len(periods)} periods are too many to lay out.")
    if len(np.unique(unit * len(periods) + time)) < sample.n:
        raise UnusableData("Some units have several rows in one period.")
    y = np.full((len(levels), len(periods)), np.nan)
    y[unit, time] = sample.take(data.y)
    first = np.full(len(levels), np.inf)
    first[unit] = starts
    clusters = np.arange(len(levels))
    if data.clusters:
        code = np.zeros(len(levels), dtype=np.int64)
        code[unit] = sample.take(data.clusters[0])
        clusters = np.unique(code, return_inverse=True)[1]
    start = np.searchsorted(data.time_values[periods], first)
    return _Panel(y=y, start=start, clusters=clusters)


def _leads(panel: _Panel) -> dict[int, tuple[float, Vector]]:
    """Lead to its value and the (units,) contributions to it, for the leads nearest to treatment."""
    units, periods = panel.y.shape
    never = panel.start >= periods
    cohorts, sizes = np.unique(panel.start[~never], return_counts=True)
    value = np.zeros(_MOST_LEADS + 2)
    weight = np.zeros(_MOST_LEADS + 2)
    parts: NDArray[np.float64] = np.zeros((_MOST_LEADS + 2, units))
    for start, size in zip(cohorts.tolist(), sizes.tolist(), strict=True):
        for back in range(2, min(start, _MOST_LEADS + 1) + 1):
            change = panel.y[:, start - back] - panel.y[:, start - 1]
            own, other = (panel.start == start) & ~np.isnan(change), never & ~np.isnan(change)
            if own.sum() < 2 or other.sum() < 2:
                continue
            means = change[own].mean(), change[other].mean()
            value[back] += size * (means[0] - means[1])
            weight[back] += size
            parts[back, own] += size * (change[own] - means[0]) / own.sum()
            parts[back, other] -= size * (change[other] - means[1]) / other.sum()
    return {
        -back: (float(value[back] / weight[back]), parts[back] / weight[back])
        for back in range(2, _MOST_LEADS + 2)
        if weight[back] > 0
    }
