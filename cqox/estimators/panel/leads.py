"""Testable leads: effects before treatment, over cells with several treated units.

The residual of a single unit from its own mean is 0, so that the estimated variance of a cell with one treated unit is
that of its comparison units alone, and a test would reject because of that unit's noise.
"""

from dataclasses import dataclass

import numpy as np

from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.clusters import Clusters
from cqox.estimators.panel.aggregation import Family, corrected_covariance, over
from cqox.estimators.panel.group_time import GroupTimes
from cqox.estimators.panel.undefined_errors import cell_counts

__all__ = ["Leads", "tested_leads"]

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """Average effects before treatment over the cells with several treated units, in units of y.

    Where clusters are mapped, units of one cluster count as one.

    Attributes:
        events: (m,) event times, the nearest to treatment last.
        estimates: (m,) average effects.
        covariance: (m, m) of them, with n/(n-1) for the n units of each cell.
        across: (m, k) covariances with all averages of the event study.
        support: (groups, m) the contribution of each cohort, and last of the comparison units, to the variances under
            equal unit variances.
        group_degrees: (groups,) degrees of freedom of each of these.
        alone: event times without such a cell.
    """

    events: tuple[int, ...]
    estimates: Vector
    covariance: Matrix
    across: Matrix
    support: Matrix
    group_degrees: Vector
    alone: tuple[int, ...]


def tested_leads(found: GroupTimes, study: Family, clusters: Clusters, *, anticipation: int, clustered: bool) -> Leads:
    """Return the leads of an event study.

    Args:
        found: the effects by cohort and period.
        study: their averages by event.
        clusters: of the panel's units.
        anticipation: periods of anticipation, which do not count as before treatment.
        clustered: True if errors may be correlated within clusters.
    """
    cells, scale = found.cells, found.panel.scale
    counts = cell_counts(found, clusters, clustered=clustered)
    before = (cells.event < -anticipation) & ~cells.reference & np.isin(cells.event, study.at)
    several = before & (counts >= _FEWEST).all(axis=1)
    events = np.unique(cells.event[several])
    averages = [over(found, several & (cells.event == event)) for event in events]
    cohorts = len(found.panel.cohorts)
    support, degrees = np.zeros((cohorts + 1, len(events))), np.ones(cohorts + 1)
    for lead, average in enumerate(averages):
        own = np.bincount(cells.cohort, average.weights**2 / np.maximum(counts[:, 0], 1.0), cohorts)
        support[:-1, lead] = own
        support[-1, lead] = float(np.sum(average.weights**2 / np.maximum(counts[:, 1], 1.0)))
    for at in np.unique(cells.cohort[several]):
        degrees[at] = counts[several & (cells.cohort == at), 0].min() - 1
    if several.any():
        degrees[-1] = counts[several, 1].min() - 1
    covariance = np.empty((0, len(study.at)))
    if averages:
        covariance = corrected_covariance(found, averages, study.averages, counts, clusters, clustered=clustered)
    m = len(averages)
    return Leads(
        events=tuple(events.tolist()),
        estimates=np.asarray([each.value for each in averages]) * scale,
        covariance=covariance[:m, :m] * scale**2,
        across=covariance[:m, m:] * scale**2,
        support=support,
        group_degrees=degrees,
        alone=tuple(int(event) for event in np.unique(cells.event[before]) if event not in events),
    )
